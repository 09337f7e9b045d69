"""The backend for `TASKS = {"data_sync": {"BACKEND": "data_sync.tasks.cloud_tasks.CloudTasksBackend"}}`.

It is how Cloud Tasks is chosen off App Engine, such as on Cloud Run. The queue itself is in `google_queue`.
"""

from __future__ import annotations

from inspect import signature
from typing import Any

from django.utils import timezone
from django.utils.crypto import get_random_string

from data_sync.services.due import Submission, TaskKind, note_submission

from . import google_queue
from .framework import BaseTaskBackend, InvalidTask, Task, TaskResult, TaskResultStatus, task_enqueued
from .functions import FUNCTIONS, current


def _submission(kind: TaskKind, pk: int) -> Submission | None:
    if kind == "notify":
        return Submission(kind=kind, pk=pk, number=1)
    return note_submission(kind, pk)


class CloudTasksBackend(BaseTaskBackend):
    """Takes the tasks of data_sync and no other: the push target does one, by its id."""

    is_cloud_tasks = True

    def validate_task(self, task: Task[Any, Any]) -> None:
        super().validate_task(task)
        if task.func not in FUNCTIONS.values():
            raise InvalidTask("This backend takes the tasks of data_sync only; others need a backend of their own.")

    def enqueue(self, task: Task[Any, Any], args: Any, kwargs: Any) -> TaskResult[Any, Any]:
        """Submits one more task, where there is something to do. What became of it is in our tables alone."""
        self.validate_task(task)
        kind = next(kind for kind, function in FUNCTIONS.items() if function is task.func)
        pk: int = signature(task.func).bind(*args, **kwargs).arguments["pk"]
        result: TaskResult[Any, Any] = TaskResult(
            task=task,
            id=get_random_string(32),
            status=TaskResultStatus.READY,
            enqueued_at=timezone.now(),
            started_at=None,
            last_attempted_at=None,
            finished_at=None,
            args=[pk],
            kwargs={},
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )
        # Whoever enqueues the task by itself has not counted it.
        submission = current.get() or _submission(kind, pk)
        if submission is not None:
            google_queue.enqueue(submission)
            task_enqueued.send(type(self), task_result=result)
        return result
