"""Whether the queue that is chosen can deliver anything. Whether it is set up at all: `queue_checks`."""

from __future__ import annotations

from collections.abc import Iterator

from django.apps import apps
from django.core.checks import CheckMessage, Error, Info, Warning
from django.db import DEFAULT_DB_ALIAS, connections, router
from django.db.migrations.executor import MigrationExecutor

from data_sync.tasks import choice, functions

from .registering import deployment, stored


@deployment
def check_queue() -> Iterator[CheckMessage]:
    queue = _queue()
    if queue is None:
        return
    if queue.is_dummy:
        yield Warning(
            f'TASKS["{functions.ALIAS}"] is the dummy backend, which does nothing with its tasks: pulls and applies '
            "stay queued until somebody runs data_sync sweep.",
            hint="Take another backend, or leave the alias out to have work done in the request.",
            id="data_sync.W028",
        )
    elif queue.is_immediate:
        yield Info(
            f'TASKS["{functions.ALIAS}"] is the immediate backend: work is done in the request, as without a queue.',
            hint="Take a backend with a worker where pulls or applies take longer than a request may.",
            id="data_sync.I006",
        )
    elif _is_in_memory():
        yield Error(
            "The database is in the memory of one process, and work is to be done by others, which do not see it.",
            hint="Use a database on disk or on a server.",
            id="data_sync.E042",
        )


@stored
def check_tables() -> Iterator[CheckMessage]:
    queue = _queue()
    app = None if queue is None else apps.get_containing_app_config(queue.name)
    models = [] if app is None else list(app.get_models())
    if app is None or not models:
        return
    executor = MigrationExecutor(connections[router.db_for_write(models[0])])
    targets = [node for node in executor.loader.graph.leaf_nodes() if node[0] == app.label]
    if executor.migration_plan(targets):
        yield Error(
            f"The queue keeps its tasks in tables of {app.label}, whose migrations are not applied: nothing can be "
            "handed over.",
            hint=f"python manage.py migrate {app.label}",
            id="data_sync.E041",
        )


def _queue() -> choice.Queue | None:
    try:
        return choice.chosen()
    except Exception:
        return None  # Said by the other checks of the queue.


def _is_in_memory() -> bool:
    database = connections[DEFAULT_DB_ALIAS]
    return database.vendor == "sqlite" and database.is_in_memory_db()  # type: ignore[attr-defined]
