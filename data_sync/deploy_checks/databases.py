"""Whether the database keeps what data_sync builds upon: transactions that hold, and waiting instead of failing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Info, Warning
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from data_sync.registry import registrations

from .registering import deployment, stored

SQLITE_PATIENCE = 20
"""Seconds that a request should wait for an apply's write, which holds the whole file."""
SHORTEST_IDLE = 60
"""Seconds. Within its transaction an apply computes, and calls the project's signal receivers."""
ISOLATION = {"mysql": "read committed", "postgresql": "read committed"}


@deployment
def check_sqlite() -> Iterator[CheckMessage]:
    database = _database()
    if database.vendor != "sqlite":
        return
    options: dict[str, Any] = database.settings_dict["OPTIONS"]
    if str(options.get("transaction_mode") or "DEFERRED").upper() == "DEFERRED":
        yield Warning(
            "SQLite's transactions begin as readers: one that reads first and writes later fails with “database is "
            "locked” at once, without waiting, where another has written in between.",
            hint='Set DATABASES["default"]["OPTIONS"]["transaction_mode"] = "IMMEDIATE".',
            id="data_sync.W020",
        )
    patience = options.get("timeout", 5)
    if not isinstance(patience, int | float) or patience < SQLITE_PATIENCE:
        yield Warning(
            f"Whoever meets a database that is being written to waits {patience} s for SQLite, and then fails; an "
            "apply may write for longer.",
            hint=f'Set DATABASES["default"]["OPTIONS"]["timeout"] to {SQLITE_PATIENCE} or more.',
            id="data_sync.W021",
        )


@deployment
def check_isolation() -> Iterator[CheckMessage]:
    database = _database()
    usual = ISOLATION.get(database.vendor)
    level = database.settings_dict["OPTIONS"].get("isolation_level", usual)
    name = _level_name(level)
    if usual is not None and name != usual:
        yield Warning(
            f"Transactions run at the isolation level {name!r}: who waited for somebody else's decision then reads "
            "what was there before it, or fails.",
            hint="Leave isolation_level out of DATABASES, which is read committed. Exports and pulls take the level "
            "they need by themselves.",
            id="data_sync.W022",
        )


@stored
def check_mysql() -> Iterator[CheckMessage]:
    if _database().vendor != "mysql":
        return
    with _database().cursor() as cursor:
        cursor.execute("SELECT @@sql_mode")
        [mode] = cursor.fetchone()
        cursor.execute(
            "SELECT t.table_name, t.engine FROM information_schema.tables t "
            "JOIN information_schema.engines e ON e.engine = t.engine "
            "WHERE t.table_schema = DATABASE() AND (e.transactions IS NULL OR e.transactions <> 'YES')"
        )
        engines = dict(cursor.fetchall())
    if {"STRICT_TRANS_TABLES", "STRICT_ALL_TABLES"}.isdisjoint(mode.split(",")):
        yield Warning(
            "The database is not in strict mode: it cuts values that do not fit instead of refusing them, so that an "
            "apply fails only when it reads back what it wrote, and your other code not at all.",
            hint='Have sql_mode include "STRICT_TRANS_TABLES".',
            id="data_sync.W023",
        )
    for name in sorted(_tables() & engines.keys()):
        yield Error(
            f"The table {name} has the engine {engines[name]}, which knows no transactions: an apply that fails "
            "half-way would leave it half written.",
            hint=f"ALTER TABLE {name} ENGINE = InnoDB.",
            id="data_sync.E044",
        )


@stored
def check_postgresql() -> Iterator[CheckMessage]:
    if _database().vendor != "postgresql":
        return
    with _database().cursor() as cursor:
        cursor.execute("SELECT setting::bigint FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'")
        seconds = cursor.fetchone()[0] / 1000
    if not seconds:
        yield Info(
            "The database ends no transaction that stays idle: a worker that is paused in the middle of an apply holds "
            "its changeset until somebody ends it.",
            hint="Set idle_in_transaction_session_timeout, such as to 10min, for this role.",
            id="data_sync.I003",
        )
    elif seconds < SHORTEST_IDLE:
        yield Warning(
            f"The database ends transactions that are idle for {seconds:g} s, also that of an apply whose signal "
            "receivers take so long.",
            hint=f"Set idle_in_transaction_session_timeout to {SHORTEST_IDLE} s or more for this role.",
            id="data_sync.W032",
        )


def _database() -> BaseDatabaseWrapper:
    return connections[DEFAULT_DB_ALIAS]


def _level_name(level: Any) -> str:
    """As MariaDB's options have it; PostgreSQL's have a member of an enum. None: what the server has by itself."""
    if level is None:
        return "of the server"
    return str(getattr(level, "name", level)).replace("_", " ").lower()


def _tables() -> set[str]:
    """The tables that an apply writes."""
    models: list[Any] = [registration.model for registration in registrations()]
    models += [field.remote_field.through for model in models for field in model._meta.local_many_to_many]
    models += apps.get_app_config("data_sync").get_models()
    return {model._meta.db_table for model in models}
