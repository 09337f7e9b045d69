"""What starting costs: libraries of Google and of queues are imported by those who use them, and by nobody else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.no_database
ROOT = Path(__file__).parent.parent.parent

PROJECT = """
import os, sys
import django
from django.conf import settings
settings.configure(
    SECRET_KEY="x" * 50,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
                    "django.contrib.sessions", "django.contrib.messages", "data_sync"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware",
                "django.contrib.auth.middleware.AuthenticationMiddleware",
                "django.contrib.messages.middleware.MessageMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {
        "context_processors": ["django.template.context_processors.request",
                               "django.contrib.auth.context_processors.auth",
                               "django.contrib.messages.context_processors.messages"]}}],
    ROOT_URLCONF="tests.urls",
    USE_TZ=True,
    %s
)
django.setup()
from django.core.management import call_command
from django.test import Client
call_command("check", verbosity=0)
call_command("migrate", verbosity=0)
import data_sync.push, data_sync.tasks.choice, data_sync.tasks.functions, data_sync.tasks.tokens
settings.ALLOWED_HOSTS.append("testserver")
assert Client().post("/api/data_sync/tasks/run", headers={"Authorization": "Bearer a.b.c"}).status_code == 401
%s
print("", *sorted(name for name in sys.modules if name.split(".")[0] in ("google", "grpc", "django_tasks", "requests",
      "import_export", "tablib", "openpyxl", "yaml", "defusedxml")))
"""


def imported(setting: str = "", then: str = "") -> set[str]:
    """The first two parts of the names of these libraries' modules, in a process that did this."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("GAE_", "DJANGO_SETTINGS"))}
    done = subprocess.run(
        [sys.executable, "-c", PROJECT % (setting, then)],
        cwd=ROOT,
        env=environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return {".".join(name.split(".")[:2]) for name in done.stdout.splitlines()[-1].split()}


def test_a_project_without_a_queue_imports_no_library_of_google_or_of_queues() -> None:
    assert imported() == set()


@pytest.mark.parametrize("value", ["TASKS={},", "TASKS=None,", ""])
def test_the_tasks_can_be_imported_where_none_are_configured(value: str) -> None:
    assert imported(value, "import data_sync.tasks.functions, data_sync.tasks.google_queue") == set()


def test_app_engine_imports_no_backport() -> None:
    chosen = "import os; os.environ['GAE_ENV'] = 'standard'; data_sync.tasks.choice.chosen().name"
    assert imported(then=chosen) == set()
    assert not {name for name in imported(then=f"{chosen}; import google.cloud.tasks_v2") if "django_tasks" in name}


def test_a_backend_of_our_own_imports_google_only_when_it_sends() -> None:
    setting = 'TASKS={"data_sync": {"BACKEND": "data_sync.tasks.cloud_tasks.CloudTasksBackend"}}, '
    setting += 'DATA_SYNC_SERVICE_ACCOUNT_EMAIL="a@b", DATA_SYNC_GOOGLE_CLOUD_PROJECT="p", '
    setting += 'DATA_SYNC_BASE_URL="https://example.com",'
    assert {name.split(".")[0] for name in imported(setting)} <= {"django_tasks"}


def test_google_is_imported_for_sources_that_need_its_tokens_and_only_once_one_is_asked() -> None:
    reading = "from data_sync.services import rotation, sources; from data_sync.models import DataSource; "
    reading += "from data_sync.sources import google_tokens; "
    for audience in ("", "https://staging.example.com"):
        opened = f"sources.open_source(DataSource(url='https://staging.example.com', google_audience={audience!r}, "
        assert imported(then=f"{reading}{opened}key='env:PATH'))") == set()
