"""The approval seal of what is stored now."""

from __future__ import annotations

from typing import Any

from data_sync.core.seal import Decided, approval_seal, content_seal_of_texts
from data_sync.core.states import Decision, Operation
from data_sync.models import Changeset

from .content import stored_contents


def current_approval_seal(changeset: Changeset) -> str:
    """Over the content seal and what was decided on each change, both as they stand in the database."""
    columns = ("number", "decision", "kept", "acknowledged_digest", "operation", "rename_choice")
    rows = changeset.changes.order_by("number").values_list(*columns).iterator(chunk_size=2000)
    decisions = (
        Decided(number, decision, kept_of(decision, kept), acknowledged, rename_of(operation, choice))
        for number, decision, kept, acknowledged, operation, choice in rows
    )
    return approval_seal(current_content_seal(changeset), decisions)


def kept_of(decision: str, kept: dict[str, Any]) -> list[str]:
    """Which fields an accepted update keeps as they are here."""
    return kept["fields"] if kept and decision == Decision.ACCEPTED else []


def rename_of(operation: str, choice: str) -> str | None:
    """How a rename is written; null for everything else."""
    return choice if operation == Operation.RENAME else None


def current_content_seal(changeset: Changeset) -> str:
    """Recomputed from the stored changes: equal to `content_seal` unless somebody altered them."""
    return content_seal_of_texts(stored_contents(changeset))
