"""Rows as `upload_to` functions look at them: as they will be, before any of it is written."""

from __future__ import annotations

from typing import Any, cast

from django.db import DEFAULT_DB_ALIAS, models
from django.utils.functional import SimpleLazyObject

from data_sync.core import canonical
from data_sync.core.records import Record
from data_sync.core.states import Operation
from data_sync.models import Change, Changeset
from data_sync.orm.references import RowsOfKeys
from data_sync.orm.resolution import schemas, target_schema
from data_sync.orm.schema import Generic, ModelSchema, Reference

from .content import after_record

CACHED_ROWS = 1000
DEPTH = 50
"""So many rows that a changeset creates are made one for the other at once; those beyond when they are asked for."""

Place = tuple[str, str]
"""A row's model label and the canonical text of its natural key."""


class UploadRows:
    """Makes the rows of one changeset, never saved: an update's stored row with its new values, or a new row.

    References lead to the rows that are here, or to such new rows where the changeset creates them. Links are not set.
    """

    def __init__(self, changeset: Changeset) -> None:
        self._changeset = changeset
        self._made: dict[Place, models.Model] = {}
        self._stored: dict[Place, models.Model | None] = {}

    def row(self, schema: ModelSchema, change: Change) -> models.Model:
        for cache in (self._made, self._stored):
            if len(cache) > CACHED_ROWS:
                cache.clear()
        return self._make(schema, change, DEPTH)

    def _make(self, schema: ModelSchema, change: Change, depth: int) -> models.Model:
        record = after_record(change)
        place = (schema.label, record.key_text)
        if place in self._made:
            return self._made[place]
        # Known before its references are made: they may lead back to it.
        row = self._made[place] = self._bare(schema, change)
        _set_values(schema, row, record)
        created = self._created_for(change)
        for reference in schema.references:
            key = record.fields.get(reference.name)
            self._refer(row, reference, key, created, depth)
        if schema.parent_link is not None:
            _inherit(row, getattr(row, schema.parent_link.name))
        for generic in schema.generics:
            self._refer_generically(row, generic, record.fields.get(generic.name), created, depth)
        return row

    def _bare(self, schema: ModelSchema, change: Change) -> models.Model:
        stored: models.Model | None = None
        if change.local_pk is not None:
            stored = schema.every_row(DEFAULT_DB_ALIAS).filter(pk=schema.pk.to_python(change.local_pk)).first()
        # A row that is gone is found out in the transaction.
        return schema.model() if stored is None else stored

    def _created_for(self, change: Change) -> dict[Place, Change]:
        """The changes that give rows which this one refers to the key that it refers to them by."""
        required = self._changeset.changes.filter(
            number__in=change.requires, operation__in=[Operation.CREATE.value, Operation.RENAME.value]
        )
        found = required if change.requires else []
        return {(other.model, canonical.dumps(other.key)): other for other in found}

    def _refer(
        self, row: models.Model, reference: Reference, key: Any, created: dict[Place, Change], depth: int
    ) -> None:
        if key is None:
            setattr(row, reference.field.attname, None)
            return
        other = self._target(target_schema(reference), canonical.dumps(key), created, depth)
        if isinstance(other, SimpleLazyObject):
            reference.field.set_cached_value(row, cast(Any, other))
        else:
            setattr(row, reference.name, other)

    def _refer_generically(
        self, row: models.Model, generic: Generic, value: Any, created: dict[Place, Change], depth: int
    ) -> None:
        target = None if value is None else schemas().get(value[0])
        if target is None:
            setattr(row, generic.name, None)
        elif depth:  # Setting it looks at the row.
            setattr(row, generic.name, self._target(target, canonical.dumps(value[1]), created, depth))

    def _target(self, target: ModelSchema, key_text: str, created: dict[Place, Change], depth: int) -> Any:
        """The row that is referred to: made for this changeset, stored here (or None), or made when it is asked for."""
        place = (target.label, key_text)
        change = created.get(place)
        if place in self._made:
            return self._made[place]
        if change is None:
            return self._here(target, place)
        if depth:
            return self._make(target, change, depth - 1)
        return SimpleLazyObject(lambda: self._make(target, change, DEPTH))

    def _here(self, schema: ModelSchema, place: Place) -> models.Model | None:
        if place not in self._stored:
            rows = RowsOfKeys(schema, "pk", DEFAULT_DB_ALIAS)
            rows.load([place[1]])
            self._stored[place] = schema.every_row(DEFAULT_DB_ALIAS).filter(pk=rows.get(place[1])).first()
        return self._stored[place]


def _inherit(row: models.Model, parent: models.Model | None) -> None:
    """Gives a multi-table child the values that belong to its parent's row."""
    if parent is not None:
        for field in parent._meta.concrete_fields:
            setattr(row, field.attname, getattr(parent, field.attname))


def _set_values(schema: ModelSchema, row: models.Model, record: Record) -> None:
    for value in (*schema.values, *schema.carried):
        given = record.fields if value in schema.values else record.carried
        if value.name in given:
            plain = given[value.name]
            setattr(row, value.field.attname, None if plain is None else value.codec.from_plain(plain))
