"""Handles: primary keys as a source gives them out with its digests, and takes them back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from django.db import connections, models

from data_sync.core import canonical, digests
from data_sync.core.errors import InvalidInput, RecordError
from data_sync.core.source import Handle

from .schema import ModelSchema
from .values import Field, integers


def kind_of(schema: ModelSchema) -> str:
    """How a listing writes the handles of a model: "integer", "uuid" or "text"."""
    field = _leaf(schema)
    if not type(field).__module__.startswith("django.db.models."):
        return digests.TEXT
    match field:
        case models.IntegerField() | models.AutoField():
            return digests.INTEGER
        case models.UUIDField():
            return digests.UUID
        case _:
            return digests.TEXT


def handles_of(schema: ModelSchema, pks: Sequence[Any]) -> Sequence[Handle]:
    """The handles of some primary keys. Raises `RecordError` for one that cannot be sent."""
    match kind_of(schema):
        case digests.INTEGER:
            if set(map(type, pks)) - {int}:  # SQLite gives back whatever was put into an integer column.
                raise _unsendable(schema, next(pk for pk in pks if type(pk) is not int), "is no integer")
            return pks
        case digests.UUID:
            return [pk.hex for pk in pks]
    field = _leaf(schema)
    texts = [str(field.value_to_string(SimpleNamespace(**{field.attname: pk}))) for pk in pks]  # type: ignore[arg-type]
    for pk, text in zip(pks, texts, strict=True):
        if "\0" in text or len(text.encode()) > digests.MAX_HANDLE:
            raise _unsendable(schema, pk, "is too long or holds U+0000")
    return texts


def primary_keys(schema: ModelSchema, handles: Iterable[Handle], using: str) -> list[Any]:
    """The primary keys that handles stand for, each once; integers that no row can have are left out.

    Raises `InvalidInput` for a handle of another kind than the model's.
    """
    field = _leaf(schema)
    kind = kind_of(schema)
    taken = integers(field, using) if kind == digests.INTEGER else range(0)
    pks = dict.fromkeys([_primary_key(schema, field, kind, handle, using) for handle in handles])
    return [pk for pk in pks if kind != digests.INTEGER or pk in taken]


def is_key(schema: ModelSchema, text: str, using: str) -> bool:
    """Whether a text is a natural key that a row of the model can have, in canonical form."""
    try:
        key = canonical.loads(text)
        if not isinstance(key, list) or len(key) != len(schema.key) or canonical.dumps(key) != text:
            return False
        for part, value in zip(schema.key, key, strict=True):
            _check(part.leaf, part.codec.from_plain(value), using)
    except Exception:  # A field of the project's own raises what it likes.
        return False
    return True


def _primary_key(schema: ModelSchema, field: Field, kind: str, handle: Handle, using: str) -> Any:
    if type(handle) is not (int if kind == digests.INTEGER else str):
        raise _no_handle(schema, handle)
    if isinstance(handle, int):
        return handle
    try:
        if "\0" in handle:
            raise ValueError
        handle.encode()
        pk: Any = UUID(handle) if kind == digests.UUID else field.to_python(handle)
        _check(field, pk, using)
    except Exception:  # A field of the project's own raises what it likes.
        raise _no_handle(schema, handle) from None
    return pk


def _check(field: Field, value: Any, using: str) -> None:
    """Raises some error for a value that cannot be asked the database for."""
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) > 1000:
        raise ValueError(f"{value} has more digits than a column")
    field.get_db_prep_value(value, connections[using])


def _leaf(schema: ModelSchema) -> Field:
    """The field whose values primary keys are: the parent's where the primary key is a reference."""
    field: Any = schema.pk
    while field.remote_field is not None:
        field = field.target_field
    leaf: Field = field
    return leaf


def _no_handle(schema: ModelSchema, handle: object) -> InvalidInput:
    shown = f"{handle!r:.60}"
    return InvalidInput(f"{shown} is no handle of {schema.label}; send those of its listing of digests as they are.")


def _unsendable(schema: ModelSchema, pk: object, reason: str) -> RecordError:
    return RecordError(
        f"The row of {schema.model._meta.label} with primary key {pk!r:.60} cannot be listed: the primary key {reason}."
    )
