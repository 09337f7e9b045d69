"""What a column cannot hold, found before anything is written."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django.db import connections, models

from data_sync.core import canonical
from data_sync.core.equality import same
from data_sync.core.errors import MalformedStream
from data_sync.core.records import MISSING, Record

from .resolution import target_schema
from .schema import ModelSchema
from .values import Field, integers

Problem = dict[str, str]
"""`{"code", "field", "message"}`: why a change cannot be applied."""


def problem(code: str, field: str, message: str) -> Problem:
    return {"code": code, "field": field, "message": message}


def validate(schema: ModelSchema, record: Record) -> None:
    """Raises `MalformedStream` unless a record from outside has the schema's members and its key agrees."""
    name = f"{schema.label} {canonical.dumps(list(record.key))}"
    expected = set(schema.field_names)
    if record.fields.keys() != expected:
        odd = ", ".join(sorted(record.fields.keys() ^ expected))
        raise MalformedStream(f"The record {name} lacks fields or has unknown ones: {odd}.")
    if record.files.keys() != {file.name for file in schema.files}:
        raise MalformedStream(f"The record {name} does not have the file fields of its model.")
    if not record.carried.keys() <= {value.name for value in schema.carried}:
        raise MalformedStream(f"The record {name} carries values its model does not have.")
    if not _is_key(schema, list(record.key)):
        raise MalformedStream(f"The record {name} does not have the natural key of its model.")
    if None in record.key:
        raise MalformedStream(f"The record {name} has null in its natural key. Fill it in at the source.")
    for reference in schema.references:
        value = record.fields[reference.name]
        if value is not None and not _is_key(target_schema(reference), value):
            raise MalformedStream(f"The record {name} has a {reference.name} that is no natural key.")
    for link in schema.links:
        values = record.fields[link.name]
        if not isinstance(values, list) or not all(_is_key(target_schema(link), value) for value in values):
            raise MalformedStream(f"The record {name} has {link.name} that are not natural keys.")
        texts = [canonical.dumps(value) for value in values]
        if texts != sorted(set(texts)):
            raise MalformedStream(f"The record {name} has {link.name} twice or not in canonical order.")
    for part, value in zip(schema.key, record.key, strict=True):
        if len(part.path) == 1 and record.fields[part.path[0]] != value:
            raise MalformedStream(f"The record {name} has another {part.path[0]} than its key says.")


def _is_key(schema: ModelSchema, value: Any) -> bool:
    """Whether a value can be a natural key of a model: as many plain parts as it has."""
    return (
        isinstance(value, list)
        and len(value) == len(schema.key)
        and not any(isinstance(part, list | dict) for part in value)
    )


def value_problems(schema: ModelSchema, before: Record | None, after: Record, using: str) -> list[Problem]:
    """Why the columns cannot take what a record changes; whether references exist is looked at elsewhere."""
    return list(_value_problems(schema, before, after, using))


def _value_problems(schema: ModelSchema, before: Record | None, after: Record, using: str) -> Iterator[Problem]:
    for value in schema.values:
        plain = after.fields[value.name]
        if before is not None and same(before.fields[value.name], plain):
            continue
        if plain is None:
            if not value.field.null:
                yield problem("null", value.name, f"{value.name} is null, and the column here takes no null.")
            continue
        try:
            python = value.codec.from_plain(plain)
        except ValueError as error:
            yield problem(
                "type", value.name, f"{value.name} cannot be read as {type(value.field).__name__}: {str(error)[:300]}."
            )
            continue
        reason = _capacity(value.field, python, using)
        if reason:
            yield problem("capacity", value.name, f"{value.name} {reason}")
    for reference in schema.references:
        if after.fields[reference.name] is None and not reference.field.null:
            yield problem("null", reference.name, f"{reference.name} is null, and the column here takes no null.")
    for name, stored in after.files.items():
        old = None if before is None else before.files[name]
        if stored is not None and stored.checksum == MISSING and (old is None or old.checksum != MISSING):
            yield problem(
                "missing_file",
                name,
                f"{name}: the file {stored.name!r} is missing at the source; upload it there again.",
            )


def _capacity(field: Field, value: Any, using: str) -> str:
    connection = connections[using]
    match field, value:
        case models.CharField(max_length=int(limit)), str() if len(value) > limit:
            return f"has {len(value)} characters; the column here takes {limit}. Shorten it at the source."
        case models.DecimalField(max_digits=int(digits), decimal_places=int(places)), Decimal():
            if not value.is_finite():
                return f"is {value}, which the column here cannot hold."
            whole = max(value.adjusted() + 1, 0) if value else 0
            if whole > digits - places:
                return f"has {whole} digits before the point; the column here takes {digits - places}."
        case models.FloatField(), float() if not math.isfinite(value):
            takes = {"postgresql": True, "sqlite": not math.isnan(value)}
            if not takes.get(connection.vendor, False):
                return f"is {value}, which the column here cannot hold."
        case models.IntegerField(), int() if value not in (taken := integers(field, using)):
            return f"is {value}; the column here takes {taken.start} to {taken.stop - 1}."
        case models.BinaryField(max_length=int(limit)), bytes() if len(value) > limit:
            return f"has {len(value)} bytes; the column here takes {limit}."
    return ""


def required_columns(schema: ModelSchema) -> list[str]:
    """Columns that a new row needs and that are not synced: creates cannot be applied while there are any."""
    meta = schema.model._meta
    synced = {*schema.field_names, *(value.name for value in schema.carried)}
    return [
        field.name
        for field in meta.concrete_fields
        if field.name not in synced
        and not field.primary_key
        and not isinstance(field, models.FileField)
        and not field.null
        and not field.has_default()
        and not getattr(field, "generated", False)
        and field.db_default is models.NOT_PROVIDED
        and not (field.empty_strings_allowed and field.get_internal_type() in ("CharField", "TextField", "SlugField"))
        and not getattr(field, "auto_now", False)
        and not getattr(field, "auto_now_add", False)
    ]
