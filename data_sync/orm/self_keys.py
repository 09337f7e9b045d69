"""What a new row that must refer to itself refers to: its own key, known before it is inserted."""

from __future__ import annotations

import re
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


class OwnKeys:
    """The values by which new rows can refer to themselves, known before they are inserted.

    Primary keys that the database would count up are taken from where it counts: for the new rows of a batch, at once.
    """

    def __init__(self, using: str) -> None:
        self._using = using
        self._wanted = 1
        self._taken: list[int] = []

    def expect(self, number: int) -> None:
        """Begins a batch in which so many new rows refer to themselves. What was left of the last one is forgotten."""
        self._wanted = max(number, 1)
        self._taken = []

    def of(self, schema: ModelSchema, row: models.Model, reference: Reference) -> Any | None:
        """The value by which a row, with its own columns set, can refer to itself; None if there is no way to know.

        A counted primary key is set on the row.
        """
        target: Any = reference.field.target_field
        known = getattr(row, target.attname)
        if known is None and isinstance(target, models.AutoField) and target.model is schema.model:
            if not self._taken:
                self._taken = _next(schema, target, self._wanted, self._using)
            known = self._taken.pop(0)
            setattr(row, target.attname, known)
        return known


def _next(schema: ModelSchema, field: Any, number: int, using: str) -> list[int]:
    connection = connections[using]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            quoted = connection.ops.quote_name(field.model._meta.db_table)
            sql = "SELECT nextval(pg_get_serial_sequence(%s, %s)) FROM generate_series(1, %s)"
            cursor.execute(sql, [quoted, field.column, number])
            return [int(value) for (value,) in cursor.fetchall()]
    # SQLite has one writer. Elsewhere another's insert at this moment is refused, here or there, and tried again.
    rows = table(schema.model, using)
    if connection.vendor == "mysql":
        rows = rows.select_for_update()
    highest = int(rows.order_by("-pk").values_list("pk", flat=True).first() or 0)
    first = max(highest, _counted(field.model, using)) + 1
    return list(range(first, first + number))


def _counted(model: type[models.Model], using: str) -> int:
    """The last number that was given out for a table, also of rows that are gone; 0 where that is not known."""
    connection = connections[using]
    quoted = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        match connection.vendor:
            case "sqlite":
                cursor.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'")
                if cursor.fetchone():
                    cursor.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = %s", [quoted[1:-1]])
                    return cursor.fetchone()[0] or 0
            case "mysql":
                # What information_schema says can be a day old on MySQL.
                cursor.execute(f"SHOW CREATE TABLE {quoted}")
                following = re.search(r"^\) .*?\bAUTO_INCREMENT=(\d+)", cursor.fetchone()[1], re.MULTILINE)
                return int(following[1]) - 1 if following else 0
    return 0
