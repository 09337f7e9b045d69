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
from data_sync.registry.inheritance import is_inner_link, is_own

from .generics import generic_keys
from .resolution import schemas, target_schema
from .schema import ModelSchema, Path, Reference, Value
from .values import Field, integers

_MEND = "Mend that at the source, then pull again."
_FILL = "Fill it in at the source, or allow null here."
_CHANGE = "Change it at the source, or widen the column here."

Problem = dict[str, str]
"""`{"code", "field", "message"}`: why a change cannot be applied."""


def problem(code: str, field: str, message: str) -> Problem:
    return {"code": code, "field": field, "message": message}


def validate(schema: ModelSchema, record: Record) -> None:
    """Raises `MalformedStream` unless a record from outside has the schema's members and its key agrees."""
    name = f"{schema.label} {canonical.dumps(list(record.key))}"
    if record.model != schema.label:
        raise MalformedStream(f"The record {name} says that it is one of {record.model}. {_MEND}")
    expected = set(schema.field_names)
    if record.fields.keys() != expected:
        odd = ", ".join(sorted(record.fields.keys() ^ expected))
        raise MalformedStream(f"The record {name} lacks fields or has unknown ones: {odd}. {_MEND}")
    if record.files.keys() != {file.name for file in schema.files}:
        raise MalformedStream(f"The record {name} does not have the file fields of its model. {_MEND}")
    if not record.carried.keys() <= {value.name for value in schema.carried}:
        raise MalformedStream(f"The record {name} carries values its model does not have. {_MEND}")
    if not _is_key(schema, list(record.key)):
        raise MalformedStream(f"The record {name} does not have the natural key of its model. {_MEND}")
    if None in record.key:
        raise MalformedStream(f"The record {name} has null in its natural key. Fill it in there, then pull again.")
    for reference in schema.references:
        value = record.fields[reference.name]
        if value is not None and not _is_key(target_schema(reference), value):
            raise MalformedStream(f"The record {name} has a {reference.name} that is no natural key. {_MEND}")
    for link in schema.links:
        values = record.fields[link.name]
        if not isinstance(values, list) or not all(_is_key(target_schema(link), value) for value in values):
            raise MalformedStream(f"The record {name} has {link.name} that are not natural keys. {_MEND}")
        texts = [canonical.dumps(value) for value in values]
        if texts != sorted(set(texts)):
            raise MalformedStream(f"The record {name} has {link.name} twice or not in canonical order. {_MEND}")
    for generic in schema.generics:
        if not _is_generic_target(record.fields[generic.name]):
            raise MalformedStream(
                f"The record {name} has a {generic.name} that is no label with a natural key. {_MEND}"
            )
    for part, value in zip(schema.key, record.key, strict=True):
        for said in _said(schema, record, part.path):
            if not same(said, value):
                raise MalformedStream(f"The record {name} has another {part.path[0]} than its key says. {_MEND}")


def _said(schema: ModelSchema, record: Record, path: Path) -> Iterator[Any]:
    """What the fields of a record have where a part of its key comes from; nothing where they do not tell."""
    name, *rest = path
    if not rest:
        yield record.fields[name]
        return
    for reference in schema.references:
        if reference.name == name:
            theirs = zip(target_schema(reference).key, record.fields[name] or (), strict=False)
            yield from (value for part, value in theirs if part.path == tuple(rest))


def _is_key(schema: ModelSchema, value: Any) -> bool:
    """Whether a value can be a natural key of a model: as many plain parts as it has."""
    return (
        isinstance(value, list)
        and len(value) == len(schema.key)
        and not any(isinstance(part, list | dict) for part in value)
    )


def _is_generic_target(value: Any) -> bool:
    """Whether a value is null, or a label with what can be a key of that model; of a model unknown here, any key."""
    match value:
        case None:
            return True
        case [str(label), list(key)]:
            return _is_key(schemas()[label], key) if label in schemas() else True
    return False


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
                yield problem("null", value.name, f"{value.name} is null, and the column here takes no null. {_FILL}")
            continue
        is_redacted = value.name in schema.redacted
        try:
            python = value.codec.from_plain(plain)
        except ValueError as error:
            why = "" if is_redacted else f": {str(error)[:300]}"
            yield problem(
                "type",
                value.name,
                f"{value.name} cannot be read as {type(value.field).__name__}{why}. "
                "Correct it at the source, or bring both sides to one schema.",
            )
            continue
        reason = _capacity(value.field, python, using)
        if reason:
            reason = f"is redacted, and more than the column here can hold. {_CHANGE}" if is_redacted else reason
            yield problem("capacity", value.name, f"{value.name} {reason}")
    for reference in schema.references:
        if after.fields[reference.name] is None and not reference.field.null:
            yield problem(
                "null", reference.name, f"{reference.name} is null, and the column here takes no null. {_FILL}"
            )
    yield from _generic_problems(schema, before, after)
    primary_key = changed_primary_key(schema, before, after)
    if primary_key is not None:
        yield problem(
            "primary_key",
            primary_key,
            f"{primary_key} is the primary key, and another one at the source: the row here cannot take it and stay "
            "the row that others refer to. Delete it on one side, and let it be created anew.",
        )
    for name, stored in after.files.items():
        old = None if before is None else before.files[name]
        if stored is not None and stored.checksum == MISSING and (old is None or old.checksum != MISSING):
            yield problem(
                "missing_file",
                name,
                f"{name}: the file {stored.name!r} is missing at the source; upload it there again.",
            )


