"""`django.tasks` where Django has it, else its backport: one name for each thing that we use of them.

Imported only where there is a queue of this kind, because importing the backport takes time and patches Django.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import django

# For the type checker Django 6, whose API the backport has.
if TYPE_CHECKING or django.VERSION >= (6, 0):
    from django.tasks import Task, TaskResult, TaskResultStatus, task_backends
    from django.tasks.backends.base import BaseTaskBackend
    from django.tasks.backends.dummy import DummyBackend
    from django.tasks.backends.immediate import ImmediateBackend
    from django.tasks.exceptions import InvalidTask
    from django.tasks.signals import task_enqueued
else:
    from django_tasks import TaskResult, TaskResultStatus, task_backends
    from django_tasks.backends.base import BaseTaskBackend
    from django_tasks.backends.dummy import DummyBackend
    from django_tasks.backends.immediate import ImmediateBackend
    from django_tasks.base import Task
    from django_tasks.exceptions import InvalidTaskError as InvalidTask
    from django_tasks.signals import task_enqueued

__all__ = [
    "BaseTaskBackend",
    "DummyBackend",
    "ImmediateBackend",
    "InvalidTask",
    "Task",
    "TaskResult",
    "TaskResultStatus",
    "task_backends",
    "task_enqueued",
]
