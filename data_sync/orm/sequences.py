"""Where a database counts up the primary keys of new rows, after rows were inserted with keys of their own.

PostgreSQL's sequences take no notice of those, and would give them out once more. The others count on from the highest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.db import connections, models

from data_sync.registry.inheritance import tables_of

from .inheritance import Model

NEAR = 1000
"""Up to so many numbers are taken one after the other: that never sets a sequence back, whoever else counts."""


class GivenKeys:
    """The primary keys that new rows of a model have before they are inserted, where the database would count."""

    def __init__(self, model: Model, rows: Iterable[models.Model]) -> None:
        self._highest: dict[Model, int] = {}
        counted = [table for table in tables_of(model) if isinstance(table._meta.pk, models.AutoField)]
        for table, key in _keys(counted, rows) if counted else ():
            self._highest[table] = max(key, self._highest.get(table, key))

    def count_past(self, using: str) -> None:
        """Has the database go on behind the highest of them; never lowers what it would give next.

        A few statements for all rows of a table. Does nothing where the role may not count, or there is no sequence.
        """
        if connections[using].vendor == "postgresql":
            for table, highest in self._highest.items():
                _count_past(table, highest, using)


def _keys(tables: Sequence[Model], rows: Iterable[models.Model]) -> Iterator[tuple[Model, int]]:
    for row in rows:
        for table in tables:
            key = getattr(row, table._meta.pk.attname)
            if isinstance(key, int):
                yield table, key


def _count_past(model: Model, highest: int, using: str) -> None:
    connection, field = connections[using], model._meta.pk
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT seqrelid, seqincrement, seqmax FROM pg_sequence"
            " WHERE seqrelid = to_regclass(pg_get_serial_sequence(%s, %s))"
            " AND has_sequence_privilege(seqrelid, 'USAGE') AND seqincrement > 0 AND seqmax > %s",
            [connection.ops.quote_name(model._meta.db_table), field.column, highest],
        )
        for sequence, step, end in cursor.fetchall():
            now = _one(cursor, "SELECT nextval(%s::oid::regclass)", [sequence])
            steps = -((now - highest) // step)
            if steps <= 0:
                continue
            if steps <= NEAR:
                _one(cursor, "SELECT max(nextval(%s::oid::regclass)) FROM generate_series(1, %s)", [sequence, steps])
            elif now + steps * step <= end and _one(
                cursor, "SELECT has_sequence_privilege(%s::oid, 'UPDATE')", [sequence]
            ):
                _one(cursor, "SELECT setval(%s::oid::regclass, %s)", [sequence, now + steps * step])


def _one(cursor: Any, sql: str, parameters: Sequence[Any]) -> Any:
    cursor.execute(sql, parameters)
    return cursor.fetchone()[0]
