"""Which queue is used: DESIGN 4."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from data_sync.tasks import choice, functions
from data_sync.tasks.cloud_tasks import CloudTasksBackend
from data_sync.tasks.framework import InvalidTask, Task
from tests.tasks.conftest import DUMMY, IMMEDIATE

pytestmark = pytest.mark.no_database
WithTasks = Callable[..., None]


class Extended(CloudTasksBackend):
    """Such as a project may have."""


def name() -> str:
    queue = choice.chosen()
    return "" if queue is None else queue.name.rpartition(".")[2]


def test_without_any_setting_work_is_done_in_the_request() -> None:
    assert choice.chosen() is None


@pytest.mark.parametrize("value", [None, {}, [], "data_sync", {"default": {"BACKEND": IMMEDIATE}}, {"default": None}])
def test_another_apps_queue_is_never_used(settings: Any, value: Any) -> None:
    settings.TASKS = value
    assert choice.chosen() is None


@pytest.mark.parametrize("variable", ["GAE_ENV", "GAE_APPLICATION", "GAE_INSTANCE", "GAE_SERVICE"])
def test_app_engine_has_cloud_tasks(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "standard")
    assert name() == "Cloud Tasks"
    monkeypatch.setenv(variable, "")
    assert name() == ""


def test_a_backend_goes_before_app_engine(monkeypatch: pytest.MonkeyPatch, with_tasks: WithTasks) -> None:
    monkeypatch.setenv("GAE_ENV", "standard")
    with_tasks(DUMMY)
    assert name() == "DummyBackend"


@pytest.mark.parametrize("value", [True, "True", "1", "yes", "on", 1])
def test_the_request_goes_before_all(
    monkeypatch: pytest.MonkeyPatch, settings: Any, with_tasks: WithTasks, value: Any
) -> None:
    monkeypatch.setenv("GAE_ENV", "standard")
    with_tasks()
    settings.DATA_SYNC_FORCE_SYNC = value
    assert choice.chosen() is None


@pytest.mark.parametrize("value", [False, None, "False", "false", "0", "no", "", 0])
def test_what_says_no_forces_nothing(settings: Any, with_tasks: WithTasks, value: Any) -> None:
    with_tasks(DUMMY)
    settings.DATA_SYNC_FORCE_SYNC = value
    assert name() == "DummyBackend"


def test_a_backend_is_known_by_what_it_does(with_tasks: WithTasks) -> None:
    seen = {}
    for backend in (IMMEDIATE, DUMMY, "data_sync.tasks.cloud_tasks.CloudTasksBackend", f"{__name__}.Extended"):
        with_tasks(backend)
        queue = choice.chosen()
        assert queue is not None
        seen[name()] = (queue.is_immediate, queue.is_cloud_tasks)
    assert seen == {
        "ImmediateBackend": (True, False),
        "DummyBackend": (False, False),
        "CloudTasksBackend": (False, True),
        "Extended": (False, True),
    }


def test_what_is_no_backend_is_refused(with_tasks: WithTasks) -> None:
    with_tasks("types.SimpleNamespace")
    with pytest.raises(Exception):  # noqa: B017  (whatever making it raises)
        choice.chosen()
    with_tasks(f"{__name__}.Stranger")
    with pytest.raises(ImproperlyConfigured, match=r"Stranger, which is no backend of django.tasks"):
        choice.chosen()


class Stranger:
    """As a backend of the other library."""

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        pass


# The tasks, as workers of other packages find them


@pytest.mark.parametrize("kind", ["pull", "apply"])
def test_a_worker_finds_the_task_by_its_path(with_tasks: WithTasks, kind: Any) -> None:
    with_tasks(DUMMY)
    task = functions.task(kind)
    assert isinstance(task, Task)
    assert task.module_path == f"data_sync.tasks.functions.{kind}"
    found = import_string(task.module_path)
    assert found == task and isinstance(found, Task)
    assert (task.backend, task.queue_name, task.name) == ("data_sync", "default", kind)


@pytest.mark.parametrize(
    ("queues", "wanted"),
    [(["default"], "default"), (["slow", "default"], "default"), (["slow"], "slow"), ([], "default")],
)
def test_a_queue_is_chosen_that_the_backend_takes(with_tasks: WithTasks, queues: list[str], wanted: str) -> None:
    with_tasks(DUMMY, QUEUES=queues)
    assert functions.task("pull").queue_name == wanted


def test_queues_of_which_none_is_plain_are_named(with_tasks: WithTasks) -> None:
    with_tasks(DUMMY, QUEUES=["slow", "mail"])
    with pytest.raises(ImproperlyConfigured, match="the queues mail, slow: which of them"):
        functions.task("pull")


def test_modules_of_tasks_have_no_other_names() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        functions.nothing  # noqa: B018


def other(pk: int) -> None:
    """A task of another app."""


def test_the_backend_of_cloud_tasks_takes_no_other_tasks(with_tasks: WithTasks) -> None:
    with_tasks()
    with pytest.raises(InvalidTask, match="takes the tasks of data_sync only"):
        Task(func=other, backend="data_sync", priority=0)
