"""Applying: exactly the approved changes of a changeset, or nothing.

Claim (committed) → files under new names → one transaction: lease checked, approval seal recomputed,
every row compared with what the reviewer saw, written, read back, audited, state set. Killed
anywhere, either nothing happened or all did.
"""

from __future__ import annotations

import logging

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, OperationalError, transaction
from django.db.models import Q

from data_sync.core.errors import (
    ApprovalExpired,
    ApprovalVoid,
    ChangeFailed,
    DataSyncError,
    InvalidTransition,
    LeaseLost,
    RevisionConflict,
    StaleChangeset,
)
from data_sync.core.states import ChangesetState, Decision, Outcome
from data_sync.models import ApplyHeartbeat, Changeset
from data_sync.models.time import UtcNow
from data_sync.orm.refusals import words_of
from data_sync.orm.snapshot import read_what_is_committed

from . import audit, auto_standing, leases
from .actors import Actor
from .approval import approve_at_once
from .authority import requester, require_approver, require_authority
from .auto_approval import Reasons
from .due import ABANDONED_APPLY, APPLY_LEASE_EXPIRED, WAITING_APPLY
from .execution import write_rows
from .expiry import expire, refuse_expired
from .fitting import require_fitting
from .freeing import free_lost_apply
from .history import record_history
from .leases import Lease
from .outcomes import store_reasons, store_success
from .plan import Plan
from .promotions import discard_promoted, promote_files
from .read_back import read_back
from .redaction import every_redacted, unexpected
from .rekeyed_baselines import record_written
from .seals import current_approval_seal
from .staleness import check_rows
from .transitions import UNREQUESTED, refusal

logger = logging.getLogger("data_sync")
_IS_APPROVED = Q(state=ChangesetState.APPROVED.value)


class _Unfounded(Exception):
    """An approval without review may not be relied on any more."""

    def __init__(self, against: Reasons) -> None:
        super().__init__()
        self.against = against


def approve_and_request(changeset_id: int, actor: Actor, *, revision: int, deadline: float | None = None) -> Changeset:
    """Approves and asks for the apply: both, or neither where one is refused. Raises what each of them raises."""
    actor.require("data_sync.approve_changeset")
    actor.require("data_sync.apply_changeset")
    expire(changeset_id)
    with transaction.atomic():
        approve_at_once(changeset_id, actor, revision=revision, deadline=deadline)
        return request_apply(changeset_id, actor, revision=revision)


def request_apply(
    changeset_id: int, actor: Actor, *, revision: int | None = None, deadline: float | None = None
) -> Changeset:
    """Records that an approved changeset is to be applied, and by whom; the work is `run_apply`.

    `deadline`: seconds that it will have. A changeset whose apply was killed can be asked for again once its lease has
    expired. Raises `ApprovalVoid` where the approval has expired, or was made without review and may not be relied on
    any more, which voids it; `NotPermitted` also for lack of a permission on one of the models; `RevisionConflict`
    where the approval is not of this revision; `InvalidTransition` with the reason otherwise.
    """
    actor.require("data_sync.apply_changeset")
    # Looked at beforehand, so that nobody waits for the transaction of an apply that is running; and outside of this
    # one: a transaction that has read is refused the write lock by SQLite where another wrote since.
    if not Changeset.objects.filter(_IS_APPROVED | APPLY_LEASE_EXPIRED, pk=changeset_id).exists():
        raise _unavailable(changeset_id, Changeset.objects.filter(pk=changeset_id).first())
    with transaction.atomic():
        free_lost_apply(changeset_id)
        expired = expire(changeset_id)
        unfounded = "" if expired else auto_standing.take_back(changeset_id)
        if not expired and not unfounded:
            return _recorded(changeset_id, actor, revision, deadline)
    # Only here, because an error within the transaction would have taken that back.
    raise ApprovalExpired(expired) if expired else ApprovalVoid(unfounded)


def _recorded(changeset_id: int, actor: Actor, revision: int | None, deadline: float | None) -> Changeset:
    asked = Changeset.objects.filter(_IS_APPROVED, pk=changeset_id)
    if revision is not None:
        asked = asked.filter(approved_revision=revision)
    is_recorded = asked.update(
        apply_requested_at=UtcNow(),
        apply_requested_by=actor.user,
        apply_actor=actor.label,
        apply_unrestricted=actor.unrestricted,
        submitted_at=None,
        submissions=0,
        losses=0,
    )
    changeset = Changeset.objects.filter(pk=changeset_id).first()
    if not is_recorded or changeset is None:
        raise _unavailable(changeset_id, changeset, revision)
    require_authority(changeset, actor)
    require_approver(changeset)
    require_fitting(changeset, deadline)
    return changeset