def _generic_problems(schema: ModelSchema, before: Record | None, after: Record) -> Iterator[Problem]:
    for generic in schema.generics:
        value = after.fields[generic.name]
        if before is not None and same(before.fields[generic.name], value):
            continue
        if value is None and not generic.null:
            yield problem("null", generic.name, f"{generic.name} is null, and its columns here take no null. {_FILL}")
        elif value is not None and value[0] not in schemas():
            yield problem(
                "missing_reference",
                generic.name,
                f"{generic.name} refers to {'a model' if generic.name in schema.redacted else value[0]}, which is not "
                "registered here. Register that model.",
            )


def changed_primary_key(schema: ModelSchema, before: Record | None, after: Record | None) -> str | None:
    """The field that is the row's primary key, where an update would give it another value."""
    if before is None or after is None:
        return None
    # The tables of one row may have several, but those that join them are in no record.
    members: tuple[Value | Reference, ...] = (*schema.values, *schema.references)
    for member in members:
        if member.field.primary_key and not same(before.fields[member.name], after.fields[member.name]):
            return member.name
    return None


def _capacity(field: Field, value: Any, using: str) -> str:
    connection = connections[using]
    match field, value:
        case models.CharField(max_length=int(limit)), str() if len(value) > limit:
            return f"has {len(value)} characters; the column here takes {limit}. Shorten it at the source."
        case models.DecimalField(max_digits=int(digits), decimal_places=int(places)), Decimal():
            if not value.is_finite():
                return f"is {value}, which the column here cannot hold. {_CHANGE}"
            whole = max(value.adjusted() + 1, 0) if value else 0
            if whole > digits - places:
                return f"has {whole} digits before the point; the column here takes {digits - places}. {_CHANGE}"
        case models.FloatField(), float() if not math.isfinite(value):
            takes = {"postgresql": True, "sqlite": not math.isnan(value)}
            if not takes.get(connection.vendor, False):
                return f"is {value}, which the column here cannot hold. {_CHANGE}"
        case models.IntegerField(), int() if value not in (taken := integers(field, using)):
            return f"is {value}; the column here takes {taken.start} to {taken.stop - 1}. {_CHANGE}"
        case models.BinaryField(max_length=int(limit)), bytes() if len(value) > limit:
            return f"has {len(value)} bytes; the column here takes {limit}. {_CHANGE}"
    return ""


def required_columns(schema: ModelSchema) -> list[str]:
    """Columns that a new row needs and that are not synced: creates cannot be applied while there are any."""
    meta = schema.model._meta
    of_generics = {name for one in schema.generics for name in (one.type_field.name, one.object_field.name)}
    synced = {*schema.field_names, *of_generics, *(value.name for value in schema.carried)}
    return [
        field.name
        for field in meta.concrete_fields
        if field.name not in synced
        and is_own(schema.model, field)
        and not is_inner_link(schema.model, field)
        and not isinstance(field, models.FileField | models.AutoField)
        and not field.null
        and not field.has_default()
        and not getattr(field, "generated", False)
        and field.db_default is models.NOT_PROVIDED
        and not (_takes_empty_text(field) and not field.primary_key)
        and not getattr(field, "auto_now", False)
        and not getattr(field, "auto_now_add", False)
    ]


def _takes_empty_text(field: Field) -> bool:
    return field.empty_strings_allowed and field.get_internal_type() in ("CharField", "TextField", "SlugField")


def required_problems(schema: ModelSchema) -> list[Problem]:
    """Why a new row cannot be created from what is synced; `omitted` fields are told apart."""
    omitted = set(schema.omitted)
    for generic in generic_keys(schema.model):
        if generic.name in omitted:
            omitted |= {generic.ct_field, generic.fk_field}
    return [
        problem(
            "required_column",
            name,
            f"{name} is required here, has no default, and was left out: what was read does not have it, or in another "
            "form. Add a column for it there, or bring both sides to one schema."
            if name in omitted
            else f"{name} is required here, is not synced and has no default.",
        )
        for name in required_columns(schema)
    ]
