"""What renamed rows do to the keys of others: a new key of a parent is a new key of its children."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from data_sync.core import canonical
from data_sync.core.records import Key, Record

from .resolution import target_schema
from .schema import ModelSchema

Renamed = tuple[str, str]
"""A row that is renamed: label, and canonical text of the key that it has had."""


class Rekeying:
    """Rewrites records as they will be once some rows are renamed. `renamed` has the new key of each."""

    def __init__(self, schemas: Mapping[str, ModelSchema], renamed: Mapping[Renamed, Key]) -> None:
        self._schemas = schemas
        self._renamed = renamed
        self._known: dict[Renamed, tuple[list[Any], frozenset[Renamed]]] = {}

    def record(self, record: Record) -> Record:
        """The record with the new keys of all that it refers to; its own renaming is not done."""
        return self.with_causes(record)[0]

    def with_causes(self, record: Record) -> tuple[Record, frozenset[Renamed]]:
        """The same, with the renamed rows that it comes from; without any, the record itself."""
        if not self._renamed:
            return record, frozenset()
        schema = self._schemas[record.model]
        causes: set[Renamed] = set()
        fields = dict(record.fields)
        for reference in schema.references:
            if fields.get(reference.name) is not None:
                fields[reference.name] = self._key(target_schema(reference), fields[reference.name], causes)
        for link in schema.links:
            keys = [self._key(target_schema(link), key, causes) for key in fields[link.name]]
            fields[link.name] = sorted(keys, key=canonical.dumps)
        for generic in schema.generics:
            value = fields[generic.name]
            if value is not None and value[0] in self._schemas:
                fields[generic.name] = [value[0], self._key(self._schemas[value[0]], value[1], causes)]
        if not causes:
            return record, frozenset()
        key = self._through(schema, list(record.key), causes)
        return replace(record, key=tuple(key), fields=fields), frozenset(causes)

    def _key(self, schema: ModelSchema, key: list[Any], causes: set[Renamed]) -> list[Any]:
        """The new key of a row; `causes` gains the renamed rows that it comes from."""
        row = (schema.label, canonical.dumps(key))
        if row not in self._known:
            if row in self._renamed:
                self._known[row] = list(self._renamed[row]), frozenset([row])
            else:
                of_parts: set[Renamed] = set()
                self._known[row] = self._through(schema, key, of_parts), frozenset(of_parts)
        renewed, of_row = self._known[row]
        causes |= of_row
        return renewed

    def _through(self, schema: ModelSchema, key: list[Any], causes: set[Renamed]) -> list[Any]:
        """The key with what it takes from the keys of referenced rows renewed."""
        renewed = list(key)
        for name in dict.fromkeys(part.path[0] for part in schema.key if len(part.path) > 1):
            reference = next((one for one in schema.references if one.name == name), None)
            if reference is None:
                continue
            target = target_schema(reference)
            places = {part.path[1:]: place for place, part in enumerate(schema.key) if part.path[0] == name}
            if not all(part.path in places for part in target.key):
                continue  # The key has a part of the other key only: it does not say which row that is.
            of_target = self._key(target, [key[places[part.path]] for part in target.key], causes)
            for part, value in zip(target.key, of_target, strict=True):
                renewed[places[part.path]] = value
        return renewed
