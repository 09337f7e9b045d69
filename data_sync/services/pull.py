"""Pulls: asked for, cancelled, claimed by a worker, and how they end."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any

from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import F
from django.db.models.functions import Coalesce

from data_sync.core.errors import DataSyncError, InvalidTransition, LeaseLost, SchemaMismatch
from data_sync.core.states import PullKind, PullState
from data_sync.models import DataPull, DataSource, PullHeartbeat
from data_sync.models.time import UtcNow
from data_sync.orm.resolution import schemas

from . import leases
from .actors import Actor
from .due import ABANDONED_PULL, WAITING_PULL
from .leases import Lease
from .origins import open_origin
from .pull_states import ACTIVE, OVER, finish, forget_answers, move, record_end, record_request
from .pulling import TimeIsUp, Turn, compare_and_store
from .redaction import unexpected

logger = logging.getLogger("data_sync")
PATIENCE_SECONDS, RETRY_SECONDS = 60, 0.5


def request_pull(
    source: DataSource,
    model_labels: Sequence[str],
    actor: Actor,
    *,
    find_renames: bool = True,
    wants_apply: bool = False,
) -> DataPull:
    """A queued pull of a source: of these models, or of all that it offers. `find_renames`: whether a row that only
    its key tells from a deleted one is offered as that row, renamed. `wants_apply`: what it finds is to be applied at
    once, if the source is trusted with that; it takes the permission to apply, too.

    Raises `InvalidTransition` while another pull of the source is active, naming it.
    """
    actor.require("data_sync.pull_datasource")
    if wants_apply:
        actor.require("data_sync.apply_changeset")
    known = schemas()
    unknown = sorted(set(model_labels) - known.keys())
    if unknown:
        raise InvalidTransition(f"Not registered here: {', '.join(unknown)}. Known: {', '.join(sorted(known))}.")
    for _ in range(2):
        # Looked at beforehand: an insert would wait for the transaction of a pull that is being stored.
        active = DataPull.objects.filter(active_source=source.pk).first()
        if active is not None and not give_up_abandoned(active.pk, actor):
            number = active.pk
            raise InvalidTransition(
                f"Pull {number} of {source.name} is {active.state}; wait for it, or cancel it "
                f"(data_sync cancel {number})."
            )
        try:
            with transaction.atomic():
                pull = DataPull.objects.create(
                    source=source,
                    source_name=source.name,
                    model_labels=sorted(set(model_labels)),
                    find_renames=find_renames,
                    wants_apply=wants_apply,
                    active_source=source.pk,
                    requested_by=actor.user,
                    actor=actor.label,
                )
                record_request(pull, actor)
                return pull
        except IntegrityError:
            pass  # Somebody was quicker, who is named in the next round.
    raise InvalidTransition(f"A pull of {source.name} was active until now; try again.")


def is_abandoned(pull: DataPull) -> bool:
    """Whether a pull is to be done and nobody is at it: its worker was killed, or none ever came to claim it."""
    return DataPull.objects.filter(ABANDONED_PULL, pk=pull.pk).exists()


def give_up_abandoned(pull_id: int, actor: Actor) -> bool:
    """Ends a pull that nobody is at, so that another of its source can begin; whether it did."""
    reason = f"Nobody was at it any more when {actor.label} asked for another pull of the source."
    attempt = DataPull.objects.values_list("attempt", flat=True).get(pk=pull_id)
    # The attempt as well: what PostgreSQL asks of heartbeats is as old as the statement, and it may have to wait.
    abandoned = DataPull.objects.filter(ABANDONED_PULL, pk=pull_id, attempt=attempt)
    # Looked at beforehand: an update might wait for the transaction of a pull that is being stored.
    if not abandoned.exists():
        return False
    with transaction.atomic():
        leases.refuse_held_open(abandoned, f"Pull {pull_id}")
        is_over = bool(abandoned.update(state=PullState.FAILED.value, error=reason, **OVER))
        if is_over:
            forget_answers(pull_id)
            record_end(pull_id, actor, PullState.FAILED, {"reason": reason})
    return is_over


def cancel_pull(pull_id: int, actor: Actor) -> None:
    """Stops a queued or running pull; what it was reading is discarded."""
    is_revert = DataPull.objects.filter(pk=pull_id, kind=PullKind.REVERT.value).exists()
    actor.require("data_sync.revert_changeset" if is_revert else "data_sync.pull_datasource")
    active = DataPull.objects.filter(pk=pull_id, state__in=[state.value for state in ACTIVE])
    with transaction.atomic():
        leases.refuse_held_open(active, f"Pull {pull_id}")
        is_over = bool(active.update(state=PullState.CANCELLED.value, error=f"Cancelled by {actor.label}.", **OVER))
        forget_answers(pull_id)
        if is_over:
            record_end(pull_id, actor, PullState.CANCELLED, {})
    if not is_over:
        state = DataPull.objects.filter(pk=pull_id).values_list("state", flat=True).first()
        raise InvalidTransition(
            f"Pull {pull_id} is {state}; there is nothing to cancel." if state else f"There is no pull {pull_id}."
        )


def run_pull(pull_id: int, *, seconds: float | None = None) -> DataPull:
    """Does the work of a queued pull, or of one whose worker was lost.

    With `seconds`, it stops in time before so many have passed, and is queued again: a further task goes on where it
    stood. Whatever goes wrong becomes the pull's `error`, in state `failed`; what nobody foresaw is logged with its
    traceback too. One that is cancelled meanwhile ends as such. Raises `Busy` while another worker's lease lasts, and
    `InvalidTransition` if the pull is over.
    """
    token = _claim(pull_id)
    pull = DataPull.objects.select_related("source", "requested_by").filter(pk=pull_id, token=token).first()
    if pull is None:  # Paused just here, for longer than its lease: what is there now is its successor's.
        raise LeaseLost(f"Another worker has taken over pull {pull_id}.")
    redacted: list[str] = []
    try:
        if pull.losses > leases.MAX_LOSSES:
            raise InvalidTransition(
                f"Its worker was lost {pull.losses} times in succession: killed, out of memory or out of time. See the "
                "log there; pull fewer models at a time, or by command (data_sync pull), which has no deadline."
            )
        with Lease(pull, token, PullHeartbeat, f"Pull {pull_id}") as lease, ExitStack() as stack:
            origin = open_origin(pull)
            stack.callback(origin.close)
            compare_and_store(Turn(pull, origin, lease, stack, seconds, redacted))
    except TimeIsUp as up:
        _queue_again(pull, up.fetched)
    except LeaseLost as lost:
        logger.info("%s", lost)
    except SchemaMismatch as error:
        _fail(pull, str(error), report={"schema": error.differences, "models": []})
    except DataSyncError as error:
        _fail(pull, str(error))
    except Exception as error:
        _fail(pull, unexpected(f"Pull {pull_id} failed.", error, redacted))
    except KeyboardInterrupt:
        _fail(pull, "It was interrupted.")
        raise
    except BaseException:
        # The process is told to stop, which is no fault of the pull: whoever comes next goes on.
        leases.end(PullHeartbeat, pull_id, token)
        raise
    ended = DataPull.objects.get(pk=pull_id)
    if not PullState(ended.state).is_active:
        forget_answers(pull_id)  # Also what this worker has kept after another one had ended the pull.
    return ended


def _queue_again(pull: DataPull, fetched: int) -> None:
    """Gives a pull back for a further task, which is about to be submitted. It has no token then, because its worker
    was not lost."""
    with suppress(LeaseLost):
        move(
            pull,
            PullState.QUEUED,
            token="",
            submitted_at=UtcNow(),
            submissions=1,
            files_fetched=F("files_fetched") + fetched,
        )


def _claim(pull_id: int) -> str:
    """Takes the lease and gives its token."""
    token = leases.new_token()
    row = DataPull.objects.filter(pk=pull_id).first()
    if row is None:
        raise InvalidTransition(f"There is no pull {pull_id}.")
    free = DataPull.objects.filter(WAITING_PULL, pk=pull_id, attempt=row.attempt)
    # Looked at beforehand: an update might wait for the transaction of a pull that is being stored.
    if free.exists():
        with transaction.atomic():
            if row.token:
                leases.refuse_held_open(free, f"Pull {pull_id}")
            if free.update(
                state=PullState.READING.value,
                attempt=row.attempt + 1,
                losses=row.losses + 1 if row.token else 0,
                token=token,
                started_at=Coalesce("started_at", UtcNow()),
            ):
                leases.begin(PullHeartbeat, pull_id)
                return token
    state = DataPull.objects.values_list("state", flat=True).get(pk=pull_id)
    if PullState(state).is_active:
        raise leases.busy(PullHeartbeat, pull_id, f"Pull {pull_id} is being worked at")
    raise InvalidTransition(f"Pull {pull_id} is {state}; ask for another one.")


def _fail(pull: DataPull, reason: str, **values: Any) -> None:
    """Ends a pull as failed; one that was cancelled or taken over meanwhile stays what it is.

    While the database is busy this is tried again: until it is recorded, no other pull of the source can begin.
    """
    last_try = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with suppress(LeaseLost):
                finish(pull, PullState.FAILED, told={"reason": reason}, error=reason, **values)
            return
        except OperationalError:
            if connection.in_atomic_block or time.monotonic() > last_try:
                raise
            connection.close_if_unusable_or_obsolete()
            time.sleep(RETRY_SECONDS)
