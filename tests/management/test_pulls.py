"""`pull`, `cancel`, `doctor` against a source that answers, one that does not, and one that is otherwise."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction

from data_sync import registry
from data_sync.models import Changeset, DataPull, DataSource
from data_sync.services import sources
from tests import leasing
from tests.admin import making
from tests.environments import Environments
from tests.testapp.models import Category, Country, Tag, Term

from .conftest import Run

NOWHERE = "https://127.0.0.1:9"


# Pulling


def test_a_pull_that_finds_changes_ends_with_2(run: Run, environments: Environments) -> None:
    environments.add(Tag, name="new", only="source")
    environments.add(Tag, name="gone", only="default")
    environments.add(Country, code="FR")
    with environments.untouched():
        ran = run("pull", "Staging", "--json")
    changeset = Changeset.objects.get()
    assert ran.code == 2
    assert ran.document == {
        "pull": DataPull.objects.get().pk,
        "state": "done",
        "changeset": changeset.pk,
        "counts": {"create": 1, "update": 0, "delete": 1, "rename": 0},
        "compared": 3,
        "conflicts": 0,
    }


def test_a_pull_that_finds_nothing_ends_with_0(run: Run, environments: Environments) -> None:
    environments.add(Tag, name="same")
    ran = run("pull", "Staging", "--json")
    assert (ran.code, ran.document["changeset"], ran.document["compared"]) == (0, None, 1)
    assert ran.document["counts"] == {"create": 0, "update": 0, "delete": 0, "rename": 0}
    text = run("pull", "Staging")
    assert text.code == 0 and "1 row compared, nothing differs." in text.out


def test_a_pull_tells_people_what_it_found_and_what_is_next(run: Run, environments: Environments) -> None:
    environments.add(Tag, name="new", only="source")
    ran = run("pull", "Staging")
    assert ran.code == 2
    assert "1 create" in ran.out and "testapp.tag" in ran.out
    assert f"data_sync show {Changeset.objects.get().pk}" in ran.out
    assert max(map(len, ran.out.splitlines())) < 80


def test_a_blocked_changeset_says_why_and_what_to_do(run: Run, environments: Environments) -> None:
    environments.add(Tag, name="gone", only="default")
    ran = run("pull", "Staging", "--models", "testapp.tag")
    changeset = Changeset.objects.get()
    assert (ran.code, changeset.state) == (2, "blocked")
    assert f"data_sync override {changeset.pk} --reason" in ran.out
    assert changeset.guards[0]["message"] in " ".join(ran.out.split())
    assert run("pull", "Staging", "--json").document["guards"] == changeset.guards


def test_only_the_models_named_are_compared(run: Run, environments: Environments) -> None:
    environments.add(Tag, name="new", only="source")
    environments.add(Country, code="FR", only="source")
    assert run("pull", "Staging", "--models", "testapp.Tag").code == 2
    assert Changeset.objects.get().model_labels == ["testapp.tag"]


def test_the_user_is_who_pulled(run: Run, environments: Environments) -> None:
    mira = making.user("mira", "pull_datasource")
    environments.add(Tag, name="new", only="source")
    assert run("pull", "Staging", "--as", "mira").code == 2
    changeset = Changeset.objects.get()
    assert (changeset.requested_by, changeset.actor) == (mira, "mira")


@pytest.mark.parametrize(
    ("words", "reason"),
    [(["Production"], "There is no source named “Production”"), (["Staging", "--models", "a.b"], "Not registered")],
)
def test_what_cannot_be_pulled_is_refused(run: Run, environments: Environments, words: list[str], reason: str) -> None:
    ran = run("pull", *words, "--json")
    assert ran.code == 1 and reason in ran.document["error"]
    assert not DataPull.objects.exists()


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_a_pull_that_fails_ends_with_1_and_says_why(run: Run, settings: Any) -> None:
    settings.DATA_SYNC_ALLOWED_HOSTS = ["127.0.0.1"]
    DataSource.objects.create(name="Staging", url=NOWHERE, key="env:PATH")
    ran = run("pull", "Staging", "--json")
    pull = DataPull.objects.get()
    assert ran.code == 1
    assert ran.document == {"pull": pull.pk, "state": "failed", "error": pull.error, "schema": []}
    assert pull.error in ran.err
    text = run("pull", "Staging")
    assert (text.code, text.out) == (1, "") and "CommandError: " in text.err


@pytest.fixture
def unlike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here, two keys have other lengths than at the source, and a field that is in no key."""
    for model, name in ((Tag, "name"), (Country, "code"), (Term, "meaning")):
        monkeypatch.setattr(model._meta.get_field(name), "max_length", 7)


