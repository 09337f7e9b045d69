"""What a new row that must refer to itself refers to: its own key, known before it is inserted."""

from __future__ import annotations

from typing import Any

from django.db import connections, models

from .schema import ModelSchema, Reference
from .tables import table


def knows_its_key(schema: ModelSchema, reference: Reference) -> bool:
    """Whether a new row can refer to itself by a required reference: its key can be had before it is there."""
    target = reference.field.target_field
    if target.primary_key:
        return isinstance(target, models.AutoField) or target.has_default() or target.name in schema.column_names
    return target.name in schema.column_names


def key_in_advance(schema: ModelSchema, row: models.Model, reference: Reference, using: str) -> Any | None:
    """The value by which a row, with its own columns set, can refer to itself; None if there is no way to know.

    A primary key that the database would count up is taken from where the database counts, and set on the row.
    """
    target: Any = reference.field.target_field
    known = getattr(row, target.attname)
    if known is None and isinstance(target, models.AutoField) and target.model is schema.model:
        known = _next(schema, target, using)
        setattr(row, target.attname, known)
    return known


def _next(schema: ModelSchema, field: Any, using: str) -> int:
    connection = connections[using]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            quoted = connection.ops.quote_name(field.model._meta.db_table)
            cursor.execute("SELECT nextval(pg_get_serial_sequence(%s, %s))", [quoted, field.column])
            return int(cursor.fetchone()[0])
    # SQLite has one writer. Elsewhere another's insert at this moment is refused, here or there, and tried again.
    rows = (
        table(schema.model, using).select_for_update() if connection.vendor == "mysql" else table(schema.model, using)
    )
    return int(rows.order_by("-pk").values_list("pk", flat=True).first() or 0) + 1
