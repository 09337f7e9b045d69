"""`apply --rehearse`: what would go wrong, by change, before anybody approves."""

from __future__ import annotations

from typing import Any

import pytest

from data_sync.management.verbs import rehearsing
from data_sync.models import Change, Changeset
from data_sync.services.rehearsal import Rehearsal
from tests.admin import making
from tests.testapp.models import Term

from .conftest import Run

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)


def state() -> Any:
    return list(Change.objects.values()), list(Changeset.objects.values()), list(Term.objects.values())


def test_a_rehearsal_without_errors_ends_with_0_and_leaves_everything_as_it_was(run: Run) -> None:
    changeset = making.changeset([making.create(1, decision="accepted"), making.create(2)])
    before = state()
    ran = run("apply", changeset.pk, "--rehearse", "--json")
    assert ran.code == 0
    assert {name: ran.document[name] for name in ("changeset", "state", "would_write", "errors", "dependents")} == {
        "changeset": changeset.pk,
        "state": "pending",
        "would_write": 1,
        "errors": [],
        "dependents": [],
    }
    assert ran.document["not_checked"]
    assert state() == before


def test_errors_end_with_2_and_are_told_by_change(run: Run) -> None:
    Term.objects.create(word="word-1", meaning="here already")
    changeset = making.changeset([making.create(1, decision="accepted"), making.create(2, decision="accepted")])
    ran = run("apply", changeset.pk, "--rehearse", "--json")
    assert (ran.code, ran.document["would_write"]) == (2, 1)
    [row] = ran.document["errors"]
    assert (row["change"], row["model"], row["natural_key"], row["operation"]) == (
        1,
        "testapp.term",
        ["word-1"],
        "create",
    )
    assert row["reason"]
    text = run("apply", changeset.pk, "--rehearse")
    assert "1 change would be written; nothing was." in text.out and "#1 create testapp.term:" in text.out
    assert max(map(len, text.out.splitlines())) < 80


def test_a_change_that_was_not_tried_ends_with_2(run: Run) -> None:
    changeset = making.changeset([making.create(1), making.create(2, decision="accepted", requires=[1])])
    ran = run("apply", changeset.pk, "--rehearse", "--json")
    assert (ran.code, ran.document["would_write"], ran.document["errors"]) == (2, 0, [])
    assert [row["change"] for row in ran.document["dependents"]] == [2]


def test_a_refusal_of_everything_ends_with_2_and_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    changeset = making.changeset([making.create(1, decision="accepted")])
    monkeypatch.setattr(rehearsing, "rehearse_changes", lambda *_: Rehearsal(refusals=["It would refuse it all."]))
    assert run("apply", changeset.pk, "--rehearse", "--json").document["refusals"] == ["It would refuse it all."]
    ran = run("apply", changeset.pk, "--rehearse")
    assert ran.code == 2 and "It would refuse it all." in ran.out


def test_a_rehearsal_that_may_not_be_made_ends_with_1(run: Run) -> None:
    changeset = making.changeset([making.create(1)])
    making.user("mira", "view_changeset")
    ran = run("apply", changeset.pk, "--rehearse", "--as", "mira", "--json")
    assert ran.code == 1 and ran.document["error"]
