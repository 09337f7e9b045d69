"""Workers of every kind that docs/how-to/workers.md describes finish what a killed one was at."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests import outside
from tests.workers.kinds import KINDS, NAME, Kind, tidy

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FOREIGN = ("DJANGO_SETTINGS", "PYTEST_", "DATA_SYNC_TEST_FOLDER", "DATA_SYNC_TEST_NAME")

# Each project has databases of its own, so those of this run are not touched.
pytestmark = pytest.mark.no_database


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[subprocess.CompletedProcess[str]]]]:
    """What becomes of the scenario with each kind that is asked for and has what it needs.

    Two at a time, because for half of their time they wait for a lease to end, or for a worker to start.
    """
    asked = [item.callspec.params["kind"] for item in request.session.items if "runs" in item.fixturenames]
    with ThreadPoolExecutor(2) as pool:
        yield {
            kind.name: pool.submit(run, kind, tmp_path_factory.mktemp(kind.name))
            for kind in asked
            if kind.why_not() is None
        }
        pool.shutdown(cancel_futures=True)


def run(kind: Kind, folder: Path) -> subprocess.CompletedProcess[str]:
    options = ["-q", "--no-header", "-p", "no:cacheprovider", f"--basetemp={folder / 'ran'}"]
    queue = f"data_sync_test_{os.getpid()}_{kind.name}"
    try:
        return in_project(kind, folder, queue, "-m", "pytest", *options, str(HERE / "scenario.py"))
    finally:
        tidy(kind, queue)


def in_project(kind: Kind, folder: Path, queue: str, *command: str) -> subprocess.CompletedProcess[str]:
    """What becomes of a Python command in a project with workers of this kind."""
    kind.write_project(folder)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)} | {
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "DATA_SYNC_TEST_DATABASE": kind.database,
        "DATA_SYNC_TEST_KIND": kind.name,
        NAME: queue,
    }
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=280
    )


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_next_worker_finishes_a_pull_and_an_apply_of_5000_changes(
    kind: Kind, runs: dict[str, Future[subprocess.CompletedProcess[str]]]
) -> None:
    if kind.name not in runs:
        reason = kind.why_not() or "it was not there when the tests began"
        if outside.required():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    ran = runs[kind.name].result()
    assert ran.returncode == 0, ran.stdout[-12000:] + ran.stderr[-2000:]


def test_a_worker_of_celery_knows_the_tasks_when_it_has_started(tmp_path: Path) -> None:
    names = "import django, project; django.setup(); print(*project.celery_app.tasks)"
    ran = in_project(KINDS["celery-redis"], tmp_path, "none", "-c", names)
    known = {name.removeprefix("django_tasks:") for name in ran.stdout.split()}
    assert {"data_sync.tasks.functions.pull", "data_sync.tasks.functions.apply"} <= known, ran.stderr


def test_a_project_whose_backend_cannot_be_made_starts_and_is_told(tmp_path: Path) -> None:
    spoilt = replace(KINDS["database-sqlite"], sections=())
    command = "from django.conf import settings; settings.TASKS = {'data_sync': {'BACKEND': 'nowhere.Backend'}}; "
    command += "import django; django.setup(); from django.core.management import call_command; "
    # Not all checks: one of Django 6's own falls over such a backend.
    command += "call_command('check', tags=['data_sync'])"
    ran = in_project(spoilt, tmp_path, "none", "-c", command)
    assert "data_sync.E023" in ran.stderr
