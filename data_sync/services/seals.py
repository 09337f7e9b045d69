"""The approval seal of what is stored now."""

from __future__ import annotations

from data_sync.core.seal import approval_seal, content_seal
from data_sync.models import Changeset

from .content import change_content


def current_approval_seal(changeset: Changeset) -> str:
    """Over the content seal and every decision, both as they stand in the database."""
    decisions = changeset.changes.order_by("number").values_list("number", "decision")
    return approval_seal(current_content_seal(changeset), decisions.iterator(chunk_size=2000))


def current_content_seal(changeset: Changeset) -> str:
    """Recomputed from the stored changes: equal to `content_seal` unless somebody altered them."""
    changes = changeset.changes.order_by("number").iterator(chunk_size=500)
    return content_seal(change_content(change) for change in changes)
