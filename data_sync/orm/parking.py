"""Making room: rows that hold a unique value which another write needs wait elsewhere until their own turn.

Rows exchange unique values, hand them on in a chain, or leave one that a new row takes. No order of writes does
without two rows meeting, and constraints that are looked at late are not to be had everywhere. So who holds such a
value, and will not keep it, is given another that nobody has.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_sync.core.records import Record
from data_sync.registry.unique_sets import UniqueSet, unique_sets

from .batches import batches
from .free_values import free_values
from .holders import Values, alike, fields_of, holders, locks_out, owner_of, touches
from .inheritance import Model, pks_in_table
from .places import Places
from .schema import ModelSchema
from .tables import table
from .updates import update_rows, update_table
from .values import Field
from .writes import Bare, Row, Write, changed, columns_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Taker:
    """A row about to be written: `given` names the columns that are set on it."""

    write: Write
    row: Row
    given: Collection[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """A row whose turn has not come: what it has, and what it will have, None if it will be deleted.

    `schema` is that of its own model: with a parent in common it may be another than the taker's.
    """

    schema: ModelSchema
    pk: Any
    number: int
    before: Record
    after: Record | None


FindLeaving = Callable[[Model, Collection[Any]], Iterable[Leaving]]
"""Which rows, by primary key in a table of theirs, other writes of the plan have still to alter or delete."""
DeleteNow = Callable[[ModelSchema, Mapping[Any, int]], Collection[int]]
"""Deletes those of some rows (numbers by primary key) that take along no more than was shown. Gives the numbers of
all deletes that are done with that, those of rows that went along too."""
Fail = Callable[[int, str], None]


class Parking:
    """Parks rows before writes that would meet them, with a few queries for a batch and unique set."""

    def __init__(self, using: str, find_leaving: FindLeaving, delete_now: DeleteNow, fail: Fail) -> None:
        self._using = using
        self._fail = fail
        self._find_leaving = find_leaving
        self._delete_now = delete_now
        self._sets: dict[str, list[UniqueSet]] = {}
        self.columns: dict[int, set[str]] = {}
        """By number, the columns of a parked row that its write has to set although they do not differ."""

    def make_room(self, schema: ModelSchema, takers: Sequence[Taker]) -> None:
        """Parks whatever holds unique values that these rows are about to get, and will not keep them."""
        for unique in self._unique_sets(schema):
            concerned = [taker for taker in takers if touches(unique, taker.given)]
            if concerned:
                in_the_way = self._in_the_way(schema, unique, concerned)
                leaving = self._find_leaving(owner_of(schema, unique), in_the_way) if in_the_way else ()
                by_model: dict[str, list[Leaving]] = {}
                for row in leaving:
                    by_model.setdefault(row.schema.label, []).append(row)
                for rows in by_model.values():
                    self._clear(rows[0].schema, unique, rows)

    def _unique_sets(self, schema: ModelSchema) -> list[UniqueSet]:
        if schema.label not in self._sets:
            columns = {*columns_of(schema, schema.field_names)}
            self._sets[schema.label] = [
                unique for unique in unique_sets(schema.model) if not columns.isdisjoint(unique.names)
            ]
        return self._sets[schema.label]

    def _in_the_way(self, schema: ModelSchema, unique: UniqueSet, takers: Sequence[Taker]) -> set[Any]:
        """Primary keys, in the table of the set, of rows that hold what others of these rows are about to get."""
        pks = self._pks_in_owner(schema, unique, takers)
        wishes = [
            (pks.get(taker.write.pk), values)
            for taker, values in zip(takers, self._values(schema, unique, takers), strict=True)
            if locks_out(unique, values)
        ]
        found = list(holders(schema, unique, [values for _, values in wishes], self._using))
        if not unique.exact:
            return {pk for pk, _ in found}  # Which taker it is that they meet does not matter.
        forms = list(alike(fields_of(schema, unique), (values for _, values in [*wishes, *found]), self._using))
        wanted: dict[Values, list[Any]] = {}
        for form, (taker, _) in zip(forms, wishes, strict=False):
            wanted.setdefault(form, []).append(taker)
        held = zip(forms[len(wishes) :], found, strict=True)
        return {pk for form, (pk, _) in held if any(taker != pk for taker in wanted.get(form, ()))}

    def _pks_in_owner(self, schema: ModelSchema, unique: UniqueSet, takers: Sequence[Taker]) -> dict[Any, Any]:
        stored = [Bare(taker.write.pk) for taker in takers if taker.write.pk is not None]
        parts = pks_in_table(schema, owner_of(schema, unique), stored, self._using)
        return {row.pk: part for row, part in zip(stored, parts, strict=True)}

    def _values(self, schema: ModelSchema, unique: UniqueSet, takers: Sequence[Taker]) -> list[Values]:
        """What each row will have in the columns of a set: what is set on it, else what is stored."""
        fields = fields_of(schema, unique)
        partly = [
            taker.write.pk
            for taker in takers
            if taker.write.pk is not None and any(field.name not in taker.given for field in fields)
        ]
        stored: dict[Any, Values] = {}
        for batch in batches(partly):
            rows = table(schema.model, self._using).filter(pk__in=batch)
            stored.update(
                (pk, tuple(values)) for pk, *values in rows.values_list("pk", *(field.attname for field in fields))
            )
        return [
            tuple(
                stored[taker.write.pk][place]
                if field.name not in taker.given and taker.write.pk in stored
                else getattr(taker.row, field.attname)
                for place, field in enumerate(fields)
            )
            for taker in takers
        ]

    def _clear(self, schema: ModelSchema, unique: UniqueSet, leaving: Sequence[Leaving]) -> None:
        """Deletes or parks those of some rows of one model that will not keep what they have in a set."""
        doomed = {row.pk: row.number for row in leaving if row.after is None}
        gone = self._delete_now(schema, doomed) if doomed else ()
        places = Places(schema, unique, self._using)
        waiting: dict[Field, list[Any]] = {}
        out: dict[tuple[Field, str], tuple[Any, list[Any]]] = {}
        for row in leaving:
            if row.number in gone or not self._lets_go(unique, row):
                continue
            column = places.column(row.before, row.after)
            way = None if column is not None else places.way_out(row.before, row.after)
            if column is not None:
                waiting.setdefault(column, []).append(row.pk)
                self._write_later(row, column.name)
            elif way is not None:
                column, value = way
                out.setdefault((column, repr(value)), (value, []))[1].append(row.pk)
                self._write_later(row, column.name)
            elif row.after is None:
                self._fail(row.number, _stays(unique, row))
        for column, pks in waiting.items():
            self._park(schema, column, pks, as_null=places.takes_null(column))
        for (column, _), (value, pks) in out.items():
            self._put_out(schema, column, value, pks)

    def _lets_go(self, unique: UniqueSet, row: Leaving) -> bool:
        """Whether a row gets other values in a set, or leaves its condition; it may wait elsewhere already."""
        if row.after is None:
            return True
        columns = columns_of(row.schema, changed(row.before, row.after))
        return touches(unique, [*columns, *self.columns.get(row.number, ())])

    def _write_later(self, row: Leaving, name: str) -> None:
        if row.after is not None:
            self.columns.setdefault(row.number, set()).add(name)

    def _park(self, schema: ModelSchema, field: Field, pks: Sequence[Any], *, as_null: bool) -> None:
        """Gives rows values in a column that nobody has. Too few of those: the rest stays.

        Writes that meet it are refused, and then tried in smaller batches, which need fewer.
        """
        values = [None] * len(pks) if as_null else free_values(field, len(pks), self._using)
        model = field.model._meta.concrete_model or field.model
        # A parent's table may know the row by another key than the model itself.
        parked = pks_in_table(schema, model, [Bare(pk) for pk in pks[: len(values)]], self._using)
        update_table(model, parked, [field], [[value] for value in values], self._using)

    def _put_out(self, schema: ModelSchema, field: Field, value: Any, pks: Sequence[Any]) -> None:
        """Takes rows out of the condition of a set, until their writes put them in again, if they do."""
        rows = [Bare(pk) for pk in pks]
        for row in rows:
            setattr(row, field.attname, value)
        update_rows(schema, rows, [field.name], self._using)


def _stays(unique: UniqueSet, row: Leaving) -> str:
    return (
        f"{row.before.name}: another row takes its {' and '.join(unique.names)}, for which it would have to go first. "
        "But its delete would now also reach rows that were not shown, and it can hold no other value meanwhile. "
        "Pull again."
    )
