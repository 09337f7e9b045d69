"""``python -m tests.submitting KIND ID MOMENT``: a process that is killed while it submits, after the commit."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, cast


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(kind: str, pk: str, moment: str) -> None:
    import django
    from django.conf import settings

    library = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"
    settings.TASKS = {"data_sync": {"BACKEND": f"{library}.backends.dummy.DummyBackend"}}
    django.setup()

    from data_sync import tasks

    match moment:
        case "committed":
            tasks.due.note_submission = die
        case "counted":
            tasks._hand_over = die
    tasks.submit(cast(tasks.Kind, kind), int(pk))


if __name__ == "__main__":
    main(*sys.argv[1:])
