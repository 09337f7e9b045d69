"""Taking back the latest decision on many changes at once."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet

from data_sync.core.errors import InvalidTransition
from data_sync.core.states import Decision
from data_sync.models import Change, Changeset

from . import audit
from .actors import Actor
from .revision import raise_revision


def replaced(revision: int) -> dict[str, Any]:
    """What a decision keeps of the one it replaces. To be set first: MariaDB assigns from left to right."""
    return {
        "decided_revision": revision,
        "decision_before": F("decision"),
        "acknowledged_before": F("acknowledged_digest"),
        "carried_before": F("carried_from"),
        "carried_from": None,
    }


def remember(changeset: Changeset, decision: Decision, count: int, actor: Actor) -> None:
    """Notes a decision on many changes as the one that can be undone, until the next one on many."""
    noted = {"revision": changeset.revision, "decision": decision.value, "count": count, "actor": actor.label}
    Changeset.objects.filter(pk=changeset.pk).update(undoable=noted)


def undoable(changeset: Changeset) -> QuerySet[Change]:
    """The changes that `undo` would be about: of the latest decision on many, those not decided on since."""
    if not changeset.undoable:
        return changeset.changes.none()
    return changeset.changes.filter(decided_revision=changeset.undoable["revision"])


def undo(changeset_id: int, actor: Actor, *, revision: int) -> int:
    """Gives the changes of the latest decision on many the decisions back that they had, and says how many they are.

    Those that were decided on since stay as they are; what requirements make of it, the approval asks. Fields that are
    kept, and how renames are written, are not taken back. An approval that the decision voided stays void. Raises
    `RevisionConflict`, and `InvalidTransition` where there is nothing to undo.
    """
    actor.require("data_sync.approve_changeset")
    with transaction.atomic():
        changeset = raise_revision(changeset_id, revision)
        count = undoable(changeset).update(
            decision=F("decision_before"),
            acknowledged_digest=F("acknowledged_before"),
            carried_from=F("carried_before"),
        )
        if not count:
            raise InvalidTransition(
                f"There is no decision on many changes to undo in changeset {changeset_id}: it was undone already, or "
                "each of the changes has been decided on since. Decide on the changes as you want them."
            )
        Changeset.objects.filter(pk=changeset_id).update(undoable={})
        audit.record(
            changeset_id,
            actor,
            "undone",
            {"count": count, "revision": changeset.revision, "undoes": changeset.undoable},
        )
    return count
