"""Where the two sides are kept: SQLite files in a folder, or databases on a PostgreSQL server."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any, Protocol

from tests import outside

KINDS = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
#: In the environment, so that child processes find the databases of this run.
RUN = "DATA_SYNC_BENCHMARK_RUN"


class Databases(Protocol):
    """Databases of one kind, each known by a short name."""

    kind: str

    def version(self) -> str: ...

    def make(self, name: str) -> None:
        """Makes an empty one, in place of what is there."""

    def settle(self, name: str) -> None:
        """Does now what the server would do in the background after a database has been filled."""

    def copy(self, name: str, copy: str) -> None:
        """Makes `copy` what `name` is."""

    def remove(self, *names: str) -> None: ...


def opened(kind: str, folder: Path) -> Databases:
    return Sqlite(folder) if kind == "sqlite" else Postgresql()


def settings(kind: str, folder: Path, name: str) -> dict[str, Any]:
    """Django's settings for a database."""
    if kind == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": folder / f"{name}.sqlite3",
            "OPTIONS": {"timeout": 60},
        }
    return {**outside.server(kind), "ENGINE": "django.db.backends.postgresql", "NAME": _on_server(name)}


def _on_server(name: str) -> str:
    return f"data_sync_benchmark_{os.environ.setdefault(RUN, str(os.getpid()))}_{name}"


class Sqlite:
    kind = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def version(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}"

    def make(self, name: str) -> None:
        self.remove(name)

    def settle(self, name: str) -> None:
        """SQLite has no background."""

    def copy(self, name: str, copy: str) -> None:
        shutil.copy(self._path(name), self._path(copy))

    def remove(self, *names: str) -> None:
        for name in names:
            self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.sqlite3"


class Postgresql:
    kind = "postgresql"

    def version(self) -> str:
        version = self._ask("SHOW server_version").split()[0]
        return f"PostgreSQL {version}"

    def make(self, name: str) -> None:
        self.remove(name)
        self._run(f'CREATE DATABASE "{_on_server(name)}"')

    def settle(self, name: str) -> None:
        self._run("VACUUM ANALYZE", on=_on_server(name))
        self._run("CHECKPOINT")

    def copy(self, name: str, copy: str) -> None:
        self.remove(copy)
        self._run(f'CREATE DATABASE "{_on_server(copy)}" TEMPLATE "{_on_server(name)}" STRATEGY FILE_COPY')

    def remove(self, *names: str) -> None:
        for name in names:
            self._run(f'DROP DATABASE IF EXISTS "{_on_server(name)}" WITH (FORCE)')

    def _run(self, statement: str, on: str = "postgres") -> None:
        with self._connected(on) as connection:
            connection.execute(statement)

    def _ask(self, query: str) -> str:
        with self._connected("postgres") as connection:
            return str(connection.execute(query).fetchone()[0])

    def _connected(self, database: str) -> Any:
        import psycopg

        place = outside.server(self.kind)
        return psycopg.connect(
            host=place["HOST"],
            port=int(place["PORT"]),
            user=place["USER"],
            password=place["PASSWORD"],
            dbname=database,
            autocommit=True,
        )
