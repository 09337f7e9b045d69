"""Asking for the apply of an approved changeset, which `apply` does: who asks, and what stands in the way of it."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q

from data_sync.core.errors import ApprovalExpired, ApprovalVoid, InvalidTransition, RevisionConflict
from data_sync.core.states import ChangesetState
from data_sync.models import ApplyHeartbeat, Changeset
from data_sync.models.time import UtcNow

from . import auto_standing, leases
from .actors import Actor
from .approval import approve_at_once
from .authority import require_approver, require_authority
from .due import ABANDONED_APPLY, APPLY_LEASE_EXPIRED
from .expiry import expire
from .fitting import require_fitting
from .freeing import free_lost_apply
from .transitions import refusal

_IS_APPROVED = Q(state=ChangesetState.APPROVED.value)


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
    """Records that an approved changeset is to be applied, and by whom; the work is `apply.run_apply`.

    `deadline`: seconds that it will have. A changeset whose apply was killed can be asked for again once its lease has
    expired. Raises `ApprovalVoid` where the approval has expired, or was made without review and may not be relied on
    any more, which voids it; `NotPermitted` also for lack of a permission on one of the models; `RevisionConflict`
    where the approval is not of this revision; `InvalidTransition` with the reason otherwise.
    """
    actor.require("data_sync.apply_changeset")
    # Looked at beforehand, so that nobody waits for the transaction of an apply that is running; and outside of this
    # one: a transaction that has read is refused the write lock by SQLite where another wrote since.
    if not Changeset.objects.filter(_IS_APPROVED | APPLY_LEASE_EXPIRED, pk=changeset_id).exists():
        raise unavailable(changeset_id, Changeset.objects.filter(pk=changeset_id).first())
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
        raise unavailable(changeset_id, changeset, revision)
    require_authority(changeset, actor)
    require_approver(changeset)
    require_fitting(changeset, deadline)
    return changeset


def is_abandoned(changeset: Changeset) -> bool:
    """Whether an apply was asked for and nobody is at it: its worker was killed, or never came to claim it."""
    return Changeset.objects.filter(ABANDONED_APPLY, pk=changeset.pk).exists()


def unavailable(changeset_id: int, changeset: Changeset | None, revision: int | None = None) -> InvalidTransition:
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
