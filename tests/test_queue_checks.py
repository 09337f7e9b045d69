"""System checks of the queue: each finds its fault, and none is found where there is no queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured

from data_sync.queue_checks import check_queue
from tests import google
from tests.tasks.conftest import DUMMY, IMMEDIATE, nowhere, with_tasks  # noqa: F401

pytestmark = pytest.mark.no_database


def found() -> set[str]:
    return {str(message.id).removeprefix("data_sync.") for message in check_queue()}


@pytest.fixture
def sound(settings: Any, with_tasks: Callable[..., None]) -> None:  # noqa: F811
    settings.DATA_SYNC_SERVICE_ACCOUNT_EMAIL = google.EMAIL
    settings.DATA_SYNC_GOOGLE_CLOUD_PROJECT = "shop"
    settings.DATA_SYNC_BASE_URL = "https://www.example.com"
    with_tasks()


def test_without_a_queue_nothing_is_asked_for() -> None:
    assert found() == set()


@pytest.mark.parametrize("backend", [DUMMY, IMMEDIATE])
def test_other_queues_need_nothing_of_google(with_tasks: Callable[..., None], backend: str) -> None:  # noqa: F811
    with_tasks(backend)
    assert found() == set()


def test_sound_settings_have_no_message(sound: None) -> None:
    assert found() == set()


@pytest.mark.parametrize(
    ("name", "value", "number"),
    [
        ("DATA_SYNC_SERVICE_ACCOUNT_EMAIL", "", "E025"),
        ("DATA_SYNC_SERVICE_ACCOUNT_EMAIL", None, "E025"),
        ("DATA_SYNC_GOOGLE_CLOUD_PROJECT", "", "E026"),
        ("DATA_SYNC_BASE_URL", "", "E027"),
        ("DATA_SYNC_BASE_URL", None, "E027"),
        ("DATA_SYNC_BASE_URL", "www.example.com", "E027"),
        ("DATA_SYNC_BASE_URL", "http://www.example.com", "E027"),
        ("DATA_SYNC_BASE_URL", "https://", "E027"),
        ("DATA_SYNC_BASE_URL", "https://[", "E027"),
        ("DATA_SYNC_BASE_URL", "https://www.example.com:port", "E027"),
        ("DATA_SYNC_BASE_URL", "https://www.example.com?x=1", "E027"),
        ("DATA_SYNC_BASE_URL", 7, "E027"),
        ("DATA_SYNC_CLOUD_TASKS_QUEUE_ID", "data/sync", "E028"),
        ("ROOT_URLCONF", "tests.tasks.no_urls", "E029"),
    ],
)
def test_what_cloud_tasks_lacks_is_an_error(sound: None, settings: Any, name: str, value: Any, number: str) -> None:
    setattr(settings, name, value)
    assert found() == {number}
    settings.DATA_SYNC_FORCE_SYNC = True
    assert found() == set()


def test_on_app_engine_no_base_url_is_needed(sound: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DATA_SYNC_BASE_URL = ""
    settings.TASKS = {}
    monkeypatch.setenv("GAE_ENV", "standard")
    assert found() == {"E027"}, "a service that is not named has no address"
    monkeypatch.setenv("GAE_SERVICE", "default")
    assert found() == set()
    settings.DATA_SYNC_SERVICE_ACCOUNT_EMAIL = ""
    assert found() == {"E025"}


def test_a_backend_that_cannot_be_made_is_an_error(with_tasks: Callable[..., None]) -> None:  # noqa: F811
    with_tasks("nothing.like.this")
    assert found() == {"E023"}
    [message] = check_queue()
    assert "ModuleNotFoundError about the module nothing" in message.msg
    with_tasks("tests.tasks.test_choice.Stranger")
    assert found() == {"E023"}
    [message] = check_queue()
    assert "django.tasks and its backport do not take each other's" in message.msg
    assert message.hint is not None and "password" not in message.hint


class Unreachable:
    """A backend that tells where it could not connect, as many clients of queues do."""

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        try:
            raise OSError("redis://app:pass-word@queue.example: refused")
        except OSError as error:
            raise ImproperlyConfigured(f"No connection: {error}") from error


def test_what_a_backend_says_is_not_told(with_tasks: Callable[..., None]) -> None:  # noqa: F811
    with_tasks(f"{__name__}.Unreachable")
    [message] = check_queue()
    assert message.id == "data_sync.E023" and "pass-word" not in f"{message.msg} {message.hint}"
    assert message.msg == 'TASKS["data_sync"] cannot be used: ImproperlyConfigured.'
    assert 'task_backends["data_sync"]' in str(message.hint), "how to see it"


def test_queues_of_which_none_is_plain_are_an_error(with_tasks: Callable[..., None]) -> None:  # noqa: F811
    with_tasks(DUMMY, QUEUES=["slow", "mail"])
    assert found() == {"E024"}


def test_the_checks_are_registered(with_tasks: Callable[..., None]) -> None:  # noqa: F811
    with_tasks("nothing.like.this")
    assert "data_sync.E023" in {message.id for message in run_checks(tags=["data_sync"])}
    assert check_queue(app_configs=[apps.get_app_config("auth")]) == []
