"""``python -m tests.faults.worker STEP PK POINT [deaf]``: does a step as a request does, and stops on its way.

It pulls the source, or approves or applies the changeset (which may be a revert), with that primary key. At the point
it says ``paused``, with the process id of its database connection where there is one, and waits for a line that says
how to go on: in a world that is as it was (``go on``), with a database that is full (``fill``) or a storage that fails
(``break``). A deaf worker has no heartbeat: nothing but its own statements can tell it that its lease is lost.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Any

TASK_SECONDS = 600
ROOM = 2
"""Pages of 4 kB that are left of a database that is full."""


def main(step: str, pk: int, point: str, *how: str) -> None:
    import django

    django.setup()

    from django.conf import settings
    from django.db import connection, transaction

    from data_sync import tasks
    from data_sync.models import Changeset, DataSource
    from data_sync.services import actors, apply, approval, leases, pull
    from tests.faults import points, scene

    settings.DATA_SYNC_ALLOWED_HOSTS = ["127.0.0.1"]
    if "deaf" in how:
        leases.BEAT_SECONDS = TASK_SECONDS
    connection.ensure_connection()
    backend = connection.connection.info.backend_pid if connection.vendor == "postgresql" else 0
    points.arm(step, point, lambda: pause(backend))
    actor = actors.command_line()
    match step:
        case "pull":
            # As a task that has a deadline: what the source answers is kept meanwhile.
            tasks.run_pull = lambda pk, **_: pull.run_pull(pk, seconds=TASK_SECONDS)
            with transaction.atomic():
                asked = pull.request_pull(DataSource.objects.get(pk=pk), scene.LABELS, actor)
                tasks.submit("pull", asked.pk)
        case "approve":
            approval.approve(pk, actor, revision=Changeset.objects.get(pk=pk).revision)
        case "apply" | "revert":
            with transaction.atomic():
                apply.request_apply(pk, actor)
                tasks.submit("apply", pk)


def pause(backend: int) -> None:
    print("paused", backend, flush=True)
    match sys.stdin.readline().strip():
        case "go on":
            pass
        case "fill":
            fill_database()
        case "break":
            break_storage()
        case _:
            os._exit(1)  # The test has ended.


def fill_database() -> None:
    """From here on the database has room for some small rows only."""
    from django.db import connection

    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            [pages] = cursor.execute("PRAGMA page_count").fetchone()
            cursor.execute(f"PRAGMA max_page_count = {pages + ROOM}")
        return

    def execute(real: Any, sql: str, *arguments: Any) -> Any:
        if sql.startswith("INSERT") and ("testapp_" in sql or '"data_sync_changeset"' in sql):
            # As the server fails where its own disk is full, transaction and all.
            sql = "DO $$ BEGIN RAISE disk_full USING MESSAGE = 'No space left on device'; END $$"
            return real(sql, None, *arguments[1:])
        return real(sql, *arguments)

    connection.execute_wrappers.append(execute)


def break_storage() -> None:
    """From here on no file can be saved, opened or removed."""
    from django.core.files.storage import FileSystemStorage

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    for name in ("save", "open", "delete", "_save"):
        setattr(FileSystemStorage, name, fail)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
