"""What the script that follows a pull or an apply is told."""

from __future__ import annotations

from typing import Any

from data_sync.services.progress import Progress


def progress_document(seen: Progress, words: str, *, is_active: bool) -> dict[str, Any]:
    """Once it is no longer `active`, the page is loaded anew. `max` is 0 where it is not known how much there is."""
    return {
        "active": is_active,
        "words": words,
        "phase": seen.phase,
        "value": min(seen.done, seen.total),
        "max": seen.total,
    }
