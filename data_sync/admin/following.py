"""What the script that follows a pull or an apply is told."""

from __future__ import annotations

from typing import Any

from data_sync.services.progress import Progress

ABANDONED = "abandoned"
"""The stage of work that nobody is at."""


def progress_document(seen: Progress, words: str, stage: str) -> dict[str, Any]:
    """At another stage (a state, or `ABANDONED`) than it was made for, the page is loaded anew. `max` is 0 where it is
    not known how much there is."""
    return {
        "stage": stage,
        "words": words,
        "phase": seen.phase,
        "value": min(seen.done, seen.total),
        "max": seen.total,
    }
