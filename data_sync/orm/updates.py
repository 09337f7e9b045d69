"""Updates of many rows in one statement, each to values of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connections, models
from django.db.models.functions import Cast

from .batches import batches
from .values import Field


def update_rows(rows: models.QuerySet[Any], instances: Sequence[models.Model], names: Iterable[str]) -> None:
    """What `rows.bulk_update(instances, names)` does, in a third of the time; within the caller's transaction."""
    connection, meta = connections[rows.db], rows.model._meta
    fields: list[Any] = [meta.get_field(name) for name in names]
    # The primary key is a parameter once a row, and once more for each field.
    size = connection.ops.bulk_batch_size([meta.pk] * (1 + len(fields)) + fields, instances)
    for batch in batches(instances, max(size, 1)):
        values: dict[str, Any] = {}
        for field in fields:
            of_field = ValueOfRow(field, {row.pk: getattr(row, field.attname) for row in batch})
            casted = connection.features.requires_casted_case_in_updates
            values[field.attname] = Cast(of_field, output_field=field) if casted else of_field
        rows.filter(pk__in=[row.pk for row in batch]).update(**values)


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
