"""A pull reads, compares and stores; it never writes a synced row, and concludes nothing from half an answer."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError, connection, connections

from data_sync.core.errors import InvalidTransition, NotPermitted
from data_sync.core.source import Request
from data_sync.core.states import ChangesetState, PullState
from data_sync.models import Change, Changeset, DataPull
from data_sync.orm.read import LocalSource
from data_sync.services import actors, keys, origins, pull, pulling, seals, sources
from data_sync.services.agreement import Agreement
from tests.environments import Environments
from tests.testapp.models import (
    Article,
    Copy,
    Country,
    Currency,
    Language,
    Page,
    Price,
    Product,
    Tag,
    Term,
)


def found(changeset: Changeset) -> set[tuple[str, str, str]]:
    return {
        (change.model.removeprefix("testapp."), change.key_text, change.operation) for change in changeset.changes.all()
    }


# What is compared


def test_only_the_models_that_were_asked_for_are_compared(environments: Environments) -> None:
    environments.add(Tag, name="new", only="source")
    environments.add(Country, code="FR", only="source")
    changeset = environments.changeset("testapp.tag")
    assert found(changeset) == {("tag", "new", "create")}
    assert changeset.model_labels == ["testapp.tag"]


def test_a_model_that_the_key_may_not_read_is_left_alone(environments: Environments) -> None:
    """Absence is no deletion: without a right to read, nothing is known."""
    environments.add(Country, code="FR", only="default")
    environments.add(Tag, name="new", only="source")
    key, text = keys.create_key("narrow", environments.actor, model_labels=["testapp.tag"])
    key.save(using="source", force_insert=True)  # Where the source looks for it.
    sources.change_source(environments.source, environments.actor, key=text)
    changeset = environments.changeset()
    assert found(changeset) == {("tag", "new", "create")}
    pulled = environments.pull("testapp.country")
    assert pulled.state == PullState.FAILED
    assert "testapp.country" in pulled.error


@pytest.mark.parametrize("only", ["source", "default"])
def test_rows_outside_of_the_scope_are_not_there(environments: Environments, only: str) -> None:
    environments.add(Page, slug="hidden", published=False, only=only)
    environments.add(Page, slug="shown")
    pulled = environments.pull()
    assert (pulled.compared, Changeset.objects.count()) == (1, 0)


def test_a_row_that_leaves_the_scope_at_the_source_is_a_delete(environments: Environments) -> None:
    environments.add(Page, slug="left", published=(False, True))
    environments.add(Page, slug="stays")
    assert found(environments.changeset()) == {("page", "left", "delete")}


def test_a_model_that_never_deletes_keeps_its_rows(environments: Environments) -> None:
    environments.add(Term, word="ours", only="default")
    environments.add(Term, word="theirs", only="source")
    assert found(environments.changeset()) == {("term", "theirs", "create")}


def test_times_that_a_save_sets_make_no_change(environments: Environments) -> None:
    environments.add(Product, sku="lamp", name="Lamp")
    there, here = Product.objects.using("source").get(), Product.objects.get()
    assert there.updated != here.updated
    assert environments.pull().state == PullState.DONE
    assert not Changeset.objects.exists()


def test_the_order_of_rows_and_links_makes_no_change(environments: Environments) -> None:
    tags = [environments.add(Tag, name=name) for name in "abc"]
    lamp = environments.add(Product, sku="lamp", name="Lamp")
    lamp[0].tags.add(*[tag[0] for tag in tags])
    for tag in reversed(tags):
        lamp[1].tags.add(tag[1])
    assert environments.pull().state == PullState.DONE
    assert not Changeset.objects.exists()


@pytest.mark.parametrize(
    ("there", "here"), [("straße", "strasse"), ("A", "a"), ("é", "e\u0301"), ("a", "a "), ("ä", "a")]
)
def test_keys_are_told_apart_by_code_points_not_by_collation(environments: Environments, there: str, here: str) -> None:
    environments.add(Copy, language=french(environments), key=(there, here), value=("there", "here"), default="")
    changeset = environments.changeset("testapp.copy")
    assert found(changeset) == {
        ("copy", f"FR · fr · {there}", "create"),
        ("copy", f"FR · fr · {here}", "delete"),
    }
    environments.accept_all(changeset)
    environments.apply(environments.approve(changeset))
    environments.assert_equal()


def french(environments: Environments) -> tuple[Any, Any]:
    return environments.add(Language, country=environments.add(Country, code="FR"), code="fr")


def test_a_reference_by_another_column_is_compared_by_natural_key(environments: Environments) -> None:
    lamp = environments.add(Product, sku="lamp", name="Lamp")
    euro = environments.add(Currency, number=978, code=("EUR", "EU"))
    environments.add(Price, product=lamp, currency=euro, amount=1)
    assert found(environments.changeset()) == {("currency", "978", "update")}


def test_rows_that_a_default_manager_hides_are_compared(environments: Environments) -> None:
    environments.add(Article, slug="hidden", deleted=True, only="source")
    assert found(environments.changeset()) == {("article", "hidden", "create")}


# What is stored


def test_changes_are_numbered_in_the_order_they_can_be_applied_in(environments: Environments) -> None:
    language = environments.add(
        Language, country=environments.add(Country, code="FR", only="source"), code="fr", only="source"
    )
    environments.add(Copy, language=language, key="k", value="", default="", only="source")
    gone = environments.add(Country, code="IT", only="default")
    environments.add(Language, country=gone, code="it", only="default")
    changes = environments.changeset().changes.order_by("number")
    assert [(change.number, change.model.removeprefix("testapp."), change.operation) for change in changes] == [
        (1, "country", "create"),
        (2, "language", "create"),
        (3, "copy", "create"),
        (4, "language", "delete"),
        (5, "country", "delete"),
    ]


def test_the_content_seal_is_over_what_is_stored(environments: Environments) -> None:
    environments.add(Country, code="FR", only="source")
    changeset = environments.changeset()
    assert seals.current_content_seal(changeset) == changeset.content_seal
    Change.objects.filter(changeset=changeset).update(key_text="not sealed, only for searching")
    assert seals.current_content_seal(changeset) == changeset.content_seal
    Change.objects.filter(changeset=changeset).update(key=["IT"])
    assert seals.current_content_seal(changeset) != changeset.content_seal


def test_a_later_pull_supersedes_what_is_open(environments: Environments) -> None:
    environments.add(Country, code="FR", only="source")
    first, second = environments.changeset(), environments.changeset()
    first.refresh_from_db()
    assert first.state == ChangesetState.SUPERSEDED
    assert str(second.pk) in first.state_reason
    assert first.events.last().action == "superseded"


def test_a_pull_of_fewer_models_supersedes_nothing(environments: Environments) -> None:
    environments.add(Country, code="FR", only="source")
    environments.add(Tag, name="new", only="source")
    everything = environments.changeset()
    environments.changeset("testapp.tag")
    everything.refresh_from_db()
    assert everything.state == ChangesetState.PENDING


def test_a_pull_that_finds_nothing_supersedes_what_is_open(environments: Environments) -> None:
    environments.add(Country, code="FR", only="source")
    changeset = environments.changeset()
    Country.objects.create(code="FR")
    environments.pull()
    changeset.refresh_from_db()
    assert changeset.state == ChangesetState.SUPERSEDED


# An empty side


def test_a_model_without_rows_at_the_source_blocks_the_changeset(environments: Environments) -> None:
    environments.add(Country, code="FR", only="default")
    environments.add(Country, code="IT", only="default")
    environments.add(Tag, name="new", only="source")
    changeset = environments.changeset()
    assert changeset.state == ChangesetState.BLOCKED
    assert "The source has no rows of testapp.country; here there are 2." in changeset.state_reason
    assert [(guard["code"], guard["model"], guard["counts"]["here"]) for guard in changeset.guards] == [
        ("empty_side", "testapp.country", 2)
    ]
    environments.accept_all(changeset)
    with environments.untouched(), pytest.raises(InvalidTransition, match="is blocked"):
        environments.approve(changeset)


def test_one_row_at_the_source_is_no_empty_side(environments: Environments) -> None:
    environments.add(Country, code="FR")
    environments.add(Country, code="IT", only="default")
    assert environments.changeset().state == ChangesetState.PENDING


# One at a time, and by whom


def test_a_source_is_pulled_once_at_a_time(environments: Environments) -> None:
    first = pull.request_pull(environments.source, [], environments.actor)
    with pytest.raises(InvalidTransition, match=f"Pull {first.pk} of Staging is queued"):
        pull.request_pull(environments.source, [], environments.actor)
    assert pull.run_pull(first.pk).state == PullState.DONE
    with pytest.raises(InvalidTransition, match="is done"):
        pull.run_pull(first.pk)
    pull.request_pull(environments.source, [], environments.actor)


def test_pulling_needs_the_permission(environments: Environments) -> None:
    user = get_user_model().objects.create(username="ada")
    with pytest.raises(NotPermitted, match=r"data_sync\.pull_datasource"):
        pull.request_pull(environments.source, [], actors.of_user(user))
    assert not DataPull.objects.exists()


def test_an_unknown_model_is_refused_by_name(environments: Environments) -> None:
    with pytest.raises(InvalidTransition, match=r"testapp\.nothing"):
        pull.request_pull(environments.source, ["testapp.nothing"], environments.actor)


def test_a_cancelled_pull_stores_nothing(environments: Environments, monkeypatch: pytest.MonkeyPatch) -> None:
    environments.add(Country, code="FR", only="source")
    queued = pull.request_pull(environments.source, [], environments.actor)
    agree = origins.agree

    def cancel_meanwhile(*arguments: Any) -> Agreement:
        pull.cancel_pull(queued.pk, environments.actor)
        return agree(*arguments)

    monkeypatch.setattr(origins, "agree", cancel_meanwhile)
    assert pull.run_pull(queued.pk).state == PullState.CANCELLED
    assert not Changeset.objects.exists()


def test_an_unexpected_error_fails_the_pull_and_frees_the_source(
    environments: Environments, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(*_: Any) -> None:
        raise RuntimeError("no connection to https://app:pass-word@storage.example")

    queued = pull.request_pull(environments.source, ["testapp.country"], environments.actor)
    with monkeypatch.context() as patched:
        patched.setattr(pulling, "store_changeset", explode)
        environments.add(Country, code="FR", only="source")
        pull.run_pull(queued.pk)
    queued.refresh_from_db()
    assert queued.state == PullState.FAILED and queued.error.startswith("Unexpected RuntimeError; more is in")
    assert "pass-word" not in queued.error, "what is stored is shown to people who may not read the log"
    reference = queued.error.rstrip(".").rpartition(" ")[2]
    [told] = [record for record in caplog.records if record.exc_info and record.exc_info[0] is RuntimeError]
    assert told.getMessage() == f"Pull {queued.pk} failed. (reference {reference})"
    assert not Changeset.objects.exists()
    assert environments.changeset().creates == 1


def test_a_failure_is_recorded_once_the_database_is_free_again(
    environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = iter([OperationalError("database is locked")] * 2)
    finish = pull.finish

    def when_free(*arguments: Any, **values: Any) -> None:
        for refusal in refusals:
            raise refusal
        finish(*arguments, **values)

    monkeypatch.setattr(pull, "RETRY_SECONDS", 0)
    monkeypatch.setattr(pull, "finish", when_free)
    queued = pull.request_pull(environments.source, [], environments.actor)
    monkeypatch.setattr(sources, "open_source", lambda source: None)  # A bug
    pull.run_pull(queued.pk)
    queued.refresh_from_db()
    assert (queued.state, queued.active_source) == (PullState.FAILED, None)


def test_the_source_is_read_in_one_snapshot(environments: Environments) -> None:
    """A writer that moves a row from one model to the next while both are read: it is in the first only."""
    if connection.vendor == "sqlite":
        pytest.skip("SQLite lets nobody write while somebody reads")
    letters = [chr(code) for code in range(0x4E00, 0x4E00 + 60)]
    Country.objects.using("source").bulk_create(Country(code=a + b) for a in letters for b in letters)

    def move() -> None:
        Tag.objects.using("source").create(name=letters[0] * 2)
        Country.objects.using("source").filter(code=letters[0] * 2).delete()
        connections.close_all()

    labels = ["testapp.country", "testapp.tag"]
    with LocalSource(labels, using="source").stream(Request(models=tuple(labels))) as blocks:
        beginning = next(blocks)
        writer = threading.Thread(target=move)
        writer.start()
        writer.join()
        text = (beginning + b"".join(blocks)).decode()
    assert text.count(f'["testapp.country",["{letters[0] * 2}"]') == 1
    assert '{"counts":{"testapp.country":3600,"testapp.tag":0}' in text
    assert Tag.objects.using("source").exists()
