"""Taking back the latest decision on many changes at once."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import F

from data_sync.core.errors import InvalidTransition
from data_sync.core.states import Decision
from data_sync.models import Changeset

from . import audit
from .actors import Actor
from .revision import raise_revision


def before(revision: int) -> dict[str, Any]:
    """What a decision keeps of the one it replaces. To be set first: MariaDB assigns from left to right."""
    return {
        "decided_revision": revision,
        "decision_before": F("decision"),
        "acknowledged_before": F("acknowledged_digest"),
    }


def remember(changeset: Changeset, decision: Decision, count: int, actor: Actor) -> None:
    """Notes a decision on many changes as the one that can be undone, until the next decision."""
    undoable = {"revision": changeset.revision, "decision": decision.value, "count": count, "actor": actor.label}
    Changeset.objects.filter(pk=changeset.pk).update(undoable=undoable if count else {})


def can_undo(changeset: Changeset) -> bool:
    return bool(changeset.undoable.get("revision") == changeset.revision)


def undo(changeset_id: int, actor: Actor, *, revision: int) -> int:
    """Gives the changes of the latest decision on many the decisions back that they had, and says how many they are.

    Only as long as nothing has been decided since: then what was is whole again, what it requires included. An
    approval that the decision voided stays void. Raises `RevisionConflict`, and `InvalidTransition` where there is
    nothing to undo.
    """
    actor.require("data_sync.approve_changeset")
    with transaction.atomic():
        changeset = raise_revision(changeset_id, revision)
        if changeset.undoable.get("revision") != revision:
            raise InvalidTransition(
                f"There is no decision on many changes to undo in changeset {changeset_id}: it was undone already, or "
                "others have been made since. Decide on the changes as you want them."
            )
        count = changeset.changes.filter(decided_revision=revision).update(
            decision=F("decision_before"), acknowledged_digest=F("acknowledged_before"), decided_revision=None
        )
        Changeset.objects.filter(pk=changeset_id).update(undoable={})
        audit.record(
            changeset_id,
            actor,
            "undone",
            {"count": count, "revision": changeset.revision, "undoes": changeset.undoable},
        )
    return count
