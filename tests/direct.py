"""The source's database, read in this process: a hundred pulls are quick, and answers can be spoilt."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from django.apps import apps
from django.db import connections, transaction

from data_sync.core.source import Handle, Request
from data_sync.orm.read import LocalSource
from tests.environments import Environments

Spoil = Callable[[str, bytes], bytes]


class Direct(LocalSource):
    """A source without a network between. `spoil` is given the name and all bytes of each answer, and alters them."""

    def __init__(self, spoil: Spoil | None = None) -> None:
        super().__init__(using="source")
        self._spoil = spoil

    @contextmanager
    def stream(self, request: Request) -> Iterator[Iterator[bytes]]:
        with self._closed(), super().stream(request) as blocks:
            yield self._answer("stream", blocks)

    @contextmanager
    def digests(self, request: Request) -> Iterator[Iterator[bytes]]:
        with self._closed(), super().digests(request) as blocks:
            yield self._answer("digests", blocks)

    @contextmanager
    def records(self, request: Request, handles: Sequence[Handle]) -> Iterator[Iterator[bytes]]:
        with self._closed(), super().records(request, handles) as blocks:
            yield self._answer("records", blocks)

    def outside(self, label: str, key_texts: Collection[str]) -> set[str]:
        with self._closed():
            return super().outside(label, key_texts)

    def _answer(self, name: str, blocks: Iterator[bytes]) -> Iterator[bytes]:
        return blocks if self._spoil is None else iter([self._spoil(name, b"".join(blocks))])

    @contextmanager
    def _closed(self) -> Iterator[None]:
        try:
            yield
        finally:
            if threading.current_thread() is not threading.main_thread():
                connections["source"].close()


@contextmanager
def fresh(environments: Environments) -> Iterator[None]:
    """Both databases without rows at the end, as at the start, but for the source that is pulled from.

    Much quicker than the `flush` command: most tables are empty, and constraints wait until all are.
    """
    try:
        yield
    finally:
        tables = [
            model._meta.db_table
            for app in ("testapp", "hard", "data_sync")
            for model in apps.get_app_config(app).get_models(include_auto_created=True)
            if model._meta.managed and not model._meta.proxy
        ]
        for alias in ("default", "source"):
            connection = connections[alias]
            with transaction.atomic(using=alias), connection.constraint_checks_disabled():
                with connection.cursor() as cursor:
                    for table in tables:
                        cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")
        environments.source.save(force_insert=True)
