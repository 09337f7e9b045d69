"""The tasks `pull`, `apply` and `notify`, as `django.tasks` wants them: at an importable path, with an id as all they
carry.

They are made when they are asked for (`__getattr__`): making one looks at `TASKS`, which importing a module must not,
and a project need not have.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured

from data_sync.core.errors import Busy
from data_sync.services.due import Kind, Submission, TaskKind

if TYPE_CHECKING:
    from .framework import Task

ALIAS = "data_sync"
DEFAULT_QUEUE = "default"

logger = logging.getLogger("data_sync")
current: ContextVar[Submission | None] = ContextVar("data_sync_submission", default=None)
"""The submission that is being enqueued: its number goes into the name of a task, which a backend is not told."""


def pull(pk: int) -> None:
    """Does the work of a queued pull."""
    _deliver("pull", pk)


def apply(pk: int) -> None:
    """Applies an approved changeset."""
    _deliver("apply", pk)


def notify(pk: int) -> None:
    """Sends the mail and the webhook that an event of the audit trail is a reason for."""
    from . import notifying

    notifying.deliver(pk)


def _deliver(kind: Kind, pk: int) -> None:
    from data_sync import tasks

    try:
        tasks.deliver(kind, pk)
    except Busy as busy:
        # No failure of the task: should that worker be gone, the sweeper has the work done when its lease ends.
        logger.info("The task of %s %s ends: %s", kind, pk, busy)


FUNCTIONS: dict[TaskKind, Callable[[int], None]] = {"pull": pull, "apply": apply, "notify": notify}
"""By name. Workers find a task by its function's path, under which the module has the task: the functions go."""
del pull, apply, notify


def task(kind: TaskKind) -> Task[Any, Any]:
    """The task of this kind, for the backend `TASKS["data_sync"]`.

    Raises what the framework raises where there is no such backend, and `ImproperlyConfigured` where it is not plain
    which of its queues to use.
    """
    from .framework import Task, task_backends

    backend = task_backends[ALIAS]
    made: type[Task[Any, Any]] = getattr(backend, "task_class", Task)
    return made(func=FUNCTIONS[kind], backend=ALIAS, queue_name=queue_name(backend.queues), priority=0)


def make_known() -> None:
    """Makes the tasks, for workers that find none by their path but know those that were made when they started.

    Celery's are such: a task that they do not know they throw away.
    """
    try:
        for kind in FUNCTIONS:
            task(kind)
    except Exception:
        # No reason not to start: the system checks say what is wrong, and so does whoever hands work over.
        logger.debug("The tasks could not be made.", exc_info=True)


def enqueue(submission: Submission) -> None:
    """Enqueues the task of a submission. Raises what `task` and the backend raise."""
    token = current.set(submission)
    try:
        task(submission.kind).enqueue(submission.pk)
    finally:
        current.reset(token)


def queue_name(queues: set[str]) -> str:
    """The queue of a backend: `default` where it takes that, else its only one. A backend without names takes any."""
    if not queues or DEFAULT_QUEUE in queues:
        return DEFAULT_QUEUE
    if len(queues) == 1:
        return next(iter(queues))
    raise ImproperlyConfigured(
        f'TASKS["{ALIAS}"] has the queues {", ".join(sorted(queues))}: which of them is for data_sync? '
        f'Leave one of them in its QUEUES, or add "{DEFAULT_QUEUE}".'
    )


def __getattr__(name: str) -> Task[Any, Any]:
    for kind in FUNCTIONS:
        if kind == name:
            return task(kind)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
