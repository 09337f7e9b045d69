"""Updates of many rows in one statement, each to values of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connections, models
from django.db.models.functions import Cast

from .batches import batches
from .inheritance import Model, pks_in_table
from .schema import ModelSchema
from .tables import table
from .values import Field
from .writes import Row

_SIZE_OF_TYPE = re.compile(r"\s*\(\s*\d+(\s*,\s*\d+)?\s*\)")
_FIXED_TYPE = re.compile(r"^(char|character|bit)(?=\s*(\(|$))")
_UNSIZED = {"char": "bpchar", "character": "bpchar", "bit": "varbit"}
PARAMETERS = 30_000


def update_rows(schema: ModelSchema, instances: Sequence[Row], names: Iterable[str], using: str) -> None:
    """Sets these columns of rows to what the instances have, in every table that holds some of them.

    What `bulk_update` does, in a fraction of the time, and for multi-table inheritance too. `names` may be columns'
    names or fields'. Within the caller's transaction.
    """
    by_table: dict[Model, list[Field]] = {}
    for name in names:
        field: Any = schema.model._meta.get_field(name)
        by_table.setdefault(field.model._meta.concrete_model, []).append(field)
    for model, fields in by_table.items():
        pks = pks_in_table(schema, model, instances, using)
        update_table(
            model, pks, fields, [[getattr(row, field.attname) for field in fields] for row in instances], using
        )


def update_table(
    model: Model, pks: Sequence[Any], fields: Sequence[Field], rows: Sequence[Sequence[Any]], using: str
) -> None:
    """Sets `fields` of the rows with these primary keys to the values of each."""
    if not pks:
        return
    connection = connections[using]
    is_plain = not any(hasattr(field, "get_placeholder") for field in fields) and not any(
        hasattr(value, "resolve_expression") for row in rows for value in row
    )
    if is_plain and connection.vendor == "sqlite":
        _one_by_one(connection, model, pks, fields, rows)
    elif is_plain and connection.vendor == "postgresql":
        _from_values(connection, model, pks, fields, rows)
    else:
        _by_case(connection, model, pks, fields, rows, using)


def _parameters(connection: Any, model: Model, fields: Sequence[Field], pk: Any, row: Sequence[Any]) -> list[Any]:
    values = [field.get_db_prep_save(value, connection) for field, value in zip(fields, row, strict=True)]
    return [*values, model._meta.pk.get_db_prep_value(pk, connection)]


def _one_by_one(
    connection: Any, model: Model, pks: Sequence[Any], fields: Sequence[Field], rows: Sequence[Sequence[Any]]
) -> None:
    """SQLite runs in this process: one prepared statement, many times, is the fastest."""
    quote = connection.ops.quote_name
    columns = ", ".join(f"{quote(field.column)} = %s" for field in fields)
    key = quote(model._meta.pk.column)
    sql = f"UPDATE {quote(model._meta.db_table)} SET {columns} WHERE {key} = %s"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.executemany(
            sql, [_parameters(connection, model, fields, pk, row) for pk, row in zip(pks, rows, strict=True)]
        )


def _from_values(
    connection: Any, model: Model, pks: Sequence[Any], fields: Sequence[Field], rows: Sequence[Sequence[Any]]
) -> None:
    """PostgreSQL: joined with a list of values."""
    quote = connection.ops.quote_name
    members = [*fields, model._meta.pk]
    columns = ", ".join(f"{quote(field.column)} = given.c{place}" for place, field in enumerate(fields))
    # In parentheses: `-32768::smallint` is minus one too many.
    casts = ", ".join(f"(%s)::{_without_size(field.cast_db_type(connection) or '')}" for field in members)
    names = ", ".join(f"c{place}" for place in range(len(members)))
    target, key = quote(model._meta.db_table), quote(model._meta.pk.column)
    for batch in batches(zip(pks, rows, strict=True), max(PARAMETERS // len(members), 1)):
        values = ", ".join([f"({casts})"] * len(batch))
        sql = (
            f"UPDATE {target} SET {columns} FROM (VALUES {values}) AS given({names}) "  # noqa: S608
            f"WHERE {target}.{key} = given.c{len(fields)}"
        )
        with connection.cursor() as cursor:
            cursor.execute(
                sql, [value for pk, row in batch for value in _parameters(connection, model, fields, pk, row)]
            )


def _without_size(db_type: str) -> str:
    """The type to cast to: a cast to varchar(5) would cut what does not fit, instead of refusing it.

    `char` and `bit` without a size are of size one, so those become the types that have none.
    """
    return _SIZE_OF_TYPE.sub("", _FIXED_TYPE.sub(lambda found: _UNSIZED[found[1]], db_type))


def _by_case(
    connection: Any,
    model: Model,
    pks: Sequence[Any],
    fields: Sequence[Field],
    rows: Sequence[Sequence[Any]],
    using: str,
) -> None:
    """Any database, and values that are expressions."""
    # The primary key is a parameter once a row, and once more for each field.
    size = connection.ops.bulk_batch_size([model._meta.pk] * (1 + len(fields)) + list(fields), pks)
    for batch in batches(zip(pks, rows, strict=True), min(max(size, 1), 200)):
        values: dict[str, Any] = {}
        for place, field in enumerate(fields):
            of_field = ValueOfRow(field, {pk: row[place] for pk, row in batch})
            casted = connection.features.requires_casted_case_in_updates
            values[field.attname] = Cast(of_field, output_field=field) if casted else of_field
        table(model, using).filter(pk__in=[pk for pk, _ in batch]).update(**values)


class ValueOfRow(models.Expression):
    """`CASE id WHEN 1 THEN … WHEN 2 THEN … END`: what a row is to get, by its primary key.

    Django's `Case` says the same, but resolves every `When` as if it were a filter, which takes longer
    than the update.
    """

    def __init__(self, field: Field, values: Mapping[Any, Any]) -> None:
        super().__init__(output_field=field)
        self._values = values
        self._pk: Any = models.F("pk")

    def get_source_expressions(self) -> list[Any]:
        return [self._pk]

    def set_source_expressions(self, exprs: Sequence[Any]) -> None:
        (self._pk,) = exprs

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        sql, params = compiler.compile(self._pk)
        parts, params = [f"CASE {sql}"], [*params]
        for pk, value in self._values.items():
            placeholder, literals = compiler.compile(self._literal(value, compiler))
            parts.append(f"WHEN %s THEN {placeholder}")
            params += [self._pk.target.get_db_prep_value(pk, connection), *literals]
        return f"{' '.join(parts)} END", params

    def _literal(self, value: Any, compiler: Any) -> Any:
        if hasattr(value, "resolve_expression"):
            return value.resolve_expression(compiler.query, for_save=True)
        literal = models.Value(value, output_field=self.output_field)
        literal.for_save = True
        return literal
