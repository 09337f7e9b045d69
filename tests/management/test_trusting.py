"""`source trust`, `source untrust` and `pull --apply`: exit codes and documents that a script relies on."""

from __future__ import annotations

from typing import Any

import pytest

from data_sync.core.states import ChangesetState
from data_sync.models import Changeset, Trust
from data_sync.services import apply
from tests.admin import making
from tests.environments import Environments
from tests.testapp.models import Tag, Term

from .conftest import Run

MODELS = ("--models", "testapp.term,testapp.tag")


@pytest.fixture
def agreed(environments: Environments, run: Run) -> Environments:
    """Both sides have agreed on two models; then the source moves on in one of them."""
    environments.add(Term, word="boots", meaning="of 2025")
    environments.add(Tag, name="old")
    assert run("pull", "Staging").code == 0
    Term.objects.using("source").update(meaning="of 2026")
    return environments


def test_a_trusted_pull_is_applied_and_ends_with_0(run: Run, agreed: Environments) -> None:
    assert run("source", "trust", "Staging", "--models", "testapp.term").code == 0
    ran = run("pull", "Staging", "--apply", "--json")
    changeset = Changeset.objects.get()
    assert ran.code == 0
    assert ran.document == {
        "pull": changeset.pull_id,
        "state": "done",
        "changeset": changeset.pk,
        "counts": {"create": 0, "update": 1, "delete": 0, "rename": 0},
        "compared": 2,
        "conflicts": 0,
        "applied": True,
        "reasons": [],
    }
    assert Term.objects.get().meaning == "of 2026"
    for words in (("show", changeset.pk), ("list",)):
        assert "Applied without review" in run(*words).out


def test_what_is_in_the_way_is_said_and_ends_with_2(run: Run, agreed: Environments) -> None:
    run("source", "trust", "Staging", "--models", "testapp.tag")
    with agreed.untouched():
        ran = run("pull", "Staging", "--apply", "--json")
    changeset = Changeset.objects.get()
    assert (ran.code, ran.document["changeset"], ran.document["applied"]) == (2, changeset.pk, False)
    assert ran.document["reasons"] == [{"code": "model", "message": "The source is not trusted with testapp.term."}]
    sentence = "The source is not trusted with testapp.term."
    for words in (("pull", "Staging", "--apply"), ("show", Changeset.objects.last().pk)):
        told = run(*words)
        assert "Not applied by itself:" in told.out and sentence in told.out
    assert "not applied by itself: " + sentence in " ".join(run("list").out.split())
    [head, _] = run("list", "--json").document["changesets"]
    assert head["by_itself"] == {"state": "left", "reasons": ran.document["reasons"]}


def test_a_source_that_is_not_trusted_is_no_error_but_waits(run: Run, agreed: Environments) -> None:
    ran = run("pull", "Staging", "--apply", "--json")
    assert (ran.code, ran.document["applied"]) == (2, False)
    assert [reason["code"] for reason in ran.document["reasons"]] == ["not_trusted"]


def test_nothing_to_apply_ends_with_0(run: Run, agreed: Environments) -> None:
    Term.objects.using("source").update(meaning="of 2025")
    ran = run("pull", "Staging", "--apply", "--json")
    assert (ran.code, ran.document["changeset"]) == (0, None)
    assert (ran.document["applied"], ran.document["reasons"]) == (False, [])


def test_an_apply_that_fails_ends_with_1(run: Run, agreed: Environments, monkeypatch: pytest.MonkeyPatch) -> None:
    run("source", "trust", "Staging", *MODELS)
    monkeypatch.setattr(apply, "write_rows", lambda *_: 1 / 0)
    ran = run("pull", "Staging", "--apply", "--json")
    assert (ran.code, ran.document["applied"]) == (1, False)
    assert "nothing was written" in ran.err and Changeset.objects.get().state == ChangesetState.FAILED


def test_an_unattended_source_is_applied_by_any_pull(run: Run, agreed: Environments) -> None:
    run("source", "trust", "Staging", *MODELS, "--unattended")
    ran = run("pull", "Staging", "--json")
    assert (ran.code, ran.document["applied"]) == (0, True)
    assert run("pull", "Staging", "--json").document["changeset"] is None


