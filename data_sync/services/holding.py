"""Who has the unique values here that writes are about to take, and whether they let go of them in time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from data_sync.core import canonical
from data_sync.core.states import Operation
from data_sync.orm.cascades import Cascade, Reach, Row, reach_at_once
from data_sync.orm.holders import Values, holders, owner_of, touches
from data_sync.orm.inheritance import rows_in_table
from data_sync.orm.places import Places
from data_sync.orm.references import KeysOfRows
from data_sync.orm.schema import ModelSchema
from data_sync.orm.uniqueness import UniqueSet
from data_sync.orm.writes import changed, columns_of

from .comparison import Comparison, Numbered, Sides


class Fate(Enum):
    """What becomes of a row that has a value which another is to get."""

    KEEPS = auto()
    CAN_GO_FIRST = auto()
    """It gets another value or is deleted, and can be made to wait elsewhere until then, or to go at once."""
    CHANGES_TOO_LATE = auto()
    GOES_TOO_LATE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A row with a value of a set. `number` is that of the change by which it lets go; `name` is for problems."""

    fate: Fate
    number: int | None
    name: str


class Holding:
    """The rows that hold values of one unique set: of the model itself, and of others in the table of a parent."""

    def __init__(self, comparison: Comparison, schema: ModelSchema, unique: UniqueSet, using: str) -> None:
        self._comparison = comparison
        self._schema = schema
        self._unique = unique
        self._using = using
        self._owner = owner_of(schema, unique)
        others = (other for other in comparison.schemas.values() if self._owner in other.tables)
        self._schemas = {one.label: one for one in (schema, *others)}
        self._places = {label: Places(one, unique, using) for label, one in self._schemas.items()}

    def of(self, wanted: Sequence[Values]) -> Iterator[tuple[Any, Values]]:
        """Rows that have these values: by primary key in the set's table, as in all that follows."""
        return holders(self._schema, self._unique, wanted, self._using)

    def rows(self, pks: Collection[Any]) -> dict[Any, Any]:
        """The primary keys of those that are rows of the model itself."""
        return rows_in_table(self._schema, self._owner, list(pks), self._using)

    def holders(self, pks: Collection[Any]) -> dict[Any, Holder]:
        """What becomes of these rows."""
        leaving = self._leaving(pks)
        unplaced = {pk: sides for pk, sides in leaving.items() if not self._has_place(sides)}
        doomed = {pk: sides for pk, sides in unplaced.items() if sides.after is None}
        too_late = {pk for pk in doomed.keys() - self._can_go_at_once(doomed)}
        fates = dict.fromkeys(leaving, Fate.CAN_GO_FIRST)
        fates |= dict.fromkeys(unplaced.keys() - doomed.keys(), Fate.CHANGES_TOO_LATE)
        fates |= dict.fromkeys(too_late, Fate.GOES_TOO_LATE)
        names = self._names([pk for pk in pks if fates.get(pk) != Fate.CAN_GO_FIRST])
        return {
            pk: Holder(
                fate=fates.get(pk, Fate.KEEPS),
                number=leaving[pk].entry.number if pk in leaving else None,
                name=names.get(pk, ""),
            )
            for pk in pks
        }

    def _leaving(self, pks: Collection[Any]) -> dict[Any, Sides]:
        """The changes by which rows let go of what they have in the set."""
        found: dict[Any, Sides] = {}
        for schema in self._schemas.values():
            for part, pk in rows_in_table(schema, self._owner, list(pks), self._using).items():
                change = self._comparison.change_of_row(schema.label, pk)
                if change is not None and part not in found:
                    sides = self._comparison.sides_of(change)
                    if sides.after is None or touches(
                        self._unique, columns_of(schema, changed(sides.before, sides.after))
                    ):
                        found[part] = sides
        return found

    def _has_place(self, sides: Sides) -> bool:
        assert sides.before is not None
        return self._places[sides.entry.schema.label].exist(sides.before, sides.after)

    def _can_go_at_once(self, doomed: Mapping[Any, Sides]) -> set[Any]:
        """Those rows whose deletes would reach no more than the review shows although nothing has been written yet."""
        by_row = {sides.row: pk for pk, sides in doomed.items() if sides.row is not None}
        found = reach_at_once(by_row, self._using, self._comparison.schemas, self._doomed) if by_row else {}
        return {by_row[row] for row, reaches in found.items() if all(map(self._is_as_shown, reaches.values()))}

    def _doomed(self, cascades: Iterable[Cascade]) -> set[Row]:
        """Which of these rows changes of their own delete."""
        changes = ((cascade, self._change(cascade)) for cascade in cascades)
        return {
            (cascade.model, cascade.pk)
            for cascade, change in changes
            if change is not None and change.operation == Operation.DELETE
        }

    def _is_as_shown(self, reach: Reach) -> bool:
        return not reach.obstacles and not any(map(self._is_moved_first, reach.cascades))

    def _change(self, cascade: Cascade) -> Numbered | None:
        return self._comparison.change_of_row(cascade.model._meta.label_lower, cascade.pk)

    def _is_moved_first(self, cascade: Cascade) -> bool:
        """Whether a write of its own has a row refer to another one before the delete comes to it."""
        change = self._change(cascade)
        if change is None:
            return False
        sides = self._comparison.sides_of(change)
        return sides.after is not None and cascade.column in changed(sides.before, sides.after)

    def _names(self, pks: Sequence[Any]) -> dict[Any, str]:
        """What problems call these rows: by natural key where they are of a registered model and have one."""
        names = {pk: f"{self._owner._meta.label_lower} {pk!r}" for pk in pks}
        for schema in reversed(self._schemas.values()):
            parts = {pk: part for part, pk in rows_in_table(schema, self._owner, pks, self._using).items()}
            keys = KeysOfRows(schema.model, "pk", self._using, leaves_out=True).load(parts) if parts else {}
            names |= {parts[pk]: f"{schema.label} {canonical.array(keys[pk])}" for pk in parts if pk in keys}
        return names
