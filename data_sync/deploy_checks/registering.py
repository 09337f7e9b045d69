"""How the checks of this package are registered: each is a function without arguments that yields messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from django.apps import AppConfig
from django.core.checks import CheckMessage, Tags, register
from django.db import DEFAULT_DB_ALIAS, DatabaseError, transaction

TAG = "data_sync"
Check: TypeAlias = Callable[[], Iterator[CheckMessage]]


def deployment(check: Check) -> Check:
    """Runs with `--deploy`. Looks at settings and files alone."""

    def run(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
        return list(check()) if _concerns_us(app_configs) else []

    register(run, TAG, deploy=True)
    return check


def stored(check: Check) -> Check:
    """Runs with `--deploy` and `--database default`. Reads the database."""

    def run(
        app_configs: Sequence[AppConfig] | None = None, databases: Sequence[str] | None = None, **_: Any
    ) -> list[CheckMessage]:
        if not _concerns_us(app_configs) or DEFAULT_DB_ALIAS not in (databases or ()):
            return []
        try:
            with transaction.atomic():
                return list(check())
        except DatabaseError:
            return []  # Before `migrate`, which runs system checks itself, there is nothing to read.

    register(run, TAG, Tags.database, deploy=True)
    return check


def _concerns_us(app_configs: Sequence[AppConfig] | None) -> bool:
    return app_configs is None or TAG in {config.label for config in app_configs}
