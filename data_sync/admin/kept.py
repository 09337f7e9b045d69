"""The boxes by which a reviewer keeps single fields of an update as they are here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from data_sync.core.states import Operation
from data_sync.models import Change

from .presentation import Row


def with_boxes(rows: Iterable[Row], row_change: Change) -> Iterator[Row]:
    """The rows of a card; the first one of each field that can be kept has a box. To keep all would be to reject, but
    what is kept can be taken after all."""
    shown = list(rows)
    kept = row_change.kept.get("fields", ())
    is_update = row_change.operation == Operation.UPDATE
    is_offered = is_update and (bool(kept) or len({row.name for row in shown}) > 1)
    previous = ""
    for row in shown:
        yield replace(row, can_keep=is_offered and row.name != previous, is_kept=row.name in kept)
        previous = row.name
