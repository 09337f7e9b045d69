"""Approvals that were made without review, and how they end: with what nobody has decided, and a reason.

Whatever voids one, be it a person, the clock or the end of trust, `release` is what becomes of its decisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import F, Q

from data_sync.core.states import AutoApply
from data_sync.models import Changeset

from . import audit
from .actors import Actor

SYSTEM = Actor(label="auto-apply")
"""Who leaves changesets for review: nobody's authority is needed for that."""
AUTO_APPROVED = Q(auto_state=AutoApply.APPROVED.value)
"""Changesets whose approval, if they have one, was made without review."""

Reasons = Sequence[dict[str, str]]
"""Why not, each as `code` and `message`."""


def leave(changeset_id: int, against: Reasons, policy: dict[str, Any] | None = None) -> None:
    """Leaves it for review, in the caller's transaction, and says why."""
    Changeset.objects.filter(pk=changeset_id).update(auto_state=AutoApply.LEFT.value, auto_reasons=list(against))
    audit.record(changeset_id, SYSTEM, "left_for_review", {"reasons": list(against), "policy": policy})


def release(changeset_id: int, against: Reasons) -> bool:
    """Gives the changes of a changeset that was approved without review the decisions back that they had, and leaves it
    for review; whether it was such a one. What people have decided since stays.

    To be called in the transaction that has voided the approval. Raises the revision, so that no page which shows
    changes as accepted that nobody has looked at can have them approved.
    """
    ours = Changeset.objects.filter(AUTO_APPROVED, pk=changeset_id)
    if not ours.update(revision=F("revision") + 1, undoable={}):
        return False
    changeset = ours.get()
    changeset.changes.filter(decided_revision=changeset.auto_revision).update(
        decision=F("decision_before"),
        acknowledged_digest=F("acknowledged_before"),
        carried_from=F("carried_before"),
        decided_revision=None,
    )
    leave(changeset_id, against)
    return True


def adopt(changeset_id: int) -> None:
    """A person has approved it: it is their approval now, whoever made one before."""
    Changeset.objects.filter(AUTO_APPROVED, pk=changeset_id).update(auto_state=AutoApply.LEFT.value)
