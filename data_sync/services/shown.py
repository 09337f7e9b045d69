"""What a delete reaches, beside what the reviewer was shown of it."""

from __future__ import annotations

from collections.abc import Sequence

from data_sync.orm.cascades import Cascade, Reach

Shown = frozenset[tuple[str, str, str, str]]
"""Cascades that the reviewer was shown: model, pk, effect, column."""


def unseen(reach: Reach, shown: Shown) -> list[Cascade]:
    """What a delete would reach that was not shown."""
    return [cascade for cascade in reach.cascades if _as_shown(cascade) not in shown]


def _as_shown(cascade: Cascade) -> tuple[str, str, str, str]:
    return cascade.model._meta.label_lower, str(cascade.pk), cascade.effect, cascade.column


def beyond(reach: Reach, shown: Shown) -> str:
    """What a delete would reach beyond what was shown, in words; "" if nothing."""
    more = unseen(reach, shown) + reach.obstacles
    return f"deleting it would now also reach {in_words(more)}, which was not shown. Pull again." if more else ""


def in_words(cascades: Sequence[Cascade]) -> str:
    """The first of some rows by name, and how many more there are."""
    first = f"{cascades[0].model._meta.label_lower} {cascades[0].pk}"
    return f"{first} and {len(cascades) - 1} more" if len(cascades) > 1 else first
