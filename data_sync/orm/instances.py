"""Instances with the values of records: fields decoded, references resolved."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.apps import apps

from data_sync.core import canonical
from data_sync.core.errors import ChangeFailed

from .free_values import free_values
from .generic_targets import content_type_pk, object_value
from .resolution import schema_of, target_schema
from .schema import Generic, ModelSchema, Reference
from .self_keys import OwnKeys
from .target_rows import TargetRows
from .writes import Row, Write, columns_of, self_references


class Instances:
    """Sets on instances what records say. What they refer to is looked up by `load`, for many at once."""

    def __init__(self, using: str, targets: TargetRows) -> None:
        self._using = using
        self._targets = targets
        self._types: dict[tuple[bool, str], Any] = {}
        self._own_keys = OwnKeys(using)

    def load(self, schema: ModelSchema, writes: Sequence[Write]) -> None:
        """Begins a batch: looks up the rows that what changes refers to. Instances of these writes are filled next."""
        self._targets.begin()
        self._own_keys.expect(_count_own(schema, writes))
        for reference in schema.references:
            values = _changed(writes, reference.name)
            self._targets.load(target_schema(reference), _column(reference), map(canonical.dumps, values))
        for generic in schema.generics:
            keys: dict[str, list[str]] = {}
            for label, key in _changed(writes, generic.name):
                keys.setdefault(label, []).append(canonical.dumps(key))
            for label, texts in keys.items():
                target = _schema_of_label(label)
                if target is not None:
                    self._targets.load(target, "pk", texts)

    def given(self, schema: ModelSchema, write: Write) -> tuple[str, ...]:
        """The columns that a record sets on a new row."""
        carried = [value.name for value in schema.carried if write.after.carried.get(value.name) is not None]
        return (*columns_of(schema, schema.field_names), *carried, *write.files)

    def fill(self, schema: ModelSchema, row: Row, write: Write, columns: Collection[str]) -> list[str]:
        """Sets these columns. Gives the members whose targets are not there yet, which may wait for them.

        Raises `ChangeFailed` for one that must not.
        """
        names = set(columns)
        for value in schema.values:
            if value.name in names:
                plain = write.after.fields[value.name]
                setattr(row, value.field.attname, None if plain is None else value.codec.from_plain(plain))
        for value in schema.carried:
            plain = write.after.carried.get(value.name)
            if value.name in names and plain is not None:
                setattr(row, value.field.attname, value.codec.from_plain(plain))
        for name, stored in write.files.items():
            if name in names:
                setattr(row, name, stored)
        waiting = [
            reference.name
            for reference in schema.references
            if reference.name in names and not self._refer(schema, row, reference, write)
        ]
        for generic in schema.generics:
            if generic.type_field.name in names and not self._refer_generically(schema, row, generic, write):
                waiting.append(generic.name)
        return waiting

    def _refer(self, schema: ModelSchema, row: Row, reference: Reference, write: Write) -> bool:
        value = write.after.fields[reference.name]
        if value is None:
            setattr(row, reference.field.attname, None)
            return True
        text, target = canonical.dumps(value), target_schema(reference)
        if write.before is not None and reference.name not in write.changed:
            self._targets.load(target, _column(reference), [text])
        found = self._targets.get(target, _column(reference), text)
        if found is None and not reference.field.null:
            if target.label == schema.label and text == write.key_text:
                found = self._own_keys.of(schema, row, reference)
            if found is None:
                whom = f"a row of {target.label}" if reference.name in schema.redacted else f"{target.label} {text}"
                reason = f"{write.name}: {reference.name} refers to {whom}, which does not exist here. Pull again."
                raise ChangeFailed({write.number: reason})
        setattr(row, reference.field.attname, found)
        return found is not None

    def _refer_generically(self, schema: ModelSchema, row: Row, generic: Generic, write: Write) -> bool:
        value = write.after.fields[generic.name]
        type_column, object_column = generic.type_field.attname, generic.object_field.attname
        if value is None:
            setattr(row, type_column, None)
            setattr(row, object_column, generic.nothing)
            return True
        label, key = value
        target = _schema_of_label(label)
        if target is None:
            whom = "a model" if generic.name in schema.redacted else label
            reason = f"{write.name}: {generic.name} refers to {whom}, which is not registered here."
            raise ChangeFailed({write.number: reason})
        if write.before is not None and generic.name not in write.changed:
            self._targets.load(target, "pk", [canonical.dumps(key)])
        found = self._targets.get(target, "pk", canonical.dumps(key))
        setattr(row, type_column, self._type_of(generic, target))
        # No constraint looks at this column: what is not there yet can be filled in later.
        setattr(row, object_column, self._no_object(generic) if found is None else object_value(generic, found))
        return found is not None

    def _no_object(self, generic: Generic) -> Any:
        if generic.object_field.null:
            return None
        return next(iter(free_values(generic.object_field, 1, self._using)), generic.nothing)

    def _type_of(self, generic: Generic, target: ModelSchema) -> Any:
        place = (generic.field.for_concrete_model, target.label)
        if place not in self._types:
            self._types[place] = content_type_pk(generic, target, self._using)
        return self._types[place]


def _schema_of_label(label: str) -> ModelSchema | None:
    try:
        return schema_of(apps.get_model(label))
    except (LookupError, ValueError):
        return None


def _changed(writes: Sequence[Write], name: str) -> Iterable[Any]:
    """The values of a member that are not null, of the writes that change it."""
    values = (write.after.fields[name] for write in writes if name in write.changed)
    return [value for value in values if value is not None]


def _count_own(schema: ModelSchema, writes: Sequence[Write]) -> int:
    """How many new rows must refer to themselves."""
    names = [reference.name for reference in self_references(schema) if not reference.field.null]
    new = [write for write in writes if write.before is None] if names else []
    return sum(any(canonical.dumps(write.after.fields[name]) == write.key_text for name in names) for write in new)


def _column(reference: Reference) -> str:
    return reference.field.target_field.attname
