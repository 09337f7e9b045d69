"""Conflicts are accepted only by who says to have seen what happened here."""

from __future__ import annotations

from django.db.models import Case, F, QuerySet, Value, When

from data_sync.core.errors import NotAcknowledged
from data_sync.models import Change

from . import requirements

ABSENT = "absent"
"""The acknowledged digest of a conflict whose row is gone here."""
LOCAL_DIGEST = Case(When(before_digest="", then=Value(ABSENT)), default=F("before_digest"))
"""The digest that is acknowledged: of the local row, as it was at the pull."""


def require_acknowledged(changes: QuerySet[Change]) -> None:
    """Raises `NotAcknowledged`, naming the first conflict among these changes that nobody has said to have seen."""
    others = changes.exclude(conflict={}).exclude(acknowledged_digest=LOCAL_DIGEST).order_by("number")
    for change in others.iterator(chunk_size=100):
        if change.seen and change.seen["digest"] == change.acknowledged_digest:
            continue  # It was edited after the pull, and seen as it is now.
        raise NotAcknowledged(
            f"Change {requirements.name_of(change)} is a conflict: its row was {change.conflict['kind']} here since "
            "both sides last agreed. Look at what happened here, then accept it and say that you have seen that.",
            change.number,
        )
