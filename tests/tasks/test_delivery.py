"""From the click to the applied rows: the real client, a real service, real HTTP, real tokens, a real server."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from data_sync import tasks
from data_sync.core.states import ChangesetState, PullState
from data_sync.models import Changeset, DataPull
from data_sync.services import apply, pull, pulling
from data_sync.services.due import Submission
from data_sync.tasks import google_queue
from tests import google, leasing
from tests.environments import Environments
from tests.testapp.models import Country, Document


@pytest.fixture
def delivered(cloud_tasks: google.CloudTasks, live_server: Any, settings: Any) -> google.CloudTasks:
    """What is in the queue is sent to a server of this environment."""
    settings.DATA_SYNC_BASE_URL = live_server.url
    cloud_tasks.sends = True
    return cloud_tasks


@pytest.fixture
def asked(environments: Environments) -> Changeset:
    environments.add(Country, code="FR", only="source")
    return apply.request_apply(environments.approved().pk, environments.actor)


def eventually(holds: Callable[[], bool]) -> None:
    last = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < last, "it never came to hold"
        time.sleep(0.05)


def test_a_pull_and_its_apply_are_pushed(delivered: google.CloudTasks, environments: Environments) -> None:
    environments.add(Country, code="FR", only="source")
    asked = pull.request_pull(environments.source, [], environments.actor)
    tasks.submit("pull", asked.pk)
    assert delivered.idle()
    asked.refresh_from_db()
    assert asked.state == PullState.DONE
    changeset = asked.changeset
    environments.accept_all(changeset)
    environments.approve(changeset)
    apply.request_apply(changeset.pk, environments.actor)
    tasks.submit("apply", changeset.pk)
    assert delivered.idle()
    changeset.refresh_from_db()
    assert (changeset.state, Country.objects.get().code) == (ChangesetState.APPLIED, "FR")
    assert [status for _, status in delivered.attempts] == [200, 200]


def test_a_pull_that_takes_many_tasks_comes_to_its_end(
    delivered: google.CloudTasks, environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling, "FETCHING_SHARE", 0.0)  # Every task's time is over when it begins.
    for number in range(3):
        attachment = environments.put(f"documents/{number}.txt", b"text %d" % number, only="source")
        environments.add(Document, name=f"d{number}", attachment=attachment, only="source")
    asked = pull.request_pull(environments.source, [], environments.actor)
    tasks.submit("pull", asked.pk)
    eventually(lambda: not DataPull.objects.filter(active_source__isnull=False).exists())
    assert delivered.idle()
    asked.refresh_from_db()
    assert (asked.state, asked.files_fetched) == (PullState.DONE, 3)
    assert len(delivered.names) > 3
    assert {status for _, status in delivered.attempts} <= {200, 503}


def test_deliveries_at_once_apply_once(delivered: google.CloudTasks, asked: Changeset) -> None:
    for number in range(1, 9):
        google_queue.enqueue(Submission(kind="apply", pk=asked.pk, number=number))
    assert delivered.idle(60)
    asked.refresh_from_db()
    assert asked.state == ChangesetState.APPLIED
    assert asked.events.filter(action="applied").count() == 1
    assert {status for _, status in delivered.attempts} <= {200, 503}


def test_what_another_worker_is_at_comes_again_until_it_is_done(delivered: google.CloudTasks, asked: Changeset) -> None:
    tasks.due.note_submission("apply", asked.pk)
    Changeset.objects.update(state="applying", token="of a worker that was killed")
    leasing.beat(asked)
    google_queue.enqueue(Submission(kind="apply", pk=asked.pk, number=1))
    eventually(lambda: len(delivered.attempts) >= 2)
    assert {status for _, status in delivered.attempts} == {503}
    leasing.expire()
    assert delivered.idle()
    assert delivered.attempts[-1][1] == 200
    asked.refresh_from_db()
    assert asked.state == ChangesetState.APPLIED


def test_a_token_of_another_account_is_of_no_use(delivered: google.CloudTasks, asked: Changeset) -> None:
    delivered.account = google.Account()
    tasks.submit("apply", asked.pk)
    eventually(lambda: len(delivered.attempts) >= 2)
    assert {status for _, status in delivered.attempts} == {401}
    asked.refresh_from_db()
    assert asked.state == ChangesetState.APPROVED
    delivered.stopped.set()


def test_a_task_that_was_lost_is_found_by_the_next_one(
    delivered: google.CloudTasks, asked: Changeset, environments: Environments
) -> None:
    from tests.tasks.test_submitting import long_ago

    long_ago()
    other = pull.request_pull(environments.source, [], environments.actor)
    tasks.submit("pull", other.pk)
    eventually(lambda: Changeset.objects.filter(state="applied").exists())
    assert delivered.idle()
    assert asked.events.filter(action="applied").count() == 1


def test_the_service_runs_as_a_process_of_its_own(
    environments: Environments, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.environments import child

    process = child("tests.google")
    try:
        assert process.stdout is not None
        word, address, page = process.stdout.readline().split()
        monkeypatch.setenv("CLOUD_TASKS_EMULATOR_HOST", address)
        settings.DATA_SYNC_SERVICE_ACCOUNT_EMAIL = google.EMAIL
        settings.DATA_SYNC_GOOGLE_CLOUD_PROJECT = "shop"
        settings.DATA_SYNC_BASE_URL = "http://127.0.0.1:9"
        with ThreadPoolExecutor(1) as pool:
            pool.submit(google_queue.enqueue, Submission(kind="pull", pk=1, number=1)).result(30)
        assert (word, page.rpartition("/")[2]) == ("ready", "certs")
    finally:
        process.communicate(timeout=30)
