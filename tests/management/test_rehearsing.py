"""`apply --rehearse`: what would go wrong, by change, before anybody approves."""

from __future__ import annotations

from typing import Any

import pytest

from data_sync.models import Change, Changeset
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


def test_a_rehearsal_that_may_not_be_made_ends_with_1(run: Run) -> None:
    changeset = making.changeset([making.create(1)])
    making.user("mira", "view_changeset")
    ran = run("apply", changeset.pk, "--rehearse", "--as", "mira", "--json")
    assert ran.code == 1 and ran.document["error"]
