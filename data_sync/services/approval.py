"""Approving what was decided, and the other ways on from a review: withdraw, reject, override."""

from __future__ import annotations

from django.db import transaction

from data_sync import conf
from data_sync.core.errors import ChangeFailed, InvalidTransition, NotAcknowledged, NotPermitted, RevisionConflict
from data_sync.core.states import ChangesetState, Decision, RenameChoice
from data_sync.models import Changeset, Event
from data_sync.models.time import UtcNow

from . import audit
from .acknowledging import require_acknowledged
from .actors import Actor
from .auto_approval import adopt, release
from .expiry import expire
from .fitting import require_fitting
from .freeing import free_lost_apply
from .keeping import refuse_held
from .outcomes import forget_outcomes
from .plan import Plan
from .reasons import sound_reason
from .requirements import more_like, named, refuse_replacement, unmet_requirements
from .review import decision_counts
from .seals import current_approval_seal, current_content_seal
from .staleness import stale_rows
from .transitions import UNREQUESTED, VOID, move, refusal

APPROVABLE = (ChangesetState.PENDING, ChangesetState.FAILED)
REJECTABLE = (ChangesetState.PENDING, ChangesetState.APPROVED, ChangesetState.BLOCKED)


def approve(changeset_id: int, actor: Actor, *, revision: int, deadline: float | None = None) -> Changeset:
    """Approves the decisions of this revision, and seals them. What an earlier attempt left is forgotten.

    `deadline`: seconds that its apply will have. Raises `RevisionConflict` if somebody decided meanwhile,
    `InvalidTransition` with the reason if nothing is accepted, a requirement is not, the apply would not fit into its
    time, or the stored changes are not those that were pulled; and
    `NotAcknowledged` if an accepted conflict is not acknowledged, or a row was edited here since the pull.
    """
    actor.require("data_sync.approve_changeset")
    expire(changeset_id)  # Then it can be approved anew. Not taken back by an error below.
    return approve_at_once(changeset_id, actor, revision=revision, deadline=deadline)


def approve_at_once(changeset_id: int, actor: Actor, *, revision: int, deadline: float | None) -> Changeset:
    """As `approve`, in a transaction of the caller's, who has looked beforehand whether an approval has expired."""
    actor.require("data_sync.approve_changeset")
    with transaction.atomic():
        approvable = Changeset.objects.filter(
            pk=changeset_id, state__in=[state.value for state in APPROVABLE], revision=revision, purged_at=None
        )
        taken = approvable.update(revision=revision)
        changeset = Changeset.objects.filter(pk=changeset_id).first()
        if not taken or changeset is None:
            if changeset is not None and changeset.state in APPROVABLE and changeset.purged_at is None:
                raise RevisionConflict(
                    f"Changeset {changeset_id} was decided on meanwhile, by somebody else or in another tab. Nothing "
                    "was approved; look again."
                )
            raise InvalidTransition(refusal(changeset_id, "be approved"))
        require_fitting(changeset, deadline)
        _require_approvable(changeset, actor)
        seal = current_approval_seal(changeset)
        move(
            changeset_id,
            APPROVABLE,
            ChangesetState.APPROVED,
            only_if={"revision": revision},
            approval_seal=seal,
            approved_revision=revision,
            approved_at=UtcNow(),
            approved_by=actor.user,
            approval_actor=actor.label,
            approval_unrestricted=actor.unrestricted,
            state_reason="",
            **UNREQUESTED,
        )
        adopt(changeset_id)
        forget_outcomes(changeset_id)
        audit.record(
            changeset_id,
            actor,
            "approved",
            {"revision": revision, "approval_seal": seal, "counts": decision_counts(changeset)},
        )
    return Changeset.objects.get(pk=changeset_id)


def _require_approvable(changeset: Changeset, actor: Actor) -> None:
    if needs_others(changeset, actor):
        raise NotPermitted(
            f"Four eyes are required: somebody other than {changeset.actor}, who asked for the pull, must approve it, "
            "by name."
        )
    if current_content_seal(changeset) != changeset.content_seal:
        raise InvalidTransition(
            f"The stored changes of changeset {changeset.pk} are not those that were pulled: its content seal differs. "
            "Find out who altered them, and pull again."
        )
    accepted = changeset.changes.filter(decision=Decision.ACCEPTED.value)
    if not accepted.exists():
        raise InvalidTransition(f"No change of changeset {changeset.pk} is accepted; accept some, or reject it.")
    require_acknowledged(accepted)
    # A decision that was carried over may have been made before others referred to the row.
    refuse_replacement(changeset, accepted.filter(rename_choice=RenameChoice.REPLACE.value))
    refuse_held(changeset)
    _refuse_stale(changeset)
    unmet = unmet_requirements(changeset)
    if unmet:
        number, missing = min(unmet.items())
        raise InvalidTransition(
            f"Change {named(changeset, [number])} is accepted and requires {named(changeset, missing)}, "
            f"not accepted{more_like(unmet)}. Accept that too, or reject this."
        )


