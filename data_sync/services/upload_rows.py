"""Rows as `upload_to` functions look at them: as they will be, before any of it is written."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.functional import SimpleLazyObject

from data_sync.core import canonical
from data_sync.core.records import Record
from data_sync.core.states import Operation
from data_sync.models import Change, Changeset
from data_sync.orm.references import RowsOfKeys
from data_sync.orm.resolution import target_schema
from data_sync.orm.schema import ModelSchema, Reference

from .content import after_record

USING = "default"
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
        return row

    def _bare(self, schema: ModelSchema, change: Change) -> models.Model:
        stored: models.Model | None = None
        if change.local_pk is not None:
            stored = schema.every_row(USING).filter(pk=schema.pk.to_python(change.local_pk)).first()
        # A row that is gone is found out in the transaction.
        return schema.model() if stored is None else stored

    def _created_for(self, change: Change) -> dict[Place, Change]:
        """The changes that create rows which this one refers to."""
        required = self._changeset.changes.filter(number__in=change.requires, operation=Operation.CREATE.value)
        found = required if change.requires else []
        return {(other.model, canonical.dumps(other.key)): other for other in found}

    def _refer(
        self, row: models.Model, reference: Reference, key: Any, created: dict[Place, Change], depth: int
    ) -> None:
        if key is None:
            setattr(row, reference.field.attname, None)
            return
        target = target_schema(reference)
        place = (target.label, canonical.dumps(key))
        change = created.get(place)
        if place in self._made:
            setattr(row, reference.name, self._made[place])
        elif change is None:
            setattr(row, reference.name, self._here(target, place))
        elif depth:
            setattr(row, reference.name, self._make(target, change, depth - 1))
        else:
            later: Any = SimpleLazyObject(lambda: self._make(target, change, DEPTH))
            reference.field.set_cached_value(row, later)

    def _here(self, schema: ModelSchema, place: Place) -> models.Model | None:
        if place not in self._stored:
            rows = RowsOfKeys(schema, "pk", USING)
            rows.load([place[1]])
            self._stored[place] = schema.every_row(USING).filter(pk=rows.get(place[1])).first()
        return self._stored[place]


def _set_values(schema: ModelSchema, row: models.Model, record: Record) -> None:
    for value in (*schema.values, *schema.carried):
        given = record.fields if value in schema.values else record.carried
        if value.name in given:
            plain = given[value.name]
            setattr(row, value.field.attname, None if plain is None else value.codec.from_plain(plain))
