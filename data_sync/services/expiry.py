"""How long an approval holds. Time is the database's, as for leases; the latest word is had by whoever is to apply."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet, Value

from data_sync import conf
from data_sync.core.errors import ApprovalExpired
from data_sync.core.states import ChangesetState
from data_sync.models import Changeset
from data_sync.models.time import UtcNow

from . import audit
from .actors import Actor
from .auto_approval import release
from .transitions import VOID

CLOCK = Actor(label="data_sync")
"""Who is named where an approval has run out: nobody did it."""


def holds_until(changeset: Changeset) -> datetime | None:
    """When the approval of an approved changeset runs out; None: never, or there is none."""
    hours = conf.approval_hours()
    if hours is None or changeset.state != ChangesetState.APPROVED or changeset.approved_at is None:
        return None
    return changeset.approved_at + timedelta(hours=hours)


def has_expired(changeset: Changeset) -> bool:
    """Whether it is approved by an approval that holds no longer. Changes nothing."""
    return changeset.state == ChangesetState.APPROVED and _expired().filter(pk=changeset.pk).exists()


def expire(changeset_id: int, *, token: str = "") -> str:
    """Voids the approval of a changeset if it holds no longer, and says so; "" if there was nothing to void.

    An apply that somebody has claimed is not looked at: it was in time when it began. But one that is begun anew is, by
    whoever has claimed that, and gives the `token`.
    """
    found = _expired(token).filter(pk=changeset_id).first()
    if found is None or found.approved_at is None:
        return ""
    with transaction.atomic():
        # With its time: who approved anew in between is not voided.
        same = _expired(token).filter(pk=changeset_id, approved_at=found.approved_at)
        if not same.update(state=ChangesetState.PENDING.value, **VOID):
            return ""
        detail = {"approved_by": found.approval_actor, "approved_at": found.approved_at.isoformat()}
        audit.record(changeset_id, CLOCK, "approval_expired", detail | {"hours": conf.approval_hours()})
        by_nobody = release(changeset_id, [{"code": "expired", "message": "Its approval without review has expired."}])
    decisions = "without the decisions that nobody made" if by_nobody else "with its decisions"
    return (
        f"The approval of changeset {changeset_id} by {found.approval_actor} has expired: it held for "
        f"{conf.approval_hours():g} hours (DATA_SYNC_APPROVAL_HOURS). Nothing was written; it is pending again, "
        f"{decisions}. Look again, and have it approved anew."
    )


def expire_all(limit: int) -> list[tuple[int, str]]:
    """Voids every approval that holds no longer, the oldest first, at most so many. Gives numbers, and what to say."""
    numbers = _expired().order_by("approved_at", "pk").values_list("pk", flat=True)
    return [(pk, said) for pk in list(numbers[:limit]) if (said := expire(pk))]


def refuse_expired(changeset_id: int, *, token: str = "") -> None:
    """Raises `ApprovalExpired` where there was an approval to be voided. To be called outside of transactions that an
    error would take back."""
    if said := expire(changeset_id, token=token):
        raise ApprovalExpired(said)


def _expired(token: str = "") -> QuerySet[Changeset]:
    hours = conf.approval_hours()
    if hours is None:
        return Changeset.objects.none()
    old = Changeset.objects.filter(approved_at__lt=UtcNow() - Value(timedelta(hours=hours)))
    if token:
        return old.filter(state=ChangesetState.APPLYING.value, token=token)
    return old.filter(state=ChangesetState.APPROVED.value)
