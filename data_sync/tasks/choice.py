"""Which queue does the work: DESIGN 4.

`DATA_SYNC_FORCE_SYNC` → none; else `TASKS["data_sync"]`; else on App Engine Cloud Tasks; else none. Never another
app's `default`: who set that up did not think of work that takes minutes and must not be done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.conf import settings
from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured

from data_sync import conf
from data_sync.services.due import Submission

from . import functions, google_queue, target


class ForeignBackend(ImproperlyConfigured):
    """The backend belongs to the other one of `django.tasks` and its backport. What it says is ours, and no secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What takes submissions. `is_immediate`: it does the work at once, in the caller's process. `is_dummy`: never."""

    name: str
    enqueue: Callable[[Submission], None]
    is_immediate: bool = False
    is_dummy: bool = False
    is_cloud_tasks: bool = False


def chosen() -> Queue | None:
    """The queue to use; None for the request itself. Raises whatever a backend raises that cannot be made."""
    if conf.force_sync():
        return None
    if has_backend():
        return _backend_queue()
    if target.is_on_app_engine():
        return Queue(name="Cloud Tasks", enqueue=google_queue.enqueue, is_cloud_tasks=True)
    return None


def has_backend() -> bool:
    """Whether the settings name a backend for us; looks at the settings alone."""
    backends = getattr(settings, "TASKS", None)
    return isinstance(backends, Mapping) and functions.ALIAS in backends


def complaints() -> list[CheckMessage]:
    """What the backend that the settings name finds wrong with them, such as an app that is not installed."""
    from .framework import task_backends

    return [message for message in task_backends[functions.ALIAS].check() if message.is_serious()]


def _backend_queue() -> Queue:
    from .framework import BaseTaskBackend, DummyBackend, ImmediateBackend, task_backends

    backend = task_backends[functions.ALIAS]
    name = f"{type(backend).__module__}.{type(backend).__qualname__}"
    if not isinstance(backend, BaseTaskBackend):
        raise ForeignBackend(
            f'TASKS["{functions.ALIAS}"] names {name}, which is no backend of {BaseTaskBackend.__module__}: '
            "django.tasks and its backport do not take each other's."
        )
    return Queue(
        name=name,
        enqueue=functions.enqueue,
        is_immediate=isinstance(backend, ImmediateBackend),
        is_dummy=isinstance(backend, DummyBackend),
        # By an attribute, so that a class of the project's own which extends ours counts, too.
        is_cloud_tasks=getattr(backend, "is_cloud_tasks", False),
    )