def test_without_apply_an_attended_source_waits_as_ever(run: Run, agreed: Environments) -> None:
    run("source", "trust", "Staging", *MODELS)
    ran = run("pull", "Staging", "--json")
    assert ran.code == 2 and "applied" not in ran.document


def test_the_queue_is_not_asked_as_the_command_waits_for_what_comes_of_it(
    run: Run, agreed: Environments, settings: Any
) -> None:
    from tests.tasks.conftest import DUMMY

    settings.TASKS = {"data_sync": {"BACKEND": DUMMY}}
    run("source", "trust", "Staging", *MODELS)
    assert run("pull", "Staging", "--apply", "--json").document["applied"] is True


def test_trust_is_told_with_its_limits_and_kept_where_nothing_else_is_said(run: Run, agreed: Environments) -> None:
    words = ("--models", "testapp.Term,testapp.tag", "--operations", "update,delete", "--max-deletes", 3)
    told = run("source", "trust", "Staging", *words, "--max-changes", 7, "--json").document["trust"]
    limits = {
        "models": ["testapp.term", "testapp.tag"],
        "operations": ["update", "delete"],
        "max_changes": 7,
        "max_deletes": 3,
        "unattended": False,
        "by": "command line",
    }
    assert {**told, "since": None} == {**limits, "since": None}
    told = run("source", "trust", "Staging", "--unattended", "--json").document["trust"]
    assert {**told, "since": None} == {**limits, "unattended": True, "since": None}
    [listed] = run("source", "list", "--json").document["sources"]
    assert listed["trust"] == told
    out = run("source", "list").out
    assert "its changes apply without review" in out and max(map(len, out.splitlines())) < 80


def test_models_are_named_where_no_trust_stands(run: Run, agreed: Environments) -> None:
    for _ in range(2):
        ran = run("source", "trust", "Staging", "--unattended")
        assert ran.code == 1 and "Name the models" in ran.err
        run("source", "trust", "Staging", *MODELS)
        run("source", "untrust", "Staging")


def test_trust_that_does_nothing_now_says_so(run: Run, agreed: Environments, settings: Any) -> None:
    settings.DATA_SYNC_AUTO_APPLY = False
    for words in (("trust", "Staging", *MODELS), ("list",)):
        told = " ".join(run("source", *words).out.split())
        assert "nothing is applied now: DATA_SYNC_AUTO_APPLY is off" in told


def test_trust_ends_with_a_reason(run: Run, agreed: Environments) -> None:
    run("source", "trust", "Staging", *MODELS)
    ran = run("source", "untrust", "Staging", "--reason", "Enough.", "--json")
    assert (ran.code, ran.document) == (0, {"name": "Staging", "trust": None})
    assert Trust.objects.get().end_reason == "Enough."
    again = run("source", "untrust", "Staging")
    assert again.code == 1 and "is not trusted" in again.err
    assert "trust" not in run("source", "list", "--json").document["sources"][0]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--operations", "drop"], "name operations as in create,update"),
        (["--operations", ","], "name operations as in"),
        (["--models", "testapp.nothing"], "Not registered here"),
        (["--max-changes", "0"], "is not a number"),
    ],
)
def test_limits_that_make_no_sense_are_refused(run: Run, agreed: Environments, words: list[str], reason: str) -> None:
    ran = run("source", "trust", "Staging", *MODELS, *words)
    assert ran.code == 1 and reason in ran.err and not Trust.objects.exists()


def test_a_user_needs_the_permissions_and_is_who_answers(run: Run, agreed: Environments) -> None:
    making.user("guest", "change_datasource", "pull_datasource")
    assert run("source", "trust", "Staging", *MODELS, "--as", "guest").code == 1
    making.user("mira", "*")
    assert run("source", "trust", "Staging", *MODELS, "--as", "mira", "--json").document["trust"]["by"] == "mira"
    assert run("pull", "Staging", "--apply", "--as", "guest").code == 1
    assert run("pull", "Staging", "--apply").code == 0
    assert Changeset.objects.get().apply_actor == "auto-apply for mira"
