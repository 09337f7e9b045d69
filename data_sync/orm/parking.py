"""Making room: rows that hold a unique value which another write needs wait elsewhere until their own turn.

Rows exchange unique values, hand them on in a chain, or leave one that a new row takes. No order of writes does
without two rows meeting, and constraints that are looked at late are not to be had everywhere. So who holds such a
value, and will not keep it, is given another that nobody has.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import models

from data_sync.registry.unique_sets import UniqueSet, unique_sets

from .batches import batches
from .conditions import is_met
from .free_values import can_be_free, free_values
from .holders import Values, conditional_names, fields_of, folded, holders, locks_out
from .inheritance import pks_in_table
from .schema import ModelSchema, Value
from .tables import table
from .updates import update_rows, update_table
from .values import Field
from .writes import Bare, Row, Write, columns_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Taker:
    """A row about to be written: `given` names the columns that are set on it."""

    write: Write
    row: Row
    given: Collection[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """A row whose turn has not come: `write` is what will be written to it, None if it will be deleted."""

    number: int
    write: Write | None


FindLeaving = Callable[[ModelSchema, Collection[Any]], Mapping[Any, Leaving]]
"""Which of these rows, by primary key, other writes of the plan have still to alter or delete."""
DeleteNow = Callable[[ModelSchema, Mapping[Any, int]], Collection[Any]]
"""Deletes those of some rows (numbers by primary key) that nothing refers to, and says which they were."""


class Parking:
    """Parks rows before writes that would meet them, with a few queries for a batch and unique set."""

    def __init__(self, using: str, find_leaving: FindLeaving, delete_now: DeleteNow) -> None:
        self._using = using
        self._find_leaving = find_leaving
        self._delete_now = delete_now
        self._sets: dict[str, list[UniqueSet]] = {}
        self.columns: dict[int, set[str]] = {}
        """By number, the columns of a parked row that its write has to set although they do not differ."""

    def make_room(self, schema: ModelSchema, takers: Sequence[Taker]) -> None:
        """Parks whatever holds unique values that these rows are about to get, and will not keep them."""
        for unique in self._unique_sets(schema):
            names = {*unique.names, *conditional_names(unique)}
            concerned = [taker for taker in takers if not names.isdisjoint(taker.given)]
            if concerned:
                in_the_way = self._in_the_way(schema, unique, concerned)
                if in_the_way:
                    self._clear(schema, unique, self._find_leaving(schema, in_the_way))

    def _unique_sets(self, schema: ModelSchema) -> list[UniqueSet]:
        if schema.label not in self._sets:
            columns = {*columns_of(schema, schema.field_names)}
            self._sets[schema.label] = [
                unique for unique in unique_sets(schema.model) if not columns.isdisjoint(unique.names)
            ]
        return self._sets[schema.label]

    def _in_the_way(self, schema: ModelSchema, unique: UniqueSet, takers: Sequence[Taker]) -> set[Any]:
        """Primary keys of rows that hold what others of these rows are about to get."""
        wanted: dict[Values, list[Any]] = {}
        values_wanted: list[Values] = []
        for taker, values in zip(takers, self._values(schema, unique, takers), strict=True):
            if locks_out(unique, values):
                wanted.setdefault(folded(values), []).append(taker.write.pk)
                values_wanted.append(values)
        found = holders(schema, unique, values_wanted, self._using)
        if not unique.exact:
            return {pk for pk, _ in found}  # Which taker it is that they meet does not matter.
        return {pk for pk, held in found if any(taker != pk for taker in wanted.get(folded(held), ()))}

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

    def _clear(self, schema: ModelSchema, unique: UniqueSet, leaving: Mapping[Any, Leaving]) -> None:
        doomed = {pk: row.number for pk, row in leaving.items() if row.write is None}
        gone = self._delete_now(schema, doomed) if doomed else ()
        by_field: dict[Field, list[Any]] = {}
        for pk, row in leaving.items():
            if pk in gone:
                continue
            if row.write is not None and not self._lets_go(schema, unique, row.write):
                continue
            field = place_to_park(schema, unique, row.write)
            if field is not None:
                by_field.setdefault(field, []).append(pk)
                if row.write is not None:
                    self.columns.setdefault(row.number, set()).add(field.name)
            elif row.write is not None:
                self._leave_condition(schema, unique, row.write)
        for field, pks in by_field.items():
            self._park(schema, field, unique, pks)

    def _lets_go(self, schema: ModelSchema, unique: UniqueSet, write: Write) -> bool:
        """Whether a write gives its row other values in a set, or takes it out of the set's condition."""
        changed = {*columns_of(schema, write.changed), *self.columns.get(write.number, ())}
        return not changed.isdisjoint(unique.names) or not changed.isdisjoint(conditional_names(unique))

    def _park(self, schema: ModelSchema, field: Field, unique: UniqueSet, pks: Sequence[Any]) -> None:
        """Gives rows values in a column that nobody has. Too few of those: the rest stays, and the writes will fail."""
        can_be_null = field.null and unique.nulls_distinct
        values = [None] * len(pks) if can_be_null else free_values(field, len(pks), self._using)
        model = field.model._meta.concrete_model or field.model
        # A parent's table may know the row by another key than the model itself.
        parked = pks_in_table(schema, model, [Bare(pk) for pk in pks[: len(values)]], self._using)
        update_table(model, parked, [field], [[value] for value in values], self._using)

    def _leave_condition(self, schema: ModelSchema, unique: UniqueSet, write: Write) -> None:
        """Takes a row out of the condition of a set, until its write puts it in again, if it does."""
        way = way_out(schema, unique, write)
        if way is not None:
            value, plain = way
            row = Bare(write.pk)
            setattr(row, value.field.attname, None if plain is None else value.codec.from_plain(plain))
            update_rows(schema, [row], [value.name], self._using)
            self.columns.setdefault(write.number, set()).add(value.name)