def is_abandoned(changeset: Changeset) -> bool:
    """Whether an apply was asked for and nobody is at it: its worker was killed, or never came to claim it."""
    return Changeset.objects.filter(ABANDONED_APPLY, pk=changeset.pk).exists()


def run_apply(changeset_id: int) -> Changeset:
    """Applies a changeset that was approved and requested; ends in `applied`, `stale` or `failed`.

    Whoever asked and whoever approved must still be allowed to, or it fails. A changeset that has been applied is given
    as it is: a second delivery does no harm. Raises `ApprovalVoid` where it would begin too late, or the approval was
    made without review and may not be relied on any more, also where the worker before was lost; `Busy` while another
    worker's lease lasts, and `InvalidTransition` in other states.
    """
    refuse_expired(changeset_id)
    token = _claim(changeset_id)
    if token is None:
        return Changeset.objects.get(pk=changeset_id)
    changeset = Changeset.objects.select_related("apply_requested_by").filter(pk=changeset_id, token=token).first()
    if changeset is None:  # Paused just here, for longer than its lease: what is there now is its successor's.
        raise LeaseLost(f"Another worker has taken over changeset {changeset_id}.")
    actor = requester(changeset)
    redacted = every_redacted(changeset)
    try:
        refuse_expired(changeset_id, token=token)
        if changeset.losses > leases.MAX_LOSSES:
            raise InvalidTransition(
                f"Its worker was lost {changeset.losses} times in succession: killed, out of memory or out of time. "
                "Nothing was written. See the log there; pull fewer models at a time, or approve and apply it by "
                f"command, which has no deadline: data_sync approve {changeset_id}, data_sync apply {changeset_id}."
            )
        require_authority(changeset, actor)
        require_approver(changeset)
        with Lease(changeset, token, ApplyHeartbeat, f"Changeset {changeset_id}") as lease:
            files = promote_files(changeset, lease)
            _write(changeset, lease, actor, files)
    except (LeaseLost, ApprovalExpired):
        _discard_files(changeset)
        raise
    except _Unfounded as error:
        said = auto_standing.taken_back(changeset_id, error.against, state=ChangesetState.APPLYING.value, token=token)
        _discard_files(changeset)
        if not said:
            raise LeaseLost(f"Another worker has taken over changeset {changeset_id}.") from error
        raise ApprovalVoid(said) from error
    except StaleChangeset as error:
        _give_up(changeset, actor, ChangesetState.STALE, Outcome.STALE, error.reasons, str(error))
    except ChangeFailed as error:
        _give_up(changeset, actor, ChangesetState.FAILED, Outcome.FAILED, error.reasons, str(error))
    except (OperationalError, InterfaceError) as error:
        words = words_of(error, redacted)
        reason = f"The database is busy or was lost: {words}. Nothing was written; approve and apply again."
        _give_up(changeset, actor, ChangesetState.FAILED, Outcome.FAILED, {}, reason)
    except DataSyncError as error:
        _give_up(changeset, actor, ChangesetState.FAILED, Outcome.FAILED, {}, str(error))
    except DatabaseError as error:
        _give_up(changeset, actor, ChangesetState.FAILED, Outcome.FAILED, {}, words_of(error, redacted))
    except Exception as error:
        reason = unexpected(f"Applying changeset {changeset_id} failed.", error, redacted)
        _give_up(changeset, actor, ChangesetState.FAILED, Outcome.FAILED, {}, reason)
    except KeyboardInterrupt:
        _give_up(changeset, actor, ChangesetState.FAILED, Outcome.FAILED, {}, "It was interrupted.")
        raise
    except BaseException:
        # The process is told to stop, which is no fault of the changeset: whoever comes next applies it.
        leases.end(ApplyHeartbeat, changeset_id, token)
        raise
    else:
        _discard_files(changeset)
    return Changeset.objects.get(pk=changeset_id)


