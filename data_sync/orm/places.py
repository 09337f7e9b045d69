"""Where a row can wait that has to let go of its values in a unique set before its own turn."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from django.db import models
from django.db.models import Q

from data_sync.core.records import Record
from data_sync.registry.unique_sets import UniqueSet

from .checks import allowed, checks_on
from .conditions import forbids, held_by, meets
from .free_values import can_be_free, free_values
from .holders import conditional_names, fields_of
from .schema import ModelSchema, Value
from .values import Field
from .writes import changed, columns_of


class Places:
    """Finds places for rows of one model and set, given what they have (`before`) and will have (None for a delete).

    What the database says is remembered: make a new one once rows have moved.
    """

    def __init__(self, schema: ModelSchema, unique: UniqueSet, using: str) -> None:
        self._schema = schema
        self._unique = unique
        self._using = using
        self._full: dict[Field, bool] = {}
        self._made_up: dict[Field, list[Any]] = {}
        self._synced = set(columns_of(schema, schema.field_names))

    def exist(self, before: Record, after: Record | None) -> bool:
        """Whether a row can be made to let go of its values at all."""
        return self.column(before, after) is not None or self.way_out(before, after) is not None

    def column(self, before: Record, after: Record | None) -> Field | None:
        """The column of the set in which a row can be given another value meanwhile; None if there is none.

        One that the row's own write will set anyway, if possible, and that it can set. Never the primary key, nor what
        others refer to by it, nor a required foreign key.
        """
        set_anyway = set() if after is None else set(columns_of(self._schema, changed(before, after)))
        candidates = [field for field in self._candidates if after is None or field.name in self._synced]
        candidates.sort(key=lambda field: (field.name not in set_anyway, not field.null))
        return next((field for field in candidates if not self._is_full(field)), None)

    @cached_property
    def _candidates(self) -> list[Field]:
        return [
            field
            for field in fields_of(self._schema, self._unique)
            if not field.primary_key and not _is_referred_to(field) and (self.takes_null(field) or can_be_free(field))
        ]

    def takes_null(self, field: Field) -> bool:
        """Whether a row can have null in this column, and then keeps nobody out of the set."""
        return field.null and self._unique.nulls_distinct and any(True for _ in allowed(field, [None]))

    def _is_full(self, field: Field) -> bool:
        if field not in self._full:
            self._full[field] = not self.takes_null(field) and not free_values(field, 1, self._using)
        return self._full[field]

    def way_out(self, before: Record, after: Record | None) -> tuple[Field, Any] | None:
        """A column, and a value, by which a row no longer meets the condition of the set."""
        condition = self._unique.condition or Q()
        for value in self._conditional:
            for other in self._others(value, after):
                held = held_by(self._schema, before, **{value.name: other})
                is_refused = any(forbids(check, held) for check in checks_on(value.field))
                if not is_refused and meets(condition, held) is False:
                    return value.field, other
        return None

    def _others(self, value: Value, after: Record | None) -> Iterator[Any]:
        """What a row may be given in a column for a while: what it will have, null, and what everybody can have."""
        field = value.field
        plain = None if after is None else after.fields[value.name]
        if plain is not None:
            yield value.codec.from_plain(plain)
        if isinstance(field, models.BooleanField):
            yield from (False, True)
        if field.null:
            yield None
        yield from (choice for choice, _ in field.flatchoices if isinstance(field, models.CharField) and choice)
        if field not in self._made_up:
            self._made_up[field] = free_values(field, 1, self._using)
        yield from self._made_up[field]

    @cached_property
    def _conditional(self) -> list[Value]:
        names = conditional_names(self._unique)
        return [value for value in self._schema.values if value.name in names]


def _is_referred_to(field: Field) -> bool:
    relations: list[Any] = field.model._meta.get_fields(include_hidden=True)
    return any(
        relation.field.target_field is field
        for relation in relations
        if relation.auto_created and not relation.concrete and (relation.one_to_many or relation.one_to_one)
    )
