"""The approval seal of what is stored now."""

from __future__ import annotations

from data_sync.core.seal import approval_seal, content_seal_of_texts
from data_sync.models import Changeset

from .content import stored_contents


def current_approval_seal(changeset: Changeset) -> str:
    """Over the content seal and every decision, both as they stand in the database."""
    decisions = changeset.changes.order_by("number").values_list("number", "decision")
    return approval_seal(current_content_seal(changeset), decisions.iterator(chunk_size=2000))


def current_content_seal(changeset: Changeset) -> str:
    """Recomputed from the stored changes: equal to `content_seal` unless somebody altered them."""
    return content_seal_of_texts(stored_contents(changeset.changes.order_by("number")))