def _claim(changeset_id: int) -> str | None:
    """Takes the lease and gives its token; None if the changeset is applied already."""
    token = leases.new_token()
    row = Changeset.objects.filter(pk=changeset_id).first()
    if row is not None:
        is_taken_over = row.state == ChangesetState.APPLYING
        free = Changeset.objects.filter(WAITING_APPLY, pk=changeset_id, attempt=row.attempt)
        # Looked at beforehand: an update might wait for the transaction of an apply that is running.
        if free.exists():
            with transaction.atomic():
                if is_taken_over:
                    leases.refuse_held_open(free, f"Changeset {changeset_id}")
                if free.update(
                    state=ChangesetState.APPLYING.value,
                    state_reason="",
                    attempt=row.attempt + 1,
                    losses=row.losses + is_taken_over,
                    token=token,
                ):
                    leases.begin(ApplyHeartbeat, changeset_id)
                    return token
    changeset = Changeset.objects.filter(pk=changeset_id).first()
    if changeset is not None and changeset.state == ChangesetState.APPLIED:
        return None
    raise _unavailable(changeset_id, changeset)


def _unavailable(changeset_id: int, changeset: Changeset | None, revision: int | None = None) -> InvalidTransition:
    """Why a changeset can be neither asked for nor claimed."""
    match changeset:
        case Changeset(state=ChangesetState.APPLYING):
            return leases.busy(ApplyHeartbeat, changeset_id, f"Changeset {changeset_id} is being applied")
        case Changeset(state=ChangesetState.APPROVED) if revision not in (None, changeset.approved_revision):
            return RevisionConflict(
                f"The approval of changeset {changeset_id} is not the one you saw. Nothing was applied; look again."
            )
        case _:
            return InvalidTransition(refusal(changeset_id, "be applied"))


def _write(changeset: Changeset, lease: Lease, actor: Actor, files: dict[tuple[int, str], str]) -> None:
    """The one transaction. Its first statement takes the write lock and shows that the lease is ours."""
    holds = Changeset.objects.filter(pk=changeset.pk, state=ChangesetState.APPLYING.value, token=changeset.token)
    read_what_is_committed(DEFAULT_DB_ALIAS)
    with lease.quiet(), transaction.atomic(durable=True):
        if not holds.update(attempt=changeset.attempt):
            raise LeaseLost(f"Another worker has taken over changeset {changeset.pk}.")
        # From here on it can be removed no more.
        changeset.refresh_from_db(fields=["source"])
        # As late as can be: whoever ends trust, or applying without review, is obeyed until the writing begins.
        if against := auto_standing.unfounded(changeset):
            raise _Unfounded(against)
        if current_approval_seal(changeset) != changeset.approval_seal:
            raise InvalidTransition(
                f"The decisions of changeset {changeset.pk} are not those that were approved. Approve it again."
            )
        plan = Plan(changeset, files)
        total = changeset.changes.filter(decision=Decision.ACCEPTED.value).count()
        lease.begin_phase("checking", total)
        check_rows(plan, lease.advance)
        lease.begin_phase("writing", total - len(plan.done))
        write_rows(plan, lease.advance)
        lease.begin_phase("reading back", total)
        read_back(plan, lease.advance)
        record_written(changeset, plan)
        record_history(changeset, plan, actor)
        left_out = store_success(changeset, plan.done)
        counts = {**plan.counts(), "skipped": left_out}
        audit.record(
            changeset.pk,
            actor,
            "applied",
            {"attempt": changeset.attempt, "approval_seal": changeset.approval_seal, "outcomes": counts},
        )
        if not holds.update(state=ChangesetState.APPLIED.value, applied_at=UtcNow()):
            raise LeaseLost(f"Another worker has taken over changeset {changeset.pk}.")


def _give_up(
    changeset: Changeset,
    actor: Actor,
    state: ChangesetState,
    outcome: Outcome,
    reasons: dict[int, str],
    summary: str,
) -> None:
    """Records why nothing was written, under the token; then removes the files that no row refers to."""
    with transaction.atomic():
        held = Changeset.objects.filter(pk=changeset.pk, state=ChangesetState.APPLYING.value, token=changeset.token)
        if not held.update(state=state.value, state_reason=summary, **UNREQUESTED):
            raise LeaseLost(f"Another worker has taken over changeset {changeset.pk}.")
        store_reasons(changeset, outcome, reasons)
        audit.record(
            changeset.pk,
            actor,
            state.value,
            {"attempt": changeset.attempt, "reason": summary, "changes": sorted(reasons)},
        )
    _discard_files(changeset)


def _discard_files(changeset: Changeset) -> None:
    """Removes copied files that no row refers to. What the storage refuses leaves a trace for a later attempt."""
    try:
        discard_promoted(changeset, before_attempt=changeset.attempt + 1)
    except Exception:
        # What became of the changeset is stored already, and true.
        logger.exception("Files copied for changeset %s could not be removed.", changeset.pk)
