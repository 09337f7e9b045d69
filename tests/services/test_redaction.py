"""Redacted fields are compared, written, acknowledged and carried over like any others; exports have a leaf instead."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError

from data_sync.core.errors import NotAcknowledged
from data_sync.core.states import Decision
from data_sync.models import Change, Changeset
from data_sync.services import approval, remarks, review
from data_sync.services.content import incoming_record
from data_sync.services.document import changeset_document
from data_sync.services.moved import moved_rows
from data_sync.services.seals import current_content_seal
from tests.environments import Environments, applied, decide
from tests.registering import registered
from tests.testapp.models import Comment, Customer, Product, Tag, Vote

LABEL = "testapp.customer"


@pytest.fixture(params=["whole", "listed"])
def agreed(request: pytest.FixtureRequest, environments: Environments, monkeypatch: pytest.MonkeyPatch) -> Environments:
    """Two customers that both sides have alike, and known to be so; read as a whole, or by digests first."""
    if request.param == "listed":
        monkeypatch.setattr("data_sync.services.pulling.SMALL", 0)
    for name in ("ada", "bob"):
        environments.add(Customer, name=name, account=f"agreed {name}")
    environments.add(Tag, name="gold")
    environments.pull()
    return environments


def here(name: str, /, **values: Any) -> None:
    Customer.objects.filter(name=name).update(**values)


def there(name: str, /, **values: Any) -> None:
    Customer.objects.using("source").filter(name=name).update(**values)


def only_change(changeset: Changeset) -> Change:
    return changeset.changes.get()


def document(changeset: Changeset, environments: Environments) -> dict[str, Any]:
    return json.loads("".join(changeset_document(changeset, environments.actor)))


def recompute() -> Any:
    path = Path(__file__).parents[2] / "docs" / "reference" / "recompute.py"
    spec = importlib.util.spec_from_file_location("recompute", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Compared and written


def test_redacted_values_of_every_kind_are_written_exactly(environments: Environments) -> None:
    gold, silver = environments.add(Tag, name="gold"), environments.add(Tag, name="silver")
    ada = environments.add(
        Customer,
        name="ada",
        account=("new", "old"),
        limit=(Decimal("12.50"), Decimal(0)),
        notes=({"vip": [1, 2.5, None]}, {}),
        adviser=(gold[0], silver[1]),
    )
    ada[0].groups.set([gold[0], silver[0]])
    ada[1].groups.set([silver[1]])
    environments.add(Customer, name="new", account="made", adviser=silver, only="source")
    environments.add(Customer, name="gone", account="lost", only="default")
    changeset = environments.sync()
    environments.assert_equal()
    assert changeset.redacted == {LABEL: ["account", "adviser", "groups", "limit", "notes"]}
    assert environments.pull().state == "done" and Changeset.objects.count() == 1


def test_the_digests_of_two_pulls_differ_and_tell_nothing_to_whoever_has_not_the_key(agreed: Environments) -> None:
    there("ada", account="theirs")
    first, second = only_change(agreed.changeset()), only_change(agreed.changeset())
    assert first.after == second.after
    for column in ("before_digest", "after_digest", "base_digest"):
        assert getattr(first, column) != getattr(second, column) and getattr(first, column)
    keys = [bytes(changeset.leaf_key) for changeset in Changeset.objects.all()]
    assert [len(key) for key in keys] == [32, 32] and len(set(keys)) == 2


def test_changesets_without_redacted_fields_have_plain_digests(environments: Environments) -> None:
    environments.add(Tag, name="gold", only="source")
    changeset = environments.changeset("testapp.tag")
    change = document(changeset, environments)["changes"][0]
    assert changeset.redacted == {} and "redacted" not in change
    assert change["after_digest"] == incoming_record(changeset.changes.get()).digest()


# Baselines and conflicts: they outlive the key


def test_a_redacted_field_that_only_the_source_changed_is_no_conflict(agreed: Environments) -> None:
    there("ada", account="theirs")
    change = only_change(agreed.changeset())
    assert (change.operation, change.is_conflict) == ("update", False)
    assert change.diff == [{"path": ["account"], "kind": "changed", "redacted": True}]


def test_a_redacted_field_that_was_changed_here_is_a_conflict_and_its_base_is_known(agreed: Environments) -> None:
    there("ada", account="theirs")
    agreed.changeset()  # What was agreed on is in its `before`, under a digest of another key.
    here("ada", account="ours")
    change = only_change(agreed.changeset())
    assert change.is_conflict and change.base is not None
    assert change.base["account"] == "agreed ada"
    with pytest.raises(NotAcknowledged, match="is a conflict"):
        decide(agreed, change)
    decide(agreed, change, acknowledge=True)
    applied(agreed, change.changeset)
    assert Customer.objects.get(name="ada").account == "theirs"


def test_what_an_apply_wrote_is_agreed_on(agreed: Environments) -> None:
    there("ada", account="theirs")
    there("bob", city="Ulm", account="also theirs")
    changeset = agreed.changeset()
    decide(agreed, changeset.changes.get(key_text="ada"))
    decide(agreed, changeset.changes.get(key_text="bob"), keep=["account"])
    applied(agreed, changeset)
    there("ada", account="theirs, again")
    later = agreed.changeset(LABEL)
    assert [change.is_conflict for change in later.changes.all()] == [False, False], "nobody has touched it here"
    there("ada", account="theirs")
    kept = only_change(agreed.changeset(LABEL))
    assert (kept.key_text, kept.is_conflict, bool(kept.base_digest)) == ("bob", False, True)
    here("ada", account="ours")
    here("bob", account="ours, too")
    again = agreed.changeset(LABEL)
    assert [change.is_conflict for change in again.changes.all()] == [True, True]


def test_decisions_comments_and_ticks_carry_over_to_a_pull_with_another_key(
    agreed: Environments, django_user_model: Any
) -> None:
    there("ada", account="theirs")
    here("bob", account="ours")
    old = agreed.changeset()
    for change in old.changes.all():
        decide(agreed, change, acknowledge=True)
    remarks.comment(old.changes.get(key_text="ada"), "seen", agreed.actor)
    new = agreed.changeset()
    assert [change.decision for change in new.changes.all()] == ["accepted", "accepted"]
    assert new.changes.get(key_text="ada").comments.get().text == "seen"
    conflict = new.changes.get(key_text="bob")
    assert conflict.acknowledged_digest == conflict.before_digest != old.changes.get(key_text="bob").before_digest
    applied(agreed, new)
    agreed.assert_equal()


def test_another_redacted_value_is_another_change(agreed: Environments) -> None:
    there("ada", account="theirs")
    decide(agreed, only_change(agreed.changeset()))
    there("ada", account="theirs, again")
    assert only_change(agreed.changeset()).decision == "undecided"


# Rows that move


def test_a_touch_of_only_a_redacted_field_after_the_approval_makes_it_stale(agreed: Environments) -> None:
    there("ada", city="Ulm")
    changeset = agreed.approved()
    here("ada", account="touched")
    with agreed.untouched():
        done = agreed.apply(changeset)
    assert done.state == "stale" and "was changed here since the pull: account." in done.state_reason
    assert "touched" not in done.state_reason


def test_an_edit_after_the_pull_is_acknowledged_by_a_keyed_digest_and_written_over(agreed: Environments) -> None:
    there("ada", account="theirs")
    changeset = agreed.changeset()
    change = only_change(changeset)
    here("ada", account="touched")
    (moved,) = moved_rows(changeset, [change]).values()
    assert moved.names == ("account",) and moved.record is not None
    assert moved.digest != moved.record.digest()
    with pytest.raises(NotAcknowledged):
        decide(agreed, change)
    decide(agreed, change, acknowledge=True, seen=moved.digest)
    applied(agreed, changeset)
    assert Customer.objects.get(name="ada").account == "theirs"


def test_what_the_database_gave_back_otherwise_is_found_and_not_quoted(
    agreed: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    there("ada", account="theirs")
    changeset = agreed.approved()
    monkeypatch.setattr("data_sync.orm.write.update_rows", lambda *rows: None)
    with agreed.untouched():
        done = agreed.apply(changeset)
    assert done.state == "failed" and "another value than was written for account" in done.state_reason
    assert "theirs" not in done.state_reason


# Which side says so


def test_what_the_source_redacts_is_redacted_here_too(agreed: Environments) -> None:
    there("ada", account="theirs", city="Ulm")
    with registered(Customer, redact=("city",)):
        changeset = agreed.changeset()
        assert changeset.redacted == {LABEL: ["account", "adviser", "city", "groups", "limit", "notes"]}
        assert "theirs" not in json.dumps(document(changeset, agreed)["changes"])
    with registered(Customer, redact=()):
        assert agreed.changeset().redacted == {LABEL: ["account", "adviser", "groups", "limit", "notes"]}


def test_what_was_redacted_at_the_pull_stays_so_whatever_the_registration_says_later(agreed: Environments) -> None:
    there("ada", account="theirs")
    changeset = agreed.changeset()
    with registered(Customer, redact=()):
        assert "theirs" not in json.dumps(document(changeset, agreed))
        decide(agreed, only_change(changeset))
        applied(agreed, changeset)
    assert Customer.objects.get(name="ada").account == "theirs"


# Exports and seals


@pytest.fixture
def drifted(agreed: Environments) -> Iterator[Environments]:
    """A change of each operation, and a conflict with a known base."""
    there("ada", account="theirs")
    agreed.changeset()
    here("ada", account="ours")
    agreed.add(Customer, name="new", account="created", only="source")
    agreed.add(Customer, name="gone", account="deleted", only="default")
    there("bob", name="bobby")
    yield agreed


def test_the_export_alone_gives_its_digests_and_seals_by_the_leaves(drifted: Environments) -> None:
    changeset = drifted.changeset()
    for change in changeset.changes.all():
        decide(drifted, change, acknowledge=True)
    applied(drifted, changeset)
    found = document(changeset, drifted)
    assert {change["operation"] for change in found["changes"]} == {"create", "update", "delete", "rename"}
    assert list(recompute().faults(found)) == []
    for change in found["changes"]:
        assert change["redacted"] == ["account", "adviser", "groups", "limit", "notes"]
        for side in ("before", "after", "base"):
            assert (change["leaves"][side] is None) == (change[side] is None)
            assert set(change[side] or {}) <= {"city", "name"}
    spoilt = json.loads(json.dumps(found))
    spoilt["changes"][0]["leaves"]["after"] = "hmac-sha256:" + "0" * 64
    assert "change 1: after_digest" in list(recompute().faults(spoilt))


def test_a_stored_redacted_value_that_was_altered_breaks_the_seal_and_is_not_applied(agreed: Environments) -> None:
    there("ada", account="theirs")
    changeset = agreed.approved()
    change = only_change(changeset)
    assert current_content_seal(changeset) == changeset.content_seal
    Change.objects.filter(pk=change.pk).update(after=change.after | {"account": "forged"})
    assert current_content_seal(changeset) != changeset.content_seal
    with agreed.untouched():
        done = agreed.apply(changeset)
    assert done.state == "failed" and "are not those that were approved" in done.state_reason


def test_an_acknowledged_edit_is_in_the_export_without_the_redacted_fields(agreed: Environments) -> None:
    there("ada", account="theirs")
    changeset = agreed.changeset()
    here("ada", account="touched", city="Ulm")
    decide(agreed, only_change(changeset), acknowledge=True)
    (change,) = document(changeset, agreed)["changes"]
    assert change["seen_fields"] == {"city": "Ulm", "name": "ada"}


def test_an_approval_says_which_redacted_field_went_stale(agreed: Environments) -> None:
    there("ada", account="theirs")
    changeset = agreed.changeset()
    review.decide(changeset.pk, review.Selection(), Decision.ACCEPTED, agreed.actor, revision=None)
    here("ada", account="touched")
    changeset.refresh_from_db()
    with pytest.raises(Exception, match="account") as refused:
        approval.approve(changeset.pk, agreed.actor, revision=changeset.revision)
    assert "touched" not in str(refused.value)


@pytest.mark.parametrize("redact", [("account",), ()])
def test_a_refusal_of_the_database_is_told_without_what_it_says(
    agreed: Environments, monkeypatch: pytest.MonkeyPatch, redact: tuple[str, ...]
) -> None:
    """Also where only the source redacts."""
    there("ada", account="theirs")
    changeset = agreed.approved()

    def refuse(*rows: Any) -> None:
        raise IntegrityError("Key (account)=(theirs) already exists")

    monkeypatch.setattr("data_sync.orm.write.update_rows", refuse)
    with registered(Customer, redact=redact):
        done = agreed.apply(changeset)
    assert done.state == "failed" and "IntegrityError; what it says is not shown" in done.state_reason
    assert "theirs" not in done.state_reason + only_change(done).outcome_reason


# What a delete takes along


def test_a_redacting_model_that_is_not_compared_is_not_told_of_by_its_str(environments: Environments) -> None:
    _, gone = environments.add(Tag, name="debtor", only="default")
    environments.add(Tag, name="other")
    Customer.objects.create(name="ada", account="DE02-SECRET-4711", adviser=gone)
    changeset = environments.changeset("testapp.tag")
    [taken] = only_change(changeset).cascades
    assert (taken["model"], taken["label"]) == (LABEL, "")
    assert "SECRET-4711" not in str(document(changeset, environments))


def test_a_row_several_steps_away_is_not_told_of_by_its_str(
    environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, gone = environments.add(Product, sku="gone", name="SECRET-4711", only="default")
    environments.add(Product, sku="other")
    Vote.objects.create(comment=Comment.objects.create(product=gone))
    monkeypatch.setattr(Vote, "__str__", lambda vote: f"a vote on {vote.comment.product.name}")
    with registered(Product, redact=("name",)):
        changeset = environments.changeset("testapp.product")
        assert {(one["model"], one["label"]) for one in only_change(changeset).cascades} == {
            ("testapp.comment", ""),
            ("testapp.vote", ""),
        }
        assert "SECRET-4711" not in str(document(changeset, environments))
