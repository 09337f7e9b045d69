"""An apply that would not fit into a task is refused before anybody approves it."""

from __future__ import annotations

from typing import Any

import pytest

from data_sync.core.errors import InvalidTransition
from data_sync.models import Changeset
from data_sync.orm.resolution import schemas
from data_sync.services import actors, apply, approval, fitting
from tests.admin import making

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rows_that_fit")]

ACTOR = actors.command_line()


def changeset(count: int, *, accepted: int | None = None, **values: Any) -> Changeset:
    chosen = count if accepted is None else accepted
    return making.changeset(
        [
            making.create(number, decision="accepted" if number <= chosen else "undecided", **values)
            for number in range(1, count + 1)
        ]
    )


def test_the_accepted_changes_count() -> None:
    assert fitting.estimated_seconds(changeset(10)) == 10 / fitting.ROWS_PER_SECOND
    assert fitting.estimated_seconds(changeset(10, accepted=4)) == 4 / fitting.ROWS_PER_SECOND


def test_models_whose_rows_are_saved_one_by_one_take_longer() -> None:
    saved = next(label for label, schema in schemas().items() if schema.registration.save == "model")
    stored = making.changeset([making.create(1, model=saved, decision="accepted"), making.create(2)])
    assert fitting.estimated_seconds(stored) == 1 / fitting.SAVED_PER_SECOND


def test_files_count_one_by_one_and_by_their_size() -> None:
    value = {"name": "a.bin", "size": 5_000_000, "checksum": "sha256:" + "0" * 64}
    document = making.change(
        1,
        model="testapp.document",
        key=["a"],
        after={"name": "a"},
        files={"attachment": {"before": None, "after": value}},
        decision="accepted",
    )
    seconds = fitting.estimated_seconds(making.changeset([document]))
    assert seconds == pytest.approx(1 / fitting.ROWS_PER_SECOND + 1 / fitting.FILES_PER_SECOND + 1.0)


def test_what_does_not_fit_is_not_approved_and_says_what_to_do() -> None:
    stored = changeset(9)
    seconds = fitting.estimated_seconds(stored)
    with pytest.raises(InvalidTransition) as refused:
        approval.approve(stored.pk, ACTOR, revision=0, deadline=seconds)
    told = str(refused.value)
    assert "DATA_SYNC_TASK_DEADLINE" in told and "Pull fewer models" in told
    assert f"data_sync approve {stored.pk}, data_sync apply {stored.pk}" in told
    stored.refresh_from_db()
    assert stored.state == "pending"
    assert approval.approve(stored.pk, ACTOR, revision=0, deadline=seconds * 2).state == "approved"


def test_one_that_was_approved_by_command_is_not_given_to_a_task_that_is_too_short() -> None:
    stored = changeset(9)
    approval.approve(stored.pk, ACTOR, revision=0)
    with pytest.raises(InvalidTransition, match="one transaction and cannot be cut"):
        apply.request_apply(stored.pk, ACTOR, deadline=0.001)
    stored.refresh_from_db()
    assert stored.apply_requested_at is None
    assert apply.request_apply(stored.pk, ACTOR).apply_requested_at is not None
