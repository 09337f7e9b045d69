"""The fields of a change as rows of its card. Pure: from stored values to cells."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from data_sync.core import canonical
from data_sync.core.alignment import TOO_COSTLY
from data_sync.core.states import Operation
from data_sync.core.text import Mark
from data_sync.models import Change

from .cells import (
    ABSENT,
    REDACTED,
    REDACTED_CHANGE,
    Cell,
    FilePlace,
    file_cell,
    json_text,
    links_cell,
    path_text,
    plain_cell,
    reference_cell,
    text_cells,
)
from .names import model_name
from .presentation import FieldShape, ModelShape, Neighbour, Note, Row, Unchanged
from .room import Room

NO_VALUE: tuple[Any, ...] = (None, "", [])

PlaceOfFile = Callable[[Change, str, str], FilePlace]
"""Where a file is: of a change, by field and side ("before" or "after")."""


class RowsOfChange:
    """What differs, field by field, and what does not. `mentioned` are changes that a value says it is created by.

    Of `redacted` fields no value is looked at; the change need not have any.
    """

    def __init__(
        self,
        row_change: Change,
        shape: ModelShape,
        required: Sequence[Neighbour],
        place_of: PlaceOfFile,
        room: Room,
        redacted: Collection[str] = (),
    ) -> None:
        self._change = row_change
        self._redacted = redacted
        self._shape = shape
        self._place = place_of
        self._room = room
        self._before: Mapping[str, Any] = row_change.before or {}
        self._after: Mapping[str, Any] = row_change.after or {}
        self.mentioned: set[int] = set()
        self._has_both = row_change.operation in (Operation.UPDATE, Operation.RENAME)
        self._created = {
            (neighbour.model, canonical.dumps(neighbour.key)): neighbour.number
            for neighbour in required
            if neighbour.operation == Operation.CREATE
        }

    def says_nothing(self, row: Row) -> bool:
        """Whether the only side there is has no value, and had none: not worth a line of a card."""
        if self._has_both or (self._change.is_conflict and (self._change.base or {}).get(row.name) not in NO_VALUE):
            return False
        return row.here.says_nothing and row.incoming.says_nothing

    def rows(self) -> Iterator[Row]:
        if self._has_both:
            yield from self._updated()
        else:
            for name in self._names(self._before.keys() | self._after.keys()):
                yield self._one_sided(name)
        for name, sides in sorted(self._change.files.items()):
            if not self._has_both or _differ(sides):
                yield self._file(name, sides)

    def agreed(self, name: str, value: Any) -> Cell:
        """A field's last agreed value."""
        return (
            REDACTED
            if name in self._redacted
            else self._value(self._shape.field(name), value, Mark.EQUAL, refers=False)
        )

    def unchanged(self) -> Iterator[Unchanged]:
        if self._has_both:
            changed = {row["path"][0] for row in self._change.diff}
            for name in self._names(self._after.keys() - changed):
                shape = self._shape.field(name)
                hidden = name in self._redacted
                value = REDACTED if hidden else self._value(shape, self._after[name], Mark.EQUAL)
                yield Unchanged(label=shape.label, value=value)
            for name, sides in sorted(self._change.files.items()):
                if not _differ(sides):
                    label = self._shape.field(name).label
                    yield Unchanged(label=label, value=replace(self._file(name, sides).incoming, mark=Mark.EQUAL))
        carried = self._change.carried.get("after") or {}
        for name in self._names(carried.keys()):
            yield Unchanged(label=self._shape.field(name).label, value=plain_cell(carried[name]), travels=True)

    def _names(self, names: Any) -> list[str]:
        """In the model's order, those that it does not know at the end."""
        order = {name: place for place, name in enumerate(self._shape.fields)}
        return sorted(names, key=lambda name: (order.get(name, len(order)), name))

    def _updated(self) -> Iterator[Row]:
        by_field: dict[str, list[dict[str, Any]]] = {}
        for row in self._change.diff:
            by_field.setdefault(row["path"][0], []).append(row)
        for name in self._names(by_field):
            shape = self._shape.field(name)
            if name in self._redacted:
                here, incoming = (replace(REDACTED_CHANGE, mark=mark) for mark in (Mark.REMOVED, Mark.ADDED))
                yield Row(label=shape.label, name=name, here=here, incoming=incoming)
                continue
            match shape.kind:
                case "reference" | "generic":
                    yield Row(
                        label=shape.label,
                        name=name,
                        here=self._value(shape, self._before.get(name), Mark.REMOVED, words=True),
                        incoming=self._value(shape, self._after.get(name), Mark.ADDED, words=True),
                    )
                case "links":
                    yield self._links(name, shape)
                case _:
                    yield from self._differences(name, shape, by_field[name])

    def _differences(self, name: str, shape: FieldShape, rows: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
        """As many rows as the page has room for; the last one tells how many there are beyond it."""
        count = self._room.places.take(len(rows))
        for row in rows[: count - 1]:
            yield self._difference(name, shape, row)
        yield replace(self._difference(name, shape, rows[count - 1]), further=len(rows) - count)

    def _difference(self, name: str, shape: FieldShape, row: Mapping[str, Any]) -> Row:
        """One row of the stored diff: a whole field, or one place inside a structured value."""
        notes: list[Note] = ["too_costly"] if row.get("note") == TOO_COSTLY else []
        result = Row(label=shape.label, name=name, path=path_text(row["path"][1:]))
        left, right = row.get("before"), row.get("after")
        if "before" in row and "after" in row:
            texts = as_texts(left, right)
            if texts is not None:
                here, incoming, diff = text_cells(*texts, self._room.patience)
                if isinstance(left, dict | list):
                    here, incoming = replace(here, is_code=True), replace(incoming, is_code=True)
                notes += ["too_costly"] if diff.note == TOO_COSTLY else []
                notes += ["whitespace_only"] if diff.whitespace_only else []
                notes += ["unicode_only"] if diff.unicode_only and not diff.whitespace_only else []
                return replace(result, here=here, incoming=incoming, notes=tuple(dict.fromkeys(notes)))
        is_json = shape.kind == "json" and not (_is_text(row, "before") and _is_text(row, "after"))
        return replace(
            result,
            here=plain_cell(left, mark=Mark.REMOVED, is_json=is_json, words=True) if "before" in row else ABSENT,
            incoming=plain_cell(right, mark=Mark.ADDED, is_json=is_json, words=True) if "after" in row else ABSENT,
            notes=tuple(notes),
        )

    def _links(self, name: str, shape: FieldShape) -> Row:
        before = {canonical.dumps(key): key for key in self._before.get(name) or []}
        after = {canonical.dumps(key): key for key in self._after.get(name) or []}
        gone = [key for text, key in before.items() if text not in after]
        new = [key for text, key in after.items() if text not in before]
        kept = [key for text, key in before.items() if text in after]
        return Row(
            label=shape.label,
            name=name,
            here=links_cell(gone, kept, Mark.REMOVED, lambda key: None, words=True),
            incoming=links_cell(
                new, kept, Mark.ADDED, lambda key: self._created_by(shape.target, key), words=True, names_kept=False
            ),
        )

    def _one_sided(self, name: str) -> Row:
        shape = self._shape.field(name)
        is_create = self._change.operation == Operation.CREATE
        mark, side = (Mark.ADDED, self._after) if is_create else (Mark.REMOVED, self._before)
        hidden = name in self._redacted
        cell = replace(REDACTED, mark=mark) if hidden else self._value(shape, side.get(name), mark)
        row = Row(label=shape.label, name=name)
        return replace(row, incoming=cell) if is_create else replace(row, here=cell)

    def _value(self, shape: FieldShape, value: Any, mark: Mark, *, words: bool = False, refers: bool = True) -> Cell:
        """A whole field of one side. `refers`: what it refers to may be created by another change."""

        def created_by(target: str, key: Any) -> int | None:
            return self._created_by(target, key) if refers and mark is not Mark.REMOVED else None

        return value_cell(shape, value, mark, created_by, words=words)

    def _created_by(self, target: str, key: Any) -> int | None:
        number = self._created.get((target, canonical.dumps(key)))
        if number is not None:
            self.mentioned.add(number)
        return number

    def _file(self, name: str, sides: Mapping[str, Any]) -> Row:
        cells = {}
        for which, mark in (("before", Mark.REMOVED), ("after", Mark.ADDED)):
            cells[which] = file_cell(sides.get(which), self._place(self._change, name, which), mark)
        operation = self._change.operation
        return Row(
            label=self._shape.field(name).label,
            name=name,
            here=ABSENT if operation == Operation.CREATE else cells["before"],
            incoming=ABSENT if operation == Operation.DELETE else cells["after"],
        )


def value_cell(
    shape: FieldShape, value: Any, mark: Mark, created_by: Callable[[str, Any], int | None], *, words: bool = False
) -> Cell:
    """A whole field of one side. `created_by` gives the change that creates a row, by model and key, if one does."""
    match shape.kind:
        case "reference":
            return reference_cell(value, created_by(shape.target, value), mark, words=words)
        case "generic" if isinstance(value, list) and len(value) == 2:
            created = created_by(value[0], value[1])
            return reference_cell(value[1], created, mark, words=words, model=model_name(value[0]))
        case "links":
            return links_cell(value or [], [], mark, lambda key: created_by(shape.target, key), words=words)
        case "json":
            return plain_cell(value, mark=mark, is_json=True, words=words)
        case _:
            return plain_cell(value, mark=mark, words=words)


def _differ(sides: Mapping[str, Any]) -> bool:
    """Files count by size and checksum; a storage may have renamed them."""
    described = [sides.get("before"), sides.get("after")]
    return len({None if side is None else (side["size"], side["checksum"]) for side in described}) > 1


def as_texts(left: Any, right: Any) -> tuple[str, str] | None:
    """Two texts, or two JSON documents as texts, whose words can be compared; None for other values."""
    match left, right:
        case str(), str():
            return left, right
        case ((dict() | list()), (dict() | list())):
            return json_text(left), json_text(right)
        case _:
            return None


def _is_text(row: Mapping[str, Any], side: str) -> bool:
    return side not in row or isinstance(row[side], str)