def can_be_parked(schema: ModelSchema, unique: UniqueSet, write: Write) -> bool:
    """Whether a row can be made to let go of its values in a set before its own write."""
    return place_to_park(schema, unique, write) is not None or way_out(schema, unique, write) is not None


def way_out(schema: ModelSchema, unique: UniqueSet, write: Write) -> tuple[Value, Any] | None:
    """A column, and a JSON-plain value, by which a row no longer meets the condition of a set."""
    if unique.condition is None or write.before is None:
        return None
    for value in schema.values:
        if value.name not in conditional_names(unique):
            continue
        plains = [write.after.fields[value.name]]
        plains += [False, True] if isinstance(value.field, models.BooleanField) else []
        plains += [None] if value.field.null else []
        for plain in plains:
            record = replace(write.before, fields={**write.before.fields, value.name: plain})
            if is_met(schema, unique.condition, record) is False:
                return value, plain
    return None


def place_to_park(schema: ModelSchema, unique: UniqueSet, write: Write | None) -> Field | None:
    """The column of a set in which a row can be given another value meanwhile; None if there is none.

    One that the row's own write will set anyway, if possible. Never the primary key, nor what others refer to by
    it, nor a required foreign key.
    """
    columns = set(columns_of(schema, schema.field_names))
    candidates = [
        field
        for field in fields_of(schema, unique)
        if not field.primary_key
        and ((field.null and unique.nulls_distinct) or can_be_free(field))
        and not _is_referred_to(field)
        and (write is None or field.name in columns)
    ]
    changed = set() if write is None else set(columns_of(schema, write.changed))
    candidates.sort(key=lambda field: (field.name not in changed, not field.null))
    return candidates[0] if candidates else None


def _is_referred_to(field: Field) -> bool:
    relations: list[Any] = field.model._meta.get_fields(include_hidden=True)
    return any(
        relation.field.target_field is field
        for relation in relations
        if relation.auto_created and not relation.concrete and (relation.one_to_many or relation.one_to_one)
    )
