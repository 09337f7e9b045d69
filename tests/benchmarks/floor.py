"""The floor: what reading both sides costs with nothing done to what is read."""

from __future__ import annotations

from typing import Any

from django.db import connections, transaction

from .app.models import Country, Language, Tag, Text
from .instruments import Clock

STEPS = ("floor",)
ROWS = 2000
TABLES = (Country, Language, Tag, Text, Text.tags.through)


def floor() -> dict[str, Any]:
    """Every column of every row and every link by plain SQL, `ROWS` at a time: one side, then the other."""
    with connections["source"].cursor(), connections["default"].cursor(), Clock() as clock:
        rows = sum(_read(using) for using in ("source", "default"))
    return clock.result(rows=rows)


def _read(using: str) -> int:
    connection, count = connections[using], 0
    quoted = connection.ops.quote_name
    # On PostgreSQL only a server-side cursor does not hold the whole table in memory; it needs a transaction.
    with transaction.atomic(using=using):
        for model in TABLES:
            columns = ", ".join(quoted(field.column) for field in model._meta.concrete_fields)
            with connection.chunked_cursor() as cursor:
                cursor.execute(f"SELECT {columns} FROM {quoted(model._meta.db_table)}")
                while rows := cursor.fetchmany(ROWS):
                    count += len(rows)
    return count