def test_a_pull_says_what_the_two_sides_do_not_agree_on(run: Run, environments: Environments, unlike: None) -> None:
    environments.add(Tag, name="new", only="source")
    ran = run("pull", "Staging", "--json")
    assert (ran.code, ran.document["changeset"]) == (0, None)
    assert {(row["model"], row["field"]) for row in ran.document["schema"]} == {
        ("testapp.tag", "name"),
        ("testapp.country", "code"),
        ("testapp.term", "meaning"),
    }
    text = run("pull", "Staging")
    assert "nothing differs" in text.out and "do not agree on it:" in text.out
    assert "testapp.tag.name" in text.out and "testapp.term.meaning" in text.out


def test_what_was_left_out_of_a_changeset_is_shown_with_it(run: Run, environments: Environments, unlike: None) -> None:
    environments.add(Term, word="new", only="source", meaning="x")
    number = run("pull", "Staging", "--models", "testapp.term", "--json").document["changeset"]
    assert run("show", number, "--json").document["omitted"] == {"testapp.term": ["meaning"]}
    shown = run("show", number)
    assert "testapp.term: left out, because the two sides do not agree on it: meaning" in shown.out
    assert "override" in shown.out, "a guard holds it until somebody says that this is right"


def test_a_pull_with_no_model_in_common_fails_and_names_every_difference(
    run: Run, environments: Environments, unlike: None
) -> None:
    words = ("pull", "Staging", "--models", "testapp.tag,testapp.country")
    ran = run(*words, "--json")
    assert ran.code == 1
    assert {row["model"] for row in ran.document["schema"]} == {"testapp.tag", "testapp.country"}
    text = run(*words)
    assert text.code == 1 and "testapp.tag.name" in text.out and "testapp.country.code" in text.out


def test_renames_are_looked_for_unless_they_are_not_wanted(run: Run, environments: Environments) -> None:
    environments.add(Category, slug="boots", only="source", title="For winter")
    environments.add(Category, slug="shoes", only="default", title="For winter")
    ran = run("pull", "Staging", "--json")
    assert ran.document["counts"] == {"create": 0, "update": 0, "delete": 0, "rename": 1}
    shown = run("show", ran.document["changeset"])
    assert "#1 rename testapp.category  shoes → boots" in shown.out and "keeps the row, under the new key" in shown.out
    assert "→1" in run("list").out
    ran = run("pull", "Staging", "--no-renames", "--json")
    assert ran.document["counts"] == {"create": 1, "update": 0, "delete": 1, "rename": 0}


def test_a_row_that_was_edited_here_too_is_a_conflict(run: Run, environments: Environments) -> None:
    environments.add(Term, word="boots", meaning="agreed")
    environments.add(Term, word="socks", meaning=("new", "old"))
    run("pull", "Staging")
    Term.objects.filter(word="boots").update(meaning="edited here")
    ran = run("pull", "Staging", "--json")
    assert ran.document["conflicts"] == 1
    assert "; 1 conflict." in run("pull", "Staging").out


