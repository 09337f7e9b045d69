"""A pull and an apply of 5,000 changes by workers of one kind, each killed in the middle.

This process is the one that asks for the work, as a web server would; see `test_workers.py`.
"""

from __future__ import annotations

import io
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from data_sync import tasks
from data_sync.core.states import ChangesetState, PullState
from data_sync.models import Change, Changeset, DataPull, Event
from data_sync.services import apply, pull
from data_sync.tasks import functions
from tests.environments import Environments
from tests.testapp.models import Category
from tests.workers.kinds import KINDS
from tests.workers.stopping.apps import MOMENT, PIPE

KIND = KINDS[os.environ["DATA_SYNC_TEST_KIND"]]
UPDATED, CREATED, DELETED, EQUAL = 4000, 500, 500, 100
PATIENCE_SECONDS = 90


class Worker:
    """A worker process and its children. One that `stops_in` a pull or an apply does so in the middle of it."""

    def __init__(self, log: Path, stops_in: str = "") -> None:
        self._log = log
        self._reading, writing = os.pipe()
        with log.open("w") as file:
            self._process = subprocess.Popen(
                KIND.command(),
                env=os.environ | {"DATA_SYNC_TEST_CHILD": "default", MOMENT: stops_in, PIPE: str(writing)},
                pass_fds=[writing],
                # With which it ends, so that it cannot outlive the tests.
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        os.close(writing)

    def wait_until_stopped(self) -> None:
        ready, _, _ = select.select([self._reading], [], [], PATIENCE_SECONDS)
        assert ready and os.read(self._reading, 100) == b"stopped\n", self.said()

    def kill(self) -> None:
        """All of its processes at once, as when a machine or a container goes."""
        if self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process.stdin.close()
            os.close(self._reading)

    def said(self) -> str:
        return self._log.read_text(errors="replace")[-6000:]


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Starts workers; none of them is left in the end."""
    started: list[Worker] = []

    def start(**options: Any) -> Worker:
        started.append(Worker(tmp_path / f"worker-{len(started)}.log", **options))
        return started[-1]

    yield start
    for one in started:
        one.kill()


def fill() -> None:
    """Some 5,000 differences between the two sides."""

    def rows(first: int, count: int, title: str) -> Iterator[Category]:
        return (Category(slug=f"c{number}", title=f"{title} {number}") for number in range(first, first + count))

    one, two = EQUAL, EQUAL + UPDATED
    source, target = (Category.objects.using(alias) for alias in ("source", "default"))
    source.bulk_create([*rows(0, one, "Same"), *rows(one, UPDATED, "New"), *rows(two, CREATED, "Created")])
    target.bulk_create([*rows(0, one, "Same"), *rows(one, UPDATED, "Old"), *rows(two + CREATED, DELETED, "Gone")])


def swept_until(reached: Callable[[], bool], said: Callable[[], str]) -> None:
    """Runs the sweeper again and again, as cron would, until a state is reached."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        assert time.monotonic() < deadline, said()
        call_command("data_sync", "sweep", stdout=io.StringIO())
        time.sleep(0.2)


def test_what_a_killed_worker_was_at_is_finished_by_the_next_one(
    environments: Environments, worker: Callable[..., Worker]
) -> None:
    fill()
    first = worker(stops_in="pull")
    asked = pull.request_pull(environments.source, ["testapp.category"], environments.actor)
    tasks.submit("pull", asked.pk)
    first.wait_until_stopped()
    first.kill()
    assert not Changeset.objects.exists()

    second = worker(stops_in="apply")
    swept_until(lambda: state_of(asked) not in ("queued", "reading", "comparing"), second.said)
    asked.refresh_from_db()
    assert asked.state == PullState.DONE, asked.error
    assert asked.attempt == 2
    changeset = Changeset.objects.get()
    assert Change.objects.filter(changeset=changeset).count() == UPDATED + CREATED + DELETED
    environments.accept_all(changeset)
    environments.approve(changeset)
    with environments.untouched():
        apply.request_apply(changeset.pk, environments.actor)
        tasks.submit("apply", changeset.pk)
        second.wait_until_stopped()
        second.kill()

    third = worker()
    swept_until(lambda: state_of(changeset) not in ("approved", "applying"), third.said)
    changeset.refresh_from_db()
    assert changeset.state == ChangesetState.APPLIED, changeset.state_reason
    assert changeset.attempt == 2
    environments.assert_equal()

    # Queues deliver at least once. What comes after these two finds that nothing differs.
    for kind, pk in (("pull", asked.pk), ("apply", changeset.pk)):
        functions.task(kind).enqueue(pk)
    again = pull.request_pull(environments.source, ["testapp.category"], environments.actor)
    tasks.submit("pull", again.pk)
    swept_until(lambda: state_of(again) not in ("queued", "reading", "comparing"), third.said)
    assert state_of(again) == PullState.DONE

    assert Event.objects.filter(action="applied").count() == 1
    assert Changeset.objects.count() == 1
    assert DataPull.objects.count() == 2


def state_of(work: DataPull | Changeset) -> str:
    work.refresh_from_db(fields=["state"])
    return work.state
