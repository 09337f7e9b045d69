"""Conditions of constraints, asked of rows that are not stored yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db.models import F, Q

from data_sync.core.records import Record

from .schema import ModelSchema

UNKNOWN: Final = object()
"""What a column holds of which nothing is known."""
SOMETHING: Final = object()
"""What a column holds that is not null, and of which no more is known."""

Held = Callable[[str], Any]
"""What a row holds in the column of a field, by the field's name."""


def is_met(schema: ModelSchema, condition: Q, record: Record) -> bool | None:
    """Whether a row with this record would meet a condition; None where only the database can tell."""
    return meets(condition, held_by(schema, record))


def meets(condition: Q, held: Held) -> bool | None:
    return _answer(condition, held, of_null=False)


def forbids(check: Q, held: Held) -> bool:
    """Whether a check constraint would surely refuse a row. What null leaves open passes a check."""
    return _answer(check, held, of_null=None) is False


def held_by(schema: ModelSchema, record: Record, **instead: Any) -> Held:
    """What a row with this record holds, but for fields that have other values instead."""
    return lambda name: instead[name] if name in instead else _held(schema, record, name)


def names_in(condition: Q) -> Iterator[str]:
    """The fields that a condition asks of."""
    for child in condition.children:
        if isinstance(child, Q):
            yield from names_in(child)
            continue
        expression = child
        if isinstance(child, tuple):
            yield child[0].split("__")[0]
            expression = child[1]
        nodes = expression.flatten() if hasattr(expression, "flatten") else [expression]
        yield from (_name(node).split("__")[0] for node in nodes if isinstance(node, F))


def _name(reference: F) -> str:
    return reference.name  # type: ignore[attr-defined,no-any-return]


def _held(schema: ModelSchema, record: Record, name: str) -> Any:
    if name not in record.fields:
        return UNKNOWN
    plain = record.fields[name]
    value = next((value for value in schema.values if value.name == name), None)
    if plain is None:
        return None
    try:
        return SOMETHING if value is None else value.codec.from_plain(plain)
    except ValueError:
        return SOMETHING


def _answer(condition: Q, held: Held, *, of_null: bool | None) -> bool | None:
    answers = [
        _answer(child, held, of_null=of_null) if isinstance(child, Q) else _lookup(child, held, of_null=of_null)
        for child in condition.children
    ]
    deciding = condition.connector == Q.OR
    if condition.connector not in (Q.AND, Q.OR):
        return None
    if deciding in answers:
        met: bool | None = deciding
    else:
        met = None if None in answers else not deciding
    return None if met is None else met is not condition.negated


def _lookup(child: Any, held: Held, *, of_null: bool | None) -> bool | None:
    if not isinstance(child, tuple):
        return None
    name, _, lookup = child[0].partition("__")
    value, wanted = held(name), child[1]
    if value is UNKNOWN:
        return None
    if lookup == "isnull":
        return (value is None) is bool(wanted)
    if wanted is None and lookup in ("", "exact"):
        return value is None
    if isinstance(wanted, F):
        wanted = held(_name(wanted))
        if wanted is None:
            return of_null
    is_list = isinstance(wanted, list | tuple | set | frozenset)
    given = [_like(value, one) for one in (wanted if is_list else [wanted])]
    if any(one is UNKNOWN or one is SOMETHING or hasattr(one, "resolve_expression") for one in (value, *given)):
        return None
    if value is None:
        return of_null
    if any(_kind(value) is None or _kind(value) != _kind(one) for one in given):
        return None
    wanted = given if is_list else given[0]
    try:
        match lookup:
            case "" | "exact":
                return bool(value == wanted)
            case "in":
                return value in wanted
            case "range":
                return bool(wanted[0] <= value <= wanted[1])
            case "gt":
                return bool(value > wanted)
            case "gte":
                return bool(value >= wanted)
            case "lt":
                return bool(value < wanted)
            case "lte":
                return bool(value <= wanted)
            case _:
                return None
    except (ValueError, TypeError):
        return None


def _like(value: Any, wanted: Any) -> Any:
    """What Django makes of a float that a decimal is compared with."""
    return Decimal(repr(wanted)) if isinstance(value, Decimal) and isinstance(wanted, float) else wanted


def _kind(value: Any) -> Any:
    """Values of one kind are compared by Python as by a database. None where it cannot be told."""
    match value:
        case str() | bytes() | timedelta() | UUID() | time():
            return next(kind for kind in (str, bytes, timedelta, UUID, time) if isinstance(value, kind))
        case int() | float() | Decimal():
            return int
        case datetime():
            return datetime, value.tzinfo is None
        case date():
            return date
    return None
