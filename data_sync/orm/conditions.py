"""Conditions of constraints, asked of records that are not stored yet."""

from __future__ import annotations

from typing import Any

from django.db.models import Q

from data_sync.core.records import Record

from .schema import ModelSchema


def is_met(schema: ModelSchema, condition: Q, record: Record) -> bool | None:
    """Whether a row with this record would meet a condition; None where only the database can tell."""
    answers = [
        is_met(schema, child, record) if isinstance(child, Q) else _lookup(schema, child, record)
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


def _lookup(schema: ModelSchema, child: Any, record: Record) -> bool | None:
    if not isinstance(child, tuple):
        return None
    name, _, lookup = child[0].partition("__")
    value = next((value for value in schema.values if value.name == name), None)
    wanted = child[1]
    if lookup == "isnull":
        return None if name not in record.fields else (record.fields[name] is None) is bool(wanted)
    if value is None or hasattr(wanted, "resolve_expression"):
        return None
    plain = record.fields[name]
    if plain is None:
        return None if wanted is None else False
    try:
        python = value.codec.from_plain(plain)
        match lookup:
            case "" | "exact":
                return bool(python == wanted)
            case "in":
                return python in list(wanted)
            case "gt":
                return bool(python > wanted)
            case "gte":
                return bool(python >= wanted)
            case "lt":
                return bool(python < wanted)
            case "lte":
                return bool(python <= wanted)
            case _:
                return None
    except (ValueError, TypeError):
        return None
