"""What is handed over again because it was lost."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone

from data_sync.core.states import ChangesetState, PullState
from data_sync.models import Changeset, DataPull
from data_sync.services import due
from data_sync.services.due import Submission
from tests import leasing
from tests.admin import making

pytestmark = pytest.mark.django_db


def ago(**values: int) -> Any:
    return timezone.now() - timedelta(**values)


def a_pull(asked: Any, **values: Any) -> DataPull:
    pull = making.pull(**{"state": "queued", **values})
    DataPull.objects.filter(pk=pull.pk).update(created_at=asked)
    return pull


def an_apply(asked: Any, **values: Any) -> Changeset:
    return making.changeset([], **{"state": "approved", "apply_requested_at": asked, **values})


@pytest.mark.parametrize(
    ("submissions", "submitted", "is_due"),
    [
        (0, None, True),  # Lost between the commit and the queue.
        (3, None, True),  # The queue did not take it.
        (1, {"minutes": 4}, False),
        (1, {"minutes": 6}, True),
        (2, {"minutes": 6}, False),
        (2, {"minutes": 11}, True),
        (5, {"minutes": 59}, False),
        (99, {"minutes": 61}, True),
    ],
)
def test_what_a_queue_was_told_is_told_again_at_growing_intervals(
    submissions: int, submitted: dict[str, int] | None, is_due: bool
) -> None:
    values = {"submissions": submissions, "submitted_at": ago(**submitted) if submitted else None}
    pull = a_pull(ago(hours=3), **values)
    changeset = an_apply(ago(hours=2), **values)
    assert due.due(10) == ([("pull", pull.pk), ("apply", changeset.pk)] if is_due else [])


def test_who_asked_has_a_minute_to_hand_it_over() -> None:
    a_pull(ago(seconds=50))
    an_apply(ago(seconds=50))
    assert due.due(10) == []


def test_the_oldest_comes_first_and_no_more_than_were_asked_for() -> None:
    apply = an_apply(ago(hours=3))
    first = a_pull(ago(hours=2))
    a_pull(ago(hours=1))
    assert due.due(2) == [("apply", apply.pk), ("pull", first.pk)]


@pytest.mark.parametrize("state", ["reading", "comparing"])
def test_a_pull_whose_worker_was_lost_is_due_at_once(state: str) -> None:
    pull = a_pull(ago(hours=1), state=state, submissions=1, submitted_at=ago(seconds=90))
    leasing.beat(pull, 10)
    assert due.due(10) == []
    leasing.beat(pull, -10)
    assert due.due(10) == [("pull", pull.pk)]
    assert due.take("pull", pull.pk) == Submission(kind="pull", pk=pull.pk, number=2)
    assert due.due(10) == [], "the queue has been told"


def test_an_apply_whose_worker_was_lost_is_due_at_once() -> None:
    changeset = an_apply(ago(hours=1), state="applying", submissions=1, submitted_at=ago(seconds=90))
    leasing.beat(changeset, 10)
    assert due.due(10) == []
    leasing.beat(changeset, -10)
    assert due.take("apply", changeset.pk) == Submission(kind="apply", pk=changeset.pk, number=2)
    assert due.take("apply", changeset.pk) is None


@pytest.mark.parametrize("state", [state for state in PullState if state not in ("queued", "reading", "comparing")])
def test_a_pull_that_is_over_is_not_due(state: PullState) -> None:
    pull = a_pull(ago(hours=1), state=state.value)
    leasing.beat(pull, -10)
    assert due.due(10) == [] and due.note_submission("pull", pull.pk) is None


@pytest.mark.parametrize("state", [state for state in ChangesetState if state not in ("approved", "applying")])
def test_a_changeset_that_nobody_waits_for_is_not_due(state: ChangesetState) -> None:
    changeset = an_apply(ago(hours=1), state=state.value)
    leasing.beat(changeset, -10)
    assert due.due(10) == [] and due.note_submission("apply", changeset.pk) is None


def test_an_approved_changeset_that_nobody_wants_applied_yet_is_not_due() -> None:
    changeset = an_apply(None)
    assert due.due(10) == [] and due.note_submission("apply", changeset.pk) is None


def test_what_a_queue_did_not_take_is_due_at_once() -> None:
    pull = a_pull(ago(hours=1))
    submission = due.take("pull", pull.pk)
    assert submission is not None and due.due(10) == []
    due.give_back(submission)
    assert due.due(10) == [("pull", pull.pk)]
    later = due.take("pull", pull.pk)
    assert later is not None
    due.give_back(submission)
    assert due.due(10) == [], "which the later submission is not"


def test_submissions_are_counted() -> None:
    pull = a_pull(ago(seconds=1))
    assert [due.note_submission("pull", pull.pk) for _ in range(2)] == [
        Submission(kind="pull", pk=pull.pk, number=1),
        Submission(kind="pull", pk=pull.pk, number=2),
    ]


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_take_it_once() -> None:
    pull = a_pull(ago(hours=1))
    taken: list[Submission | None] = []
    begin = threading.Barrier(6)

    def take() -> None:
        begin.wait()
        try:
            taken.append(due.take("pull", pull.pk))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one for one in taken if one] == [Submission(kind="pull", pk=pull.pk, number=1)]


@pytest.mark.django_db(transaction=True)
def test_what_a_transaction_holds_is_left_for_the_next_time() -> None:
    if not connection.features.has_select_for_update_skip_locked:
        pytest.skip("this database cannot skip what is locked")
    changeset = an_apply(ago(hours=1), state="applying")
    leasing.beat(changeset, -10)
    with leasing.held_open():
        assert due.take("apply", changeset.pk) is None
    assert due.take("apply", changeset.pk)
