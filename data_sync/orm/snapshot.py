"""One consistent, read-only view of the database for as long as a block lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections, transaction


@contextmanager
def snapshot(using: str) -> Iterator[None]:
    """Everything read inside is of one moment. Nothing may be written inside.

    PostgreSQL and MariaDB: REPEATABLE READ, read only. SQLite: one deferred transaction, opened by
    hand because a project may have made Django's own IMMEDIATE, and a reader must not lock writers
    out. Inside a transaction that is open already, that transaction is the view.
    """
    connection = connections[using]
    connection.ensure_connection()
    if connection.in_atomic_block:
        yield
        return
    match connection.vendor:
        case "sqlite":
            with connection.cursor() as cursor:
                cursor.execute("BEGIN DEFERRED")
            try:
                yield
            finally:
                connection.cursor().execute("ROLLBACK")
        case "postgresql":
            with transaction.atomic(using=using), connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                yield
        case "mysql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            with transaction.atomic(using=using):
                yield
        case _:
            with transaction.atomic(using=using):
                yield


def read_what_is_committed(using: str) -> None:
    """Has the next transaction read what others have committed, also after its first read.

    What Django asks of every database by default; a project may have chosen MariaDB's own
    REPEATABLE READ, under which rows that were locked late are still read as they were before.
    """
    connection = connections[using]
    if connection.vendor == "mysql" and not connection.in_atomic_block:
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
