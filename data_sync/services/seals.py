"""The approval seal of what is stored now."""

from __future__ import annotations

from data_sync.core.seal import Decided, approval_seal, content_seal_of_texts
from data_sync.core.states import Operation
from data_sync.models import Changeset

from .content import stored_contents


def current_approval_seal(changeset: Changeset) -> str:
    """Over the content seal and what was decided on each change, both as they stand in the database."""
    columns = ("number", "decision", "acknowledged_digest", "operation", "rename_choice")
    rows = changeset.changes.order_by("number").values_list(*columns).iterator(chunk_size=2000)
    decisions = (
        Decided(number, decision, [], acknowledged, rename_of(operation, choice))
        for number, decision, acknowledged, operation, choice in rows
    )
    return approval_seal(current_content_seal(changeset), decisions)


def rename_of(operation: str, choice: str) -> str | None:
    """How a rename is written; null for everything else."""
    return choice if operation == Operation.RENAME else None


def current_content_seal(changeset: Changeset) -> str:
    """Recomputed from the stored changes: equal to `content_seal` unless somebody altered them."""
    return content_seal_of_texts(stored_contents(changeset.changes.order_by("number")))
