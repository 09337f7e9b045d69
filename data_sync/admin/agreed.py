"""The third value of a card: what both sides last agreed on, or what was here at the pull, beside what is here now and
what comes in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Literal

from data_sync.core import canonical
from data_sync.core.redaction import diff_rows
from data_sync.models import Change
from data_sync.services.moved import Moved

from .cells import ABSENT, UNKNOWN, Cell
from .presentation import Note, Row

Kind = Literal["agreed", "pull"]
Value = Callable[[str, Any], Cell]
"""The cell for a whole field of a record: its name and value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """The fields of a record of an earlier time."""

    kind: Kind
    fields: Mapping[str, Any]


def earlier_of(row_change: Change, moved: Moved | None) -> Earlier | None:
    """What is shown as a third value: the row at the pull where it has moved since, else, of a conflict, the one that
    both sides had, where it is known."""
    if moved is not None and moved.kind == "edited":
        return Earlier(kind="pull", fields=row_change.before)
    is_known = row_change.is_conflict and row_change.base is not None
    return Earlier(kind="agreed", fields=row_change.base) if is_known else None


def as_it_is_now(row_change: Change, moved: Moved | None, redacted: Collection[str] = ()) -> Change:
    """The change as it would be if it were pulled now, for showing; itself where the row has not moved."""
    if moved is None or moved.shown is None:
        return row_change
    shown = copy(row_change)
    shown.before = dict(moved.shown.fields)
    if shown.after is not None:
        shown.diff = diff_rows(shown.before, shown.after, redacted)
    return shown


def with_earlier(rows: Iterable[Row], row_change: Change, earlier: Earlier, value: Value) -> Iterator[Row]:
    """The rows of a card with the earlier value beside them, once for all rows of one field."""
    base = earlier.fields
    for name, grouped in groupby(rows, key=lambda row: row.name):
        of_field = list(grouped)
        # Of a file, only the record's digest is kept.
        agreed = UNKNOWN if name in row_change.files else value(name, base[name]) if name in base else ABSENT
        for place, row in enumerate(of_field):
            notes = () if place else _moved(row_change, earlier.kind, base, name)
            yield replace(row, agreed=agreed, agreed_rows=0 if place else len(of_field), notes=(*row.notes, *notes))


def _moved(row_change: Change, kind: Kind, base: Mapping[str, Any], name: str) -> tuple[Note, ...]:
    """Which side has moved away from the earlier value: since the pull, only this one can have. A row that one side
    lacks has moved as a whole."""
    if name in row_change.files:
        return ()
    here = row_change.before is not None and _differs(row_change.before, base, name)
    there = row_change.after is not None and _differs(row_change.after, base, name)
    match kind, here, there:
        case "pull", True, _:
            return ("changed_since",)
        case "pull", _, _:
            return ()
        case _, True, True:
            return ("changed_both",)
        case _, True, False:
            return ("changed_here",)
        case _, False, True:
            return ("changed_there",)
        case _:
            return ()


def _differs(side: Mapping[str, Any], base: Mapping[str, Any], name: str) -> bool:
    """Type-strictly, as the diff compares."""
    if name not in side or name not in base:
        return (name in side) != (name in base)
    return canonical.dumps(side[name]) != canonical.dumps(base[name])