def test_ctrl_c_ends_the_pull_too(run: Run, environments: Environments, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it would stay active, and the next pull of the source would be refused."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sources, "open_source", stop)
    ran = run("pull", "Staging")
    assert ran.code == 1 and "Traceback" not in ran.err
    assert not DataPull.objects.filter(active_source__isnull=False).exists()


def test_within_a_transaction_a_pull_is_only_queued(environments: Environments) -> None:
    """It runs after commit; nobody is told before that nothing differs."""
    environments.add(Tag, name="new", only="source")
    out = Lines()
    with transaction.atomic():
        call_command("data_sync", "pull", "Staging", stdout=out)
        assert "is queued" in out.text and "differs" not in out.text
    assert Changeset.objects.count() == 1


class Lines:
    text = ""

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


# Cancelling


@pytest.mark.django_db(databases="__all__")
def test_an_active_pull_is_cancelled_and_the_source_is_free(run: Run) -> None:
    pull = making.pull(state="reading", active_source=1)
    leasing.beat(pull, phase="rows", done=3, total=9)
    assert f"Pull {pull.pk} of Staging is reading: 3 of 9 rows." in run("list").out
    assert run("list", "--json").document["pulls"][0]["pull"] == pull.pk
    assert run("cancel", pull.pk, "--json").document == {"pull": pull.pk, "state": "cancelled"}
    pull.refresh_from_db()
    assert (pull.state, pull.active_source) == ("cancelled", None)
    again = run("cancel", pull.pk)
    assert again.code == 1 and "is cancelled" in again.err
    assert "There is no pull" in run("cancel", pull.pk + 1).err


# Examining


def test_a_sound_environment_has_no_fault(run: Run, environments: Environments) -> None:
    ran = run("doctor", "--json")
    assert (ran.code, ran.document["ok"]) == (0, True)
    [source] = ran.document["sources"]
    assert source["source"] == "Staging"
    names = [check["name"] for check in source["checks"]]
    assert names[:3] == ["reachable", "TLS", "key accepted"] and "testapp.tag" in names
    assert {finding["level"] for finding in source["checks"]} == {"ok"}
    # The manual's own models have no unique constraint: warnings, which are no faults.
    assert ("database", "ok", "The tables of data_sync are there.") in [
        (finding["name"], finding["level"], finding["message"]) for finding in ran.document["here"]
    ]
    assert any(finding["name"] == "data_sync.W001" for finding in ran.document["here"])
    assert "No fault found" in run("doctor", "Staging").out


def test_a_source_that_is_not_there_is_a_fault(run: Run, environments: Environments) -> None:
    DataSource.objects.create(name="Gone", url=NOWHERE, key="env:NOT_SET_ANYWHERE")
    ran = run("doctor", "--json")
    assert (ran.code, ran.document["ok"]) == (2, False)
    faults = {
        source["source"]: [c for c in source["checks"] if c["level"] == "fault"] for source in ran.document["sources"]
    }
    assert faults["Staging"] == []
    assert "NOT_SET_ANYWHERE" in faults["Gone"][0]["message"]
    assert run("doctor", "Staging").code == 0
    text = run("doctor", "Gone")
    assert text.code == 2 and "✗" in text.out and max(map(len, text.out.splitlines())) < 80


def test_other_models_at_the_source_are_a_fault(
    run: Run, environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tag._meta.get_field("name"), "max_length", 7)
    ran = run("doctor", "--json")
    assert ran.code == 2
    [fault] = [check for check in ran.document["sources"][0]["checks"] if check["level"] == "fault"]
    assert fault["name"] == "testapp.tag" and "max_length" in fault["message"]


@pytest.mark.django_db(databases="__all__")
def test_an_unknown_source_is_an_error_and_no_fault(run: Run) -> None:
    assert run("doctor", "Nowhere").code == 1


@pytest.mark.django_db(databases="__all__")
def test_a_wrong_setting_is_a_fault_that_doctor_tells_and_other_verbs_stop_at(run: Run, settings: Any) -> None:
    settings.DATA_SYNC_SPOOL_DIR = "/nowhere/at/all"
    ran = run("doctor", "--json")
    assert ran.code == 2
    [fault] = [finding for finding in ran.document["here"] if finding["level"] == "fault"]
    assert fault["name"] == "data_sync.E021"
    stopped = run("list", "--json")
    assert stopped.code == 1 and "data_sync.E021" in stopped.document["error"]


def test_a_broken_registration_stops_every_verb_but_doctor_which_tells_it(
    run: Run, environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    registration = dataclasses.replace(registry._registrations[Tag], natural_key=("nothing",))
    monkeypatch.setitem(registry._registrations, Tag, registration)
    ran = run("doctor", "--json")
    assert ran.code == 2
    assert "data_sync.E001" in {finding["name"] for finding in ran.document["here"] if finding["level"] == "fault"}
    assert [check["name"] for check in ran.document["sources"][0]["checks"] if check["level"] == "fault"] == ["models"]
    for options in ([], ["--skip-checks"]):
        stopped = run("pull", "Staging", "--json", *options)
        assert stopped.code == 1 and "has no field 'nothing'" in stopped.document["error"]
    assert not DataPull.objects.exists()


@pytest.mark.django_db(databases="__all__")
def test_missing_tables_are_a_fault(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = "data_sync.management.verbs.doctor.MigrationExecutor.migration_plan"
    monkeypatch.setattr(executor, lambda self, targets: [("0001", False)])
    ran = run("doctor", "--json")
    assert (ran.code, ran.document["sources"]) == (2, [])
    assert "manage.py migrate" in ran.document["here"][0]["remedy"]
