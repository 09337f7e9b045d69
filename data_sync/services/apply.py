"""Applying: exactly the approved changes of a changeset, or nothing.

Claim (committed) → files under new names → one transaction: lease checked, approval seal recomputed,
every row compared with what the reviewer saw, written, read back, audited, state set. Killed
anywhere, either nothing happened or all did.
"""

from __future__ import annotations

import logging

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, OperationalError, transaction

from data_sync.core.errors import (
    ApprovalExpired,
    ApprovalVoid,
    ChangeFailed,
    DataSyncError,
    InvalidTransition,
    LeaseLost,
    StaleChangeset,
)
from data_sync.core.states import ChangesetState, Decision, Outcome
from data_sync.models import ApplyHeartbeat, Changeset
from data_sync.models.time import UtcNow
from data_sync.orm.refusals import words_of
from data_sync.orm.snapshot import read_what_is_committed

from . import audit, auto_standing, leases
from .actors import Actor
from .apply_requests import approve_and_request, is_abandoned, request_apply, unavailable
from .authority import requester, require_approver, require_authority
from .auto_approval import Reasons
from .due import WAITING_APPLY
from .execution import write_rows
from .expiry import refuse_expired
from .history import record_history
from .kept_rows import kept_seal
from .leases import Lease
from .outcomes import store_reasons, store_success
from .plan import Plan
from .promotions import discard_promoted, promote_files
from .read_back import read_back
from .redaction import every_redacted, unexpected
from .rekeyed_baselines import record_written
from .revert import settle
from .seals import current_approval_seal
from .staleness import check_rows
from .transitions import UNREQUESTED

logger = logging.getLogger("data_sync")
__all__ = ["approve_and_request", "is_abandoned", "request_apply", "run_apply"]


class _Unfounded(Exception):
    """An approval without review may not be relied on any more."""

    def __init__(self, against: Reasons) -> None:
        super().__init__()
        self.against = against


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
    raise unavailable(changeset_id, changeset)


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
        if changeset.reverts_id is not None:
            settle(changeset, actor)
        counts = {**plan.counts(), "skipped": left_out}
        kept = kept_seal(changeset)
        audit.record(
            changeset.pk,
            actor,
            "applied",
            {"attempt": changeset.attempt, "approval_seal": changeset.approval_seal, "outcomes": counts}
            | ({"kept_rows": kept} if kept else {}),
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
