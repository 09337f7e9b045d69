"""Records as the rows of a sheet that reads back as the same records: what `sheet` reads, written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data_sync.core import canonical
from data_sync.core.cells import EMPTY_TEXT
from data_sync.core.records import Record
from data_sync.orm.resolution import target_schema
from data_sync.orm.schema import Generic, Link, ModelSchema, Value
from data_sync.orm.values import JSON_NULL
from data_sync.sources.sheet_columns import Target, headers_of

_EXACT = 10**15


def header_row(schema: ModelSchema) -> list[str]:
    """The usual header of each column."""
    return list(headers_of(schema))


def record_row(schema: ModelSchema, record: Record, *, has_types: bool) -> list[Any]:
    """The cells of a record, in the order of `header_row`."""
    return [_cell(schema, record, target, has_types=has_types) for target in headers_of(schema).values()]


def _cell(schema: ModelSchema, record: Record, target: Target, *, has_types: bool) -> Any:
    member = next((one for one in _members(schema) if one.name == target.member), None)
    if target.path is None:
        plain = record.fields[target.member]
        if has_types:
            return plain
        if isinstance(member, Value):
            return _value(member, plain, is_key=any(part.path == (member.name,) for part in schema.key))
        if isinstance(member, Link | Generic) and plain:
            return canonical.dumps(plain)
        return None
    for reference in schema.references:
        if reference.name == target.member:
            paths = [part.path for part in target_schema(reference).key]
            if target.path in paths:
                key = record.fields[reference.name]
                return None if key is None else _plain_cell(key[paths.index(target.path)], has_types=has_types)
    own = [part.path for part in schema.key].index(target.path)
    return _plain_cell(record.key[own], has_types=has_types)


def _members(schema: ModelSchema) -> Iterator[Any]:
    yield from (*schema.values, *schema.references, *schema.links, *schema.generics)


def _value(value: Value, plain: Any, *, is_key: bool) -> Any:
    if value.codec.expression is not None:  # JSON, as text.
        if plain is None:
            return None
        is_marked = isinstance(plain, dict) and plain.keys() == {JSON_NULL}
        return canonical.dumps(plain[JSON_NULL] if is_marked else plain)
    if isinstance(plain, str) and not plain:
        return EMPTY_TEXT if value.field.null or is_key else None
    return _plain_cell(plain, has_types=False)


def _plain_cell(plain: Any, *, has_types: bool) -> Any:
    """Numbers that a spreadsheet would round, lists and objects are written as text."""
    if has_types or plain is None or isinstance(plain, bool | float):
        return plain
    if plain == "":
        return EMPTY_TEXT  # Of a key.
    if isinstance(plain, int):
        return plain if abs(plain) < _EXACT else str(plain)
    return plain if isinstance(plain, str) else canonical.dumps(plain)
