"""Google, and queues of `django.tasks`, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import django
import pytest

from data_sync.services import certificates
from data_sync.tasks import google_queue
from tests import google

APP_ENGINE = ("GAE_ENV", "GAE_APPLICATION", "GAE_INSTANCE", "GAE_SERVICE", "GAE_VERSION", "GOOGLE_CLOUD_PROJECT")
LIBRARY = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"
IMMEDIATE = f"{LIBRARY}.backends.immediate.ImmediateBackend"
DUMMY = f"{LIBRARY}.backends.dummy.DummyBackend"
BACKEND = "data_sync.tasks.cloud_tasks.CloudTasksBackend"


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """On no platform, whatever the tests run on; and as in a process that has just begun."""
    for name in (*APP_ENGINE, "CLOUD_TASKS_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(google_queue, "_clients", {})


@pytest.fixture
def with_tasks(settings: Any) -> Callable[..., None]:
    """Sets `TASKS["data_sync"]`."""
    from data_sync.tasks import framework  # noqa: F401  (forgets its backends when the setting changes, once imported)

    def choose(backend: str = BACKEND, **options: Any) -> None:
        settings.TASKS = {"data_sync": {"BACKEND": backend, **options}}

    return choose


@pytest.fixture
def immediate(with_tasks: Callable[..., None]) -> None:
    """The backend that does a task while it is enqueued, and keeps its errors to itself."""
    with_tasks(IMMEDIATE)


@pytest.fixture(scope="session")
def account() -> google.Account:
    return google.Account()


@pytest.fixture
def certificates_page(account: google.Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[google.Pages]:
    """Google's keys, of which `account` is one."""
    with google.showing(account) as pages:
        monkeypatch.setattr(certificates, "URL", f"{pages.url}/certs")
        certificates.forget()
        yield pages
    certificates.forget()


@pytest.fixture
def cloud_tasks(
    account: google.Account,
    certificates_page: google.Pages,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    with_tasks: Callable[..., None],
) -> Iterator[google.CloudTasks]:
    """Cloud Tasks is chosen, and the service is there."""
    service = google.CloudTasks(account=account, sends=False)
    settings.DATA_SYNC_SERVICE_ACCOUNT_EMAIL = google.EMAIL
    settings.DATA_SYNC_GOOGLE_CLOUD_PROJECT = "shop"
    settings.DATA_SYNC_BASE_URL = "https://www.example.com"
    with google.serving(service) as address:
        monkeypatch.setenv("CLOUD_TASKS_EMULATOR_HOST", address)
        with_tasks()
        yield service
