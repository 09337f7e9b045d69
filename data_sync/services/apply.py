"""Applying: exactly the approved changes of a changeset, or nothing.

Claim (committed) → files under new names → one transaction: lease checked, approval seal recomputed,
every row compared with what the reviewer saw, written, read back, audited, state set. Killed
anywhere, either nothing happened or all did.
"""

from __future__ import annotations

import logging
import secrets
from datetime import timedelta

from django.db import DatabaseError, transaction
from django.db.models import Q, Value

from data_sync import conf
from data_sync.core.errors import ChangeFailed, DataSyncError, InvalidTransition, LeaseLost, StaleChangeset
from data_sync.core.states import ChangesetState, Decision, Operation, Outcome
from data_sync.models import Changeset
from data_sync.models.time import UtcNow
from data_sync.orm.snapshot import read_what_is_committed

from . import audit
from .actors import Actor, command_line, of_user
from .execution import write_rows
from .history import record_history
from .plan import Plan
from .promotions import discard_promoted, promote_files
from .read_back import read_back
from .seals import current_approval_seal
from .staleness import check_rows
from .transitions import refusal

logger = logging.getLogger("data_sync")
PERMISSION_OF = {Operation.CREATE: "add", Operation.UPDATE: "change", Operation.DELETE: "delete"}


def request_apply(changeset_id: int, actor: Actor) -> Changeset:
    """Records that an approved changeset is to be applied, and by whom; the work is `run_apply`.

    Raises `NotPermitted` also for lack of a model's own add, change or delete permission.
    """
    actor.require("data_sync.apply_changeset")
    changeset = Changeset.objects.filter(pk=changeset_id).first()
    if changeset is None:
        raise InvalidTransition(f"There is no changeset {changeset_id}.")
    accepted = changeset.changes.filter(decision=Decision.ACCEPTED.value).order_by()
    for label, operation in accepted.values_list("model", "operation").distinct():
        app_label, name = label.split(".")
        actor.require(f"{app_label}.{PERMISSION_OF[Operation(operation)]}_{name}")
    requested = Changeset.objects.filter(
        pk=changeset_id, state__in=[ChangesetState.APPROVED.value, ChangesetState.APPLYING.value]
    ).update(apply_requested_at=UtcNow(), apply_requested_by=actor.user, apply_actor=actor.label)
    if not requested:
        raise InvalidTransition(refusal(changeset_id, "be applied"))
    return Changeset.objects.get(pk=changeset_id)


def run_apply(changeset_id: int) -> Changeset:
    """Applies a changeset that was approved and requested; ends in `applied`, `stale` or `failed`.

    A changeset that has been applied is given as it is: a second delivery does no harm. Raises
    `InvalidTransition` in other states, also while another worker's lease lasts.
    """
    token = _claim(changeset_id)
    if token is None:
        return Changeset.objects.get(pk=changeset_id)
    changeset = Changeset.objects.select_related("apply_requested_by").get(pk=changeset_id)
    actor = _requester(changeset)
    try:
        files = promote_files(changeset)
        _write(changeset, token, actor, files)
        discard_promoted(changeset, before_attempt=changeset.attempt + 1)
    except LeaseLost:
        discard_promoted(changeset, before_attempt=changeset.attempt + 1)
        raise
    except StaleChangeset as error:
        _give_up(changeset, token, actor, ChangesetState.STALE, Outcome.STALE, error.reasons, str(error))
    except ChangeFailed as error:
        _give_up(changeset, token, actor, ChangesetState.FAILED, Outcome.FAILED, error.reasons, str(error))
    except (DataSyncError, DatabaseError) as error:
        _give_up(changeset, token, actor, ChangesetState.FAILED, Outcome.FAILED, {}, str(error))
    except Exception as error:
        logger.exception("Applying changeset %s failed.", changeset_id)
        reason = f"Unexpected {type(error).__name__}: {error}"
        _give_up(changeset, token, actor, ChangesetState.FAILED, Outcome.FAILED, {}, reason)
    except BaseException:
        _give_up(changeset, token, actor, ChangesetState.FAILED, Outcome.FAILED, {}, "It was interrupted.")
        raise
    return Changeset.objects.get(pk=changeset_id)


