"""Columns other than the primary key that rows refer to (`to_field`): their values cannot change under those rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Count

from data_sync.core.equality import same
from data_sync.core.records import Record

from .batches import batches
from .limits import Problem, problem
from .schema import ModelSchema, Value
from .tables import table

Update = tuple[ModelSchema, Record, Record]
"""A row before and after."""


class ReferredColumns:
    """What some updates would do to rows here that refer to a changed column; a query for each such column."""

    def __init__(self, updates: Iterable[Update], using: str) -> None:
        self._using = using
        wanted: dict[tuple[Any, str], set[Any]] = {}
        for schema, before, after in updates:
            for value, relation in _changed(schema, before, after):
                wanted.setdefault((relation.field, value.name), set()).add(_python(value, before))
        self._counts: dict[tuple[Any, Any], int] = {}
        for (field, _), values in wanted.items():
            for batch in batches(values - {None}):
                rows = table(field.model, using).filter(**{f"{field.attname}__in": batch}).order_by()
                for found, count in rows.values_list(field.attname).annotate(Count("pk")):
                    self._counts[field, found] = count

    def problems(self, schema: ModelSchema, before: Record, after: Record) -> list[Problem]:
        """A problem for each column that rows refer to and that would change."""
        return [
            problem(
                "referred_to",
                value.name,
                f"{value.name} is the column that {count} {'row' if count == 1 else 'rows'} of "
                f"{field.model._meta.label_lower} here refer to by {field.name}: they would refer to nothing. Exclude "
                "the field from syncing, or change both here by hand.",
            )
            for value, relation in _changed(schema, before, after)
            if (count := self._counts.get(((field := relation.field), _python(value, before)), 0))
        ]


def _changed(schema: ModelSchema, before: Record, after: Record) -> Iterator[tuple[Value, Any]]:
    """The values that change and that relations lead to, with each relation."""
    for relation in _relations(schema):
        value = next((value for value in schema.values if value.field == relation.field.target_field), None)
        if value is not None and not same(before.fields[value.name], after.fields[value.name]):
            yield value, relation


def _relations(schema: ModelSchema) -> list[Any]:
    """Foreign keys of other models, hidden ones among them, to a column that is not the primary key."""
    relations: list[Any] = schema.model._meta.get_fields(include_hidden=True)
    return [
        relation
        for relation in relations
        if relation.auto_created
        and not relation.concrete
        and (relation.one_to_many or relation.one_to_one)
        and not relation.field.target_field.primary_key
    ]


def _python(value: Value, before: Record) -> Any:
    plain = before.fields[value.name]
    return None if plain is None else value.codec.from_plain(plain)
