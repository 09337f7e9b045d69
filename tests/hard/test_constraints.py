"""Validators, which warn; constraints, which the database keeps; and columns that it computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connections

from data_sync.core.states import ChangesetState, Operation
from data_sync.services.rehearsal import rehearse
from tests.environments import Environments

from .bringing import bring, operations, pending, rows
from .models import Booking, Checked, Limits, Total


def warned(environments: Environments) -> dict[str, list[str]]:
    changeset = pending(environments)
    return {
        change.key_text: sorted(warning["field"] for warning in change.warnings) for change in changeset.changes.all()
    }


def test_what_a_validator_would_refuse_is_a_warning_and_can_be_applied(environments: Environments) -> None:
    rows(Checked, "source").create(name="odd", number=3)
    rows(Checked, "source").create(name="everything", number=-11, colour="pink", mail="no address")
    rows(Checked, "source").create(name="fine", number=4, colour="green", mail="a@example.com")
    assert {name: set(fields) for name, fields in warned(environments).items()} == {
        "odd": {"number"},
        "everything": {"number", "colour", "mail"},
        "fine": set(),
    }
    bring(environments)


def test_only_what_changes_is_warned_about(environments: Environments) -> None:
    environments.add(Checked, name="c", number=3, colour=("pink", "red"))
    assert warned(environments) == {"c": ["colour"]}


def test_columns_that_are_checked_together_change_together(environments: Environments) -> None:
    """Neither column could change first."""
    environments.add(Limits, name="up", low=(20, 0), high=(30, 10))
    environments.add(Limits, name="down", low=(0, 20), high=(10, 30))
    rows(Limits, "source").create(name="new", low=5, high=5)
    bring(environments)


@contextmanager
def unchecked(alias: str) -> Iterator[None]:
    """A side whose table lets through what the check forbids; its rows are removed at the end."""
    connection = connections[alias]
    off, on = {
        "sqlite": ("PRAGMA ignore_check_constraints = ON", "PRAGMA ignore_check_constraints = OFF"),
        "mysql": ("SET check_constraint_checks = 0", "SET check_constraint_checks = 1"),
        "postgresql": (
            "ALTER TABLE hard_limits DROP CONSTRAINT hard_low_up_to_high, DROP CONSTRAINT hard_not_too_far",
            "ALTER TABLE hard_limits ADD CONSTRAINT hard_low_up_to_high CHECK (low <= high), "
            "ADD CONSTRAINT hard_not_too_far CHECK (high < low + 1000)",
        ),
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(off)
        try:
            yield
        finally:
            rows(Limits, alias).all().delete()
            cursor.execute(on)


def test_what_a_check_of_the_target_forbids_is_known_before_approval(environments: Environments) -> None:
    rows(Limits, "default").create(name="alters", low=1, high=2)
    with unchecked("source"):
        rows(Limits, "source").create(name="wrong", low=2, high=1)
        rows(Limits, "source").create(name="alters", low=3, high=2)
        rows(Limits, "source").create(name="right", low=1, high=2)
        changeset = pending(environments)
    problems = {change.key_text: change.problems for change in changeset.changes.all()}
    assert [problem["code"] for problem in problems["wrong"]] == ["check"]
    assert "hard_low_up_to_high" in problems["alters"][0]["message"] and problems["alters"][0]["field"] == "low"
    assert problems["right"] == []


def test_what_only_the_database_can_check_fails_the_apply_and_names_the_row(environments: Environments) -> None:
    with unchecked("source"):
        rows(Limits, "source").create(name="wrong", low=1, high=5000)
        rows(Limits, "source").create(name="right", low=1, high=2)
        changeset = pending(environments)
        environments.accept_all(changeset)
        with environments.untouched():
            done = environments.apply(environments.approve(changeset))
    assert done.state == ChangesetState.FAILED
    assert "wrong" in done.state_reason, done.state_reason
    reasons = dict(changeset.changes.values_list("key_text", "outcome_reason"))
    assert "refused" in reasons["wrong"] and "refused" not in reasons["right"]


def booked(alias: str, spans: dict[str, tuple[int, int]]) -> None:
    for name, (start, end) in spans.items():
        rows(Booking, alias).create(name=name, start=start, end=end)


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ({"a": (0, 5), "b": (5, 9)}, {"a": (0, 4), "b": (4, 9), "c": (9, 12)}),
        ({"a": (0, 5), "gone": (5, 9)}, {"a": (0, 9)}),
        ({"a": (0, 5), "gone": (5, 9)}, {"a": (0, 5), "new": (6, 8)}),
        ({"a": (0, 2), "b": (2, 4), "c": (4, 6)}, {"a": (1, 3), "b": (3, 5), "c": (5, 7)}),
    ],
    ids=["a border moves", "over a gone one", "in place of a gone one", "all shift"],
)
def test_spans_that_must_not_overlap_move(
    environments: Environments, here: dict[str, tuple[int, int]], there: dict[str, tuple[int, int]]
) -> None:
    booked("default", here)
    booked("source", there)
    bring(environments)
    held = rows(Booking, "default").values_list("name", "start", "end")
    assert {name: (start, end) for name, start, end in held} == there


def test_spans_that_are_exchanged_are_written_or_refused_by_name(environments: Environments) -> None:
    """Where they must not overlap, no order of writing leads there; trying it before approval says so."""
    booked("default", {"a": (0, 5), "b": (5, 9)})
    booked("source", {"a": (5, 9), "b": (0, 5)})
    if connections["default"].vendor != "postgresql":
        bring(environments)
        return
    changeset = pending(environments)
    with environments.untouched():
        tried = rehearse(changeset.pk, environments.actor)
        assert any("hard_no_overlap" in message for message in tried.errors.values())
        environments.accept_all(changeset)
        done = environments.apply(environments.approve(changeset))
    assert done.state == ChangesetState.FAILED
    assert "hard.booking" in done.state_reason and "hard_no_overlap" in done.state_reason


def test_a_column_that_the_database_computes_follows(environments: Environments) -> None:
    environments.add(Total, name="edited", count=(3, 2), price=7)
    rows(Total, "source").create(name="new", count=4, price=5)
    changeset = bring(environments)
    assert operations(changeset) == {
        ("hard.total", "edited"): Operation.UPDATE,
        ("hard.total", "new"): Operation.CREATE,
    }
    assert dict(rows(Total, "default").values_list("name", "product")) == {"edited": 21, "new": 20}
    assert all("product" not in (change.after or {}) for change in changeset.changes.all())
