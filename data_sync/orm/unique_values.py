"""What records say of the columns of a unique set."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from data_sync.core import canonical
from data_sync.core.records import Record
from data_sync.registry.unique_sets import UniqueSet

from .generic_targets import object_value, stored_type_pk
from .references import RowsOfKeys
from .rekeying import Rekeying
from .resolution import schemas, target_schema
from .schema import Generic, ModelSchema


class UniqueValues:
    """Turns records into the values that a unique set compares. References are looked up by `load`.

    Records have the keys that rows will have once some are renamed; `rekeying` tells which ones they have now.
    """

    def __init__(self, schema: ModelSchema, unique: UniqueSet, rekeying: Rekeying, using: str) -> None:
        self._schema = schema
        self._names = unique.names
        self._rekeying = rekeying
        self._using = using
        self._rows: dict[tuple[str, str], RowsOfKeys] = {}
        self._types: dict[tuple[str, str], Any | None] = {}

    def load(self, records: Iterable[Record]) -> None:
        wanted: dict[tuple[str, str], list[str]] = {}
        for record in records:
            for reference in self._schema.references:
                key = record.fields[reference.name]
                if reference.name in self._names and key is not None:
                    place = (target_schema(reference).label, reference.field.target_field.attname)
                    wanted.setdefault(place, []).append(canonical.dumps(key))
            for generic in self._schema.generics:
                value = record.fields[generic.name]
                if generic.object_field.name in self._names and value is not None and value[0] in schemas():
                    wanted.setdefault((value[0], "pk"), []).append(canonical.dumps(value[1]))
        for place, texts in wanted.items():
            self._rows[place] = RowsOfKeys(schemas()[place[0]], place[1], self._using)
            formers = (self._rekeying.former(place[0], text) for text in texts)
            self._rows[place].load(former.text for former in formers if former is not None)

    def of(self, record: Record) -> tuple[Any, ...] | None:
        """As the columns hold them. None where a value cannot be told: its row is not here yet, or it is of no use."""
        held: dict[str, Any] = {}
        for value in self._schema.values:
            if value.name in self._names:
                plain = record.fields[value.name]
                try:
                    held[value.name] = None if plain is None else value.codec.from_plain(plain)
                except ValueError:
                    return None
        for reference in self._schema.references:
            if reference.name in self._names:
                key = record.fields[reference.name]
                place = (target_schema(reference).label, reference.field.target_field.attname)
                held[reference.name] = None if key is None else self._one(place, canonical.dumps(key))
                if key is not None and held[reference.name] is None:
                    return None
        for generic in self._schema.generics:
            if {generic.type_field.name, generic.object_field.name} & set(self._names):
                pair = self._generic(generic, record.fields[generic.name])
                if pair is None:
                    return None
                held[generic.type_field.name], held[generic.object_field.name] = pair
        return tuple(held.get(name) for name in self._names)

    def texts(self, record: Record) -> tuple[str, ...]:
        """The canonical text of the member behind each column."""
        of_generics = {
            column: generic.name
            for generic in self._schema.generics
            for column in (generic.type_field.name, generic.object_field.name)
        }
        return tuple(canonical.dumps(record.fields.get(of_generics.get(name, name))) for name in self._names)

    def _generic(self, generic: Generic, value: Any) -> tuple[Any, Any] | None:
        if value is None:
            return None, generic.nothing
        label, key = value
        if label not in schemas():
            return None
        pk = self._one((label, "pk"), canonical.dumps(key))
        if pk is None:
            return None
        kind = self._type(generic, label)
        return None if kind is None else (kind, object_value(generic, pk))

    def _type(self, generic: Generic, label: str) -> Any | None:
        """The content type as it is stored: where there is none, no row can hold it yet."""
        place = (generic.name, label)
        if place not in self._types:
            self._types[place] = stored_type_pk(generic, schemas()[label], self._using)
        return self._types[place]

    def _one(self, place: tuple[str, str], text: str) -> Any | None:
        former = self._rekeying.former(place[0], text)
        found = self._rows[place].all(former.text) if place in self._rows and former is not None else []
        return found[0] if len(found) == 1 else None