def _claim(changeset_id: int) -> str | None:
    """Takes the lease and gives its token; None if the changeset is applied already."""
    token = secrets.token_hex(16)
    free = Q(state=ChangesetState.APPROVED.value, apply_requested_at__isnull=False) | Q(
        state=ChangesetState.APPLYING.value, lease_expires_at__lt=UtcNow()
    )
    previous = Changeset.objects.filter(pk=changeset_id).values_list("attempt", flat=True).first()
    claimed = previous is not None and Changeset.objects.filter(free, pk=changeset_id, attempt=previous).update(
        state=ChangesetState.APPLYING.value,
        state_reason="",
        attempt=previous + 1,
        token=token,
        lease_expires_at=UtcNow() + Value(timedelta(seconds=conf.lease_seconds())),
    )
    if claimed:
        return token
    changeset = Changeset.objects.filter(pk=changeset_id).first()
    if changeset is not None and changeset.state == ChangesetState.APPLIED:
        return None
    if changeset is not None and changeset.state == ChangesetState.APPLYING and changeset.lease_expires_at:
        raise InvalidTransition(
            f"Changeset {changeset_id} is being applied by another worker, whose lease lasts until "
            f"{changeset.lease_expires_at.isoformat(timespec='seconds')}. If that worker is gone, apply again then."
        )
    raise InvalidTransition(refusal(changeset_id, "be applied"))


def _requester(changeset: Changeset) -> Actor:
    if changeset.apply_requested_by is not None:
        return of_user(changeset.apply_requested_by)
    return Actor(label=changeset.apply_actor or command_line().label, unrestricted=True)


def _write(changeset: Changeset, token: str, actor: Actor, files: dict[tuple[int, str], str]) -> None:
    """The one transaction. Its first statement takes the write lock and shows that the lease is ours."""
    holds = Changeset.objects.filter(pk=changeset.pk, state=ChangesetState.APPLYING.value, token=token)
    read_what_is_committed("default")
    with transaction.atomic(durable=True):
        if not holds.update(attempt=changeset.attempt):
            raise LeaseLost(f"Another worker has taken over changeset {changeset.pk}.")
        if current_approval_seal(changeset) != changeset.approval_seal:
            raise InvalidTransition(
                f"The decisions of changeset {changeset.pk} are not those that were approved. Approve it again."
            )
        plan = Plan(changeset, files)
        check_rows(plan)
        write_rows(plan)
        read_back(plan)
        record_history(changeset, plan, actor)
        _store_outcomes(changeset, plan.unchanged)
        counts = {**plan.counts(), "skipped": _skipped(changeset)}
        audit.record(
            changeset.pk,
            actor,
            "applied",
            {"attempt": changeset.attempt, "approval_seal": changeset.approval_seal, "outcomes": counts},
        )
        if not holds.update(state=ChangesetState.APPLIED.value, applied_at=UtcNow(), lease_expires_at=None):
            raise LeaseLost(f"Another worker has taken over changeset {changeset.pk}.")


def _store_outcomes(changeset: Changeset, unchanged: list[int]) -> None:
    accepted = changeset.changes.filter(decision=Decision.ACCEPTED.value)
    accepted.exclude(number__in=unchanged).update(outcome=Outcome.APPLIED.value, outcome_reason="")
    accepted.filter(number__in=unchanged).update(outcome=Outcome.UNCHANGED.value, outcome_reason="")
    changeset.changes.exclude(decision=Decision.ACCEPTED.value).update(outcome=Outcome.SKIPPED.value, outcome_reason="")


def _skipped(changeset: Changeset) -> int:
    return changeset.changes.exclude(decision=Decision.ACCEPTED.value).count()


def _give_up(
    changeset: Changeset,
    token: str,
    actor: Actor,
    state: ChangesetState,
    outcome: Outcome,
    reasons: dict[int, str],
    summary: str,
) -> None:
    """Records why nothing was written, under the token; then removes the files that no row refers to."""
    with transaction.atomic():
        moved = Changeset.objects.filter(pk=changeset.pk, state=ChangesetState.APPLYING.value, token=token).update(
            state=state.value, state_reason=summary, lease_expires_at=None
        )
        if not moved:
            raise LeaseLost(f"Another worker has taken over changeset {changeset.pk}.")
        changeset.changes.filter(decision=Decision.ACCEPTED.value).update(
            outcome=Outcome.SKIPPED.value,
            outcome_reason="Nothing was written, because other changes could not be.",
        )
        for number, reason in reasons.items():
            changeset.changes.filter(number=number).update(outcome=outcome.value, outcome_reason=reason)
        audit.record(
            changeset.pk,
            actor,
            state.value,
            {"attempt": changeset.attempt, "reason": summary, "changes": sorted(reasons)},
        )
    discard_promoted(changeset, before_attempt=changeset.attempt + 1)
