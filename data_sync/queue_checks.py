"""System checks: whether the queue that is chosen can be used. They ask nobody, and say nothing where there is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from .core.unquoted import unquoted
from .tasks import choice, functions, target

IDS = {
    "service_account": "data_sync.E025",
    "project": "data_sync.E026",
    "base_url": "data_sync.E027",
    "queue": "data_sync.E028",
    "urls": "data_sync.E029",
}
"""For each code of `target.Problem`, the check's id."""


_SEEN = (
    " What it says may hold a password, and is left out; to see it: manage.py shell -c "
    f"'from data_sync.tasks.framework import task_backends; task_backends[\"{functions.ALIAS}\"]'"
)


@register("data_sync")
def check_queue(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    if app_configs is not None and "data_sync" not in {config.label for config in app_configs}:
        return []
    return list(_check_queue())


def _check_queue() -> Iterator[CheckMessage]:
    try:
        queue = choice.chosen()
    except Exception as error:  # Whatever the class of a backend raises when it is made.
        is_ours = isinstance(error, choice.ForeignBackend)
        yield Error(
            f'TASKS["{functions.ALIAS}"] cannot be used: {error if is_ours else f"{unquoted(error)}."}',
            hint="Write it as the how-to guide to your queue says, and install its packages; or leave it out to have "
            "work done in the request." + ("" if is_ours else _SEEN),
            id="data_sync.E023",
        )
        return
    if queue is None:
        return
    if choice.has_backend():
        try:
            functions.task("pull")
        except ImproperlyConfigured as error:
            yield Error(str(error), hint="Nothing can be enqueued as it is.", id="data_sync.E024")
        for message in choice.complaints():
            yield Error(
                f'The backend of TASKS["{functions.ALIAS}"] says of itself: {message.msg}.',
                hint=message.hint or "See the how-to guide to your queue.",
                id="data_sync.E040",
            )
    if queue.is_cloud_tasks:
        for problem in target.problems():
            yield Error(problem.message, hint=problem.hint, id=IDS[problem.code])