def _refuse_stale(changeset: Changeset) -> None:
    """Raises `NotAcknowledged` where an apply would find that a change no longer fits its row, and `InvalidTransition`
    where it would refuse one: its own rules say so.

    What is decided on many at once has not been looked at row by row.
    """
    try:
        stale = stale_rows(Plan(changeset, {}))
    except ChangeFailed as error:
        number, reason = min(error.reasons.items())
        more = more_like(error.reasons)
        raise InvalidTransition(f"Change {named(changeset, [number])} cannot be applied: {reason}{more}") from error
    except OSError as error:
        raise InvalidTransition(f"The files of accepted rows could not be looked at: {error}. Try again.") from error
    if stale:
        number, reason = min(stale.items())
        raise NotAcknowledged(
            f"Change {named(changeset, [number])} does not fit any more: {reason} Where the row was edited, the change "
            f"can also be accepted anew, as the row is now{more_like(stale)}.",
            number,
        )


def needs_others(changeset: Changeset, actor: Actor) -> bool:
    """Whether four eyes are required, and these are not the other two.

    Where the account of who asked for the pull is gone, its name counts: it may have been made again, and whoever acts
    in its name without review, too.
    """
    if not conf.four_eyes():
        return False
    if actor.user is None:
        return True
    if changeset.requested_by_id is None:
        return changeset.actor in (actor.label, actor.user.get_username())
    is_requester: bool = actor.user.pk == changeset.requested_by_id
    return is_requester


def withdraw(changeset_id: int, actor: Actor) -> None:
    """Takes an approval back; of one that was made without review, the decisions too."""
    actor.require("data_sync.approve_changeset")
    with transaction.atomic():
        free_lost_apply(changeset_id)
        move(changeset_id, [ChangesetState.APPROVED], ChangesetState.PENDING, **VOID)
        audit.record(changeset_id, actor, "withdrawn", {})
        release(changeset_id, [{"code": "withdrawn", "message": f"{actor.label} has withdrawn its approval."}])


def reject(changeset_id: int, actor: Actor, reason: str = "", *, revision: int | None = None, state: str = "") -> None:
    """Closes a changeset without applying it. Raises `RevisionConflict` where it has been decided on or approved since
    the `revision` and `state` that were seen, if these are given."""
    actor.require("data_sync.approve_changeset")
    seen = {name: value for name, value in (("revision", revision), ("state", state)) if value not in (None, "")}
    with transaction.atomic():
        free_lost_apply(changeset_id)
        rejectable = Changeset.objects.filter(pk=changeset_id, state__in=[one.value for one in REJECTABLE])
        if rejectable.exists() and not rejectable.filter(**seen).update(state_reason=reason):
            raise RevisionConflict(
                f"Changeset {changeset_id} was decided on or approved meanwhile. Nothing was changed; look again."
            )
        move(changeset_id, REJECTABLE, ChangesetState.REJECTED, **(VOID | {"state_reason": reason}))
        audit.record(changeset_id, actor, "rejected", {"reason": reason})


def override(changeset_id: int, actor: Actor, reason: str, *, revision: int | None = None) -> None:
    """Lets a blocked changeset through the guards that hold it, and through no others: they stay with it, and the event
    has them with their figures, and the reason. Deletes that are rejected do not lift a guard; this does.

    Raises `InvalidInput` for a reason that says nothing or cannot be kept, and `RevisionConflict` where somebody has
    decided since the `revision` that was seen, if that is given.
    """
    actor.require("data_sync.override_changeset_guard")
    reason = sound_reason(reason)
    with transaction.atomic():
        seen = {} if revision is None else {"revision": revision}
        blocked = Changeset.objects.filter(pk=changeset_id, state=ChangesetState.BLOCKED.value)
        # Writes first: a transaction that has read is refused the write lock by SQLite where another wrote since.
        if not blocked.filter(**seen).update(state_reason="") and blocked.exists():
            raise RevisionConflict(
                f"Changeset {changeset_id} was decided on meanwhile. It is still blocked; look again."
            )
        move(changeset_id, [ChangesetState.BLOCKED], ChangesetState.PENDING, state_reason="")
        guards = Changeset.objects.get(pk=changeset_id).guards
        audit.record(changeset_id, actor, "overridden", {"reason": reason, "guards": guards})


def overridden(changeset: Changeset) -> Event | None:
    """The event that let a changeset through its guards, if somebody has."""
    return changeset.events.filter(action="overridden").last() if changeset.guards else None
