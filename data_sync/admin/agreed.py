"""The third value of a conflict: what both sides last agreed on, beside what is here now and what comes in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any

from data_sync.core import canonical
from data_sync.models import Change

from .cells import ABSENT, UNKNOWN, Cell
from .presentation import Note, Row

Value = Callable[[str, Any], Cell]
"""The cell for a whole field of a record: its name and value."""


def with_agreed(rows: Iterable[Row], row_change: Change, value: Value) -> Iterator[Row]:
    """The rows of a conflict with the last agreed value beside them, once for all rows of one field.

    Where no stored change has the record of that time any more, one cell says so for all of them.
    """
    shown = list(rows)
    base: Mapping[str, Any] | None = row_change.base
    if base is None:
        for place, row in enumerate(shown):
            yield replace(row, agreed=UNKNOWN, agreed_rows=0 if place else len(shown))
        return
    for name, grouped in groupby(shown, key=lambda row: row.name):
        of_field = list(grouped)
        # Of a file, only the record's digest is kept.
        agreed = UNKNOWN if name in row_change.files else value(name, base[name]) if name in base else ABSENT
        for place, row in enumerate(of_field):
            notes = () if place else _moved(row_change, base, name)
            yield replace(row, agreed=agreed, agreed_rows=0 if place else len(of_field), notes=(*row.notes, *notes))


def _moved(row_change: Change, base: Mapping[str, Any], name: str) -> tuple[Note, ...]:
    """Which side has moved away from the last agreed value. A row that one side lacks has moved as a whole."""
    if name in row_change.files:
        return ()
    here = row_change.before is not None and _differs(row_change.before, base, name)
    there = row_change.after is not None and _differs(row_change.after, base, name)
    match here, there:
        case True, True:
            return ("changed_both",)
        case True, False:
            return ("changed_here",)
        case False, True:
            return ("changed_there",)
        case _:
            return ()


def _differs(side: Mapping[str, Any], base: Mapping[str, Any], name: str) -> bool:
    """Type-strictly, as the diff compares."""
    if name not in side or name not in base:
        return (name in side) != (name in base)
    return canonical.dumps(side[name]) != canonical.dumps(base[name])
