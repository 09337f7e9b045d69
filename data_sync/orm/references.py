"""Between rows' identifiers and natural keys, in batches."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from django.db import models

from data_sync.core import canonical
from data_sync.core.errors import RecordError
from data_sync.core.records import Record

from .among import among
from .batches import batches
from .collation import known_forms
from .resolution import schema_of, schemas, target_schema
from .schema import KeyPart, ModelSchema
from .values import integers

KeyText = str
"""The canonical text of a natural key's list: what keys are compared and looked up by."""
KeyParts = tuple[str, ...]
"""The canonical text of each part."""

CACHED_KEYS = 100_000


class KeysOfRows:
    """Finds the natural key of rows of one model, by primary key or by another unique column.

    Keeps what it found, up to `CACHED_KEYS` rows. Reads past scopes and default managers. Raises `RecordError` for a
    row without natural key; `leaves_out`: that is not among what is found.
    """

    def __init__(self, model: type[models.Model], column: str, using: str, *, leaves_out: bool = False) -> None:
        schema = schema_of(model)
        if schema is None:
            raise RecordError(f"{model._meta.label} is not registered.")
        self._schema = schema
        self._column = column
        self._field: Any = model._meta.pk if column == "pk" else model._meta.get_field(column)
        self._using = using
        self._leaves_out = leaves_out
        self._keys: dict[Any, KeyParts] = {}

    def load(self, identifiers: Collection[Any]) -> Mapping[Any, KeyParts]:
        """The keys of these rows, and of others; a row that does not exist is not among them.

        Reads those that are not known yet. What it gives is valid until the next `load`.
        """
        missing = [identifier for identifier in set(identifiers) if identifier not in self._keys]
        if len(self._keys) + len(missing) > CACHED_KEYS:
            self._keys.clear()
            missing = list(set(identifiers))
        lookups = [part.lookup for part in self._schema.key]
        for batch in batches(missing):
            rows = self._schema.every_row(self._using).filter(among(self._column, batch))
            found = []
            for identifier, *parts in rows.values_list(self._column, *lookups):
                if self._leaves_out and None in parts:
                    continue
                self._keys[identifier] = _key_parts(self._schema, parts, f"{self._column}={identifier!r}")
                found.append(identifier)
            for identifier, same in known_forms(self._field, batch, found, self._using).items():
                self._keys[identifier] = self._keys[same]
        return self._keys


def _key_parts(schema: ModelSchema, values: Iterable[Any], which: str) -> KeyParts:
    texts = []
    for part, value in zip(schema.key, values, strict=True):
        if value is None:
            raise null_in_key(schema, part, which)
        texts.append(part.codec.to_text(value))
    return tuple(texts)


def null_in_key(schema: ModelSchema, part: KeyPart, which: str) -> RecordError:
    """The error for a row without natural key; `which` tells the row by a column and its value."""
    return RecordError(
        f"The row of {schema.model._meta.label} with {which} has no {'.'.join(part.path)}, which is part of its "
        "natural key. Fill it in, or narrow the registration's queryset."
    )


class RowsOfKeys:
    """Finds rows of one model by natural key: `identifier` is the column to give (usually the pk)."""

    def __init__(self, schema: ModelSchema, column: str, using: str) -> None:
        self._schema = schema
        self._column = column
        self._using = using
        self._found: dict[KeyText, list[Any]] = {}

    def load(self, keys: Iterable[KeyText]) -> None:
        """Reads the rows with these keys. Equality is Python's, never the database's collation."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._found]
        for batch in batches(missing):
            rows = self._rows(batch)
            self._found.update((key, rows.get(key, [])) for key in batch)

    def _rows(self, batch: Collection[KeyText]) -> dict[KeyText, list[Any]]:
        """The rows with these keys, by what the database takes for equal, and some more: each under its own key."""
        parsed = [canonical.loads(key) for key in batch]
        query = {
            f"{part.lookup}__in": list(_python_values(part, (key[index] for key in parsed), self._using))
            for index, part in enumerate(self._schema.key)
        }
        lookups = [part.lookup for part in self._schema.key]
        found: dict[KeyText, list[Any]] = {}
        rows = self._schema.every_row(self._using).filter(**query)
        for identifier, *parts in rows.values_list(self._column, *lookups):
            text = canonical.array(_key_parts(self._schema, parts, f"{self._column}={identifier!r}"))
            found.setdefault(text, []).append(identifier)
        return found

    def add(self, key: KeyText, identifier: Any) -> None:
        """Notes a row that was just written."""
        self._found[key] = [identifier]

    def get(self, key: KeyText) -> Any | None:
        """The row with this loaded key, None if there is none. Raises `RecordError` if there are several."""
        found = self._found[key]
        if len(found) > 1:
            raise RecordError(
                f"{len(found)} rows of {self._schema.model._meta.label} have the natural key {key}; change all but one."
            )
        return found[0] if found else None

    def all(self, key: KeyText) -> list[Any]:
        """Every row with this loaded key: none, one, or twins."""
        return self._found[key]

    def count(self, key: KeyText) -> int:
        return len(self._found[key])

    def size(self) -> int:
        """How many keys are known, those without a row among them."""
        return len(self._found)


def _python_values(part: KeyPart, plain: Iterable[Any], using: str) -> Iterator[Any]:
    """Each value once; values that no row can have are left out: those of another type, and too large integers."""
    taken = integers(part.leaf, using) if isinstance(part.leaf, models.IntegerField) else None
    for value in {canonical.dumps(value): value for value in plain}.values():
        with suppress(ValueError):
            python = part.codec.from_plain(value)
            if taken is None or python in taken:
                yield python


def targets_of(
    schema: ModelSchema, record: Record, before: Record | None = None
) -> Iterator[tuple[str, ModelSchema, KeyText]]:
    """Everything that a record refers to: the field, the target's schema, the canonical text of the target's key.

    References (that to a multi-table parent among them), many-to-many links and generic foreign keys, less those
    fields that `before` has alike. A generic one to a model that is not registered here is left out: `limits` says so.
    """

    def value_of(name: str) -> Any:
        value = record.fields[name]
        return None if before is not None and value == before.fields[name] else value

    for reference in schema.references:
        if (key := value_of(reference.name)) is not None:
            yield reference.name, target_schema(reference), canonical.dumps(key)
    for link in schema.links:
        if keys := value_of(link.name):
            target = target_schema(link)
            for key in keys:
                yield link.name, target, canonical.dumps(key)
    for generic in schema.generics:
        if (named := value_of(generic.name)) is not None:
            label, key = named
            if label in schemas():
                yield generic.name, schemas()[label], canonical.dumps(key)
