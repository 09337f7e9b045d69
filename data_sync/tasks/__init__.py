"""The one place that starts work: always once the transaction that recorded it is committed.

`submit` has work done, `deliver` does it for a queue, `sweep` finds what was lost between the two. The truth about work
is stored state: what a queue or its backend makes of a task is neither asked nor believed.
"""

from __future__ import annotations

import logging
import math
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import assert_never

from django.db import Error, transaction

from data_sync import conf
from data_sync.core.errors import Busy, DataSyncError, HandOverFailed, InvalidTransition, LeaseLost
from data_sync.core.states import PullState
from data_sync.core.unquoted import unquoted
from data_sync.services import auto_apply, due, expiry, ledger
from data_sync.services.apply import run_apply
from data_sync.services.due import Kind, Submission, TaskKind
from data_sync.services.pull import run_pull
from data_sync.services.pull_states import forget_answers_of_the_past
from data_sync.services.redaction import redacted_here, unexpected

from . import choice, functions, google_queue

SWEPT_AT_ONCE = 100
SWEPT_BY_A_TASK = 5
"""Few, because they are handed over within the time that the task has for its own work."""

logger = logging.getLogger("data_sync")


class Delivery(StrEnum):
    """What a sweep made of one piece of work."""

    HANDED_OVER = "handed over"
    DONE = "done"
    BUSY = "busy"
    TAKEN = "taken"
    FAILED = "failed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """`reason`: why it was not delivered; "" where it was."""

    kind: Kind
    pk: int
    delivery: Delivery
    reason: str = ""


def submit(kind: Kind, pk: int, *, here: bool = False) -> None:
    """Has a pull or an apply done, after commit: by the queue that is chosen, else in the request.

    `here`: in this process whatever queue there is, for commands, which have no deadline and whose caller waits for
    what comes of it. What came of it is stored state. Raises `HandOverFailed` where the queue does not take it, which
    loses nothing; and where there is no queue, whatever the work raises.
    """
    transaction.on_commit(partial(_work_here if here else _start, kind, pk))


def deadline() -> float | None:
    """Seconds that a task of the chosen queue may take; None: it has no limit that is known, or there is no queue."""
    try:
        queue = choice.chosen()
    except Exception:
        return None  # `submit` says what is wrong with the queue.
    if queue is None or queue.is_immediate:
        return None
    return google_queue.deadline() if queue.is_cloud_tasks else conf.task_deadline()


def run(kind: Kind, pk: int, *, seconds: float | None = None) -> None:
    """Does work that has been delivered, in at most so many seconds if there is a limit.

    A delivery too many, or one that comes late, does nothing and is no error. Raises `Busy` while another worker is at
    it. What else escapes, such as a database that is away, asks for another delivery. A pull that came to the end of a
    task's time is submitted again; after one that may be applied without review, that is.
    """
    try:
        following = _work(kind, pk, seconds=seconds)
        if following is not None:
            submit(*following)
    except Busy:
        raise
    except (InvalidTransition, LeaseLost) as error:
        logger.info("A delivery of %s is over: %s", _name(kind, pk), error)


def deliver(kind: Kind, pk: int) -> None:
    """`run`, for a task; which first hands over a little of what has been lost, so that a queue mends itself."""
    until = time.monotonic() + (deadline() or math.inf)
    _sweep_a_little(kind, pk)
    left = until - time.monotonic()
    run(kind, pk, seconds=None if left == math.inf else max(1.0, left))


def sweep(limit: int = SWEPT_AT_ONCE) -> list[Swept]:
    """Delivers what was lost: handed to the queue, or done here where there is none. Says what happened to each.

    Approvals that hold no longer are voided first, and heads of the audit trail's chains marked that were not.

    What fails is due again later and holds up no other; but the first that the queue refuses ends the sweep.
    """
    forget_answers_of_the_past()
    ledger.complete(limit)
    expired = expiry.expire_all(limit)
    swept = [Swept(kind="apply", pk=pk, delivery=Delivery.EXPIRED, reason=said) for pk, said in expired]
    for kind, pk in due.due(limit):
        try:
            delivery, reason = _sweep_one(kind, pk), ""
        except Busy as busy:
            delivery, reason = Delivery.BUSY, str(busy)
        except HandOverFailed as error:
            swept.append(Swept(kind=kind, pk=pk, delivery=Delivery.FAILED, reason=str(error)))
            break
        except DataSyncError as error:
            logger.exception(_swept(kind, pk))
            delivery, reason = Delivery.FAILED, f"{type(error).__name__}: {error}"
        except Exception as error:
            delivery, reason = Delivery.FAILED, unexpected(_swept(kind, pk), error, redacted_here())
        swept.append(Swept(kind=kind, pk=pk, delivery=delivery, reason=reason))
    return swept


def _swept(kind: Kind, pk: int) -> str:
    return f"{_name(kind, pk)} was swept, and failed."


def _start(kind: Kind, pk: int) -> None:
    try:
        queue = _queue(kind, pk)
    except HandOverFailed:
        with suppress(Error):
            submission = due.note_submission(kind, pk)
            if submission is not None:
                due.give_back(submission)  # So that the next sweep tries it, and need not wait.
        raise
    if queue is None:
        _work_here(kind, pk)
        return
    try:
        submission = due.note_submission(kind, pk)
    except Exception as error:
        raise _failure(kind, pk, error) from error
    if submission is not None:
        _hand_over(queue, submission)


def _work_here(kind: Kind, pk: int) -> None:
    """Does it, and what follows from it."""
    following: tuple[Kind, int] | None = (kind, pk)
    while following is not None:
        following = _work(*following)


def _work(kind: Kind, pk: int, *, seconds: float | None = None) -> tuple[Kind, int] | None:
    """Does it, of a pull as much as can be done in so many seconds; gives what has to be done after it.

    That is the same pull again, or the apply of what it has found.
    """
    match kind:
        case "pull":
            pull = run_pull(pk, seconds=seconds)
            if pull.state == PullState.QUEUED:
                return "pull", pk
            changeset = auto_apply.due_of(pull)
            return None if changeset is None else ("apply", changeset)
        case "apply":
            if auto_apply.settle(pk, deadline=seconds):
                run_apply(pk)
            return None
        case _:
            assert_never(kind)


def _sweep_one(kind: Kind, pk: int) -> Delivery:
    # Before it is taken: what nobody can be given stays due.
    queue = _queue(kind, pk)
    submission = due.take(kind, pk)
    if submission is None:
        return Delivery.TAKEN
    if queue is None or queue.is_immediate:
        try:
            run(kind, pk)
        except InvalidTransition:
            raise
        except Exception:
            due.give_back(submission)
            raise
        return Delivery.DONE
    _hand_over(queue, submission)
    return Delivery.HANDED_OVER


def _sweep_a_little(kind: Kind, pk: int) -> None:
    """Hands over some of what is due, besides this. Does none of it here, and is never the reason why a task fails."""
    try:
        queue = choice.chosen()
        if queue is None or queue.is_immediate:
            return
        others = [other for other in due.due(SWEPT_BY_A_TASK + 1) if other != (kind, pk)]
        for other in others[:SWEPT_BY_A_TASK]:
            submission = due.take(*other)
            if submission is not None:
                _hand_over(queue, submission)
    except HandOverFailed:
        pass  # Logged where it was raised.
    except Exception:
        logger.exception("What is due could not be looked for.")


def _queue(kind: Kind, pk: int) -> choice.Queue | None:
    try:
        return choice.chosen()
    except choice.ForeignBackend as error:
        raise _failure(kind, pk, error) from error
    except Exception as error:
        # Of a backend that cannot be made is shown what the system check shows: what it says may hold a password.
        reason = f'TASKS["{functions.ALIAS}"] cannot be used: {unquoted(error)}'
        raise _failure(kind, pk, error, reason) from error


def _hand_over(queue: choice.Queue, submission: Submission) -> None:
    try:
        queue.enqueue(submission)
    except Exception as error:
        with suppress(Error):  # Then it is due a little later.
            due.give_back(submission)
        raise _failure(submission.kind, submission.pk, error) from error


def _failure(kind: TaskKind, pk: int, error: Exception, reason: str = "") -> HandOverFailed:
    logger.error("%s could not be handed to the queue.", _name(kind, pk), exc_info=error)
    reason = reason or str(error) or type(error).__name__
    return HandOverFailed(
        f"{_name(kind, pk)} is asked for, but could not be handed to the queue: {reason.rstrip('.')}. "
        "It is not lost: the next sweep hands it over (data_sync sweep)."
    )


def _name(kind: TaskKind, pk: int) -> str:
    match kind:
        case "pull":
            return f"Pull {pk}"
        case "apply":
            return f"The apply of changeset {pk}"
        case "notify":
            return f"What is to be told of event {pk}"
        case _:
            assert_never(kind)
