"""Killed, cut off, out of space or out of time: all or nothing, and then it is finished. Once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from data_sync.core.states import ChangesetState, PullState
from data_sync.models import Changeset, DataPull
from data_sync.services import apply, pull
from tests import leasing, outside
from tests.environments import Environments, child

from . import cases, points
from .cases import Case
from .scene import Scene, fill, make_compact

ROOM = "256k"


def table(*faults: str) -> Any:
    """The cases of these faults on this database; those beyond the sample are marked."""
    sample = cases.sample(settings.DATABASE)
    return pytest.mark.parametrize(
        "case",
        [
            pytest.param(case, marks=() if case in sample else pytest.mark.fault)
            for case in cases.of(settings.DATABASE)
            if case.fault in faults
        ],
        ids=lambda case: f"{case.fault}, {case}" if len(faults) > 1 else str(case),
    )


class Worker:
    """The process that does a step of a scene, stopped at its point."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None and process.stdin is not None
        self._process = process
        self._stdin, self._stdout = process.stdin, process.stdout
        word, _, backend = self._stdout.readline().strip().partition(" ")
        assert word == "paused", "the worker never came to its point; what it said stands below"
        self.backend = int(backend)

    def send(self, number: signal.Signals) -> None:
        os.kill(self._process.pid, number)

    def go_on(self, how: str = "go on") -> None:
        """Waits until it has ended."""
        self._stdin.write(f"{how}\n")
        self._stdin.flush()
        self._process.wait(120)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._stdin.close()
        self._stdout.close()


@contextmanager
def stopped(scene: Scene, case: Case, spool: Path) -> Iterator[Worker]:
    """A worker that has come to the point of the case, after all that has to come before."""
    pk = scene.environments.source.pk
    if case.step != "pull":
        changeset = scene.environments.let_through(scene.pull())
        scene.environments.accept_all(changeset)
        pk = changeset.pk
    if case.step == "apply":
        scene.environments.approve(changeset)
    if case.place == "database":
        make_compact()
    connection.close()
    arguments = [case.step, str(pk), case.point, *(["deaf"] if case.fault == "paused" else [])]
    process = child("tests.faults.worker", *arguments, DATA_SYNC_TEST_CHILD="default", TMPDIR=str(spool))
    try:
        worker = Worker(process)
        yield worker
    finally:
        process.kill()
        process.wait()
    worker.kill()
    assert list(spool.iterdir()) == [], "files have no name while they are in use"


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture
def small_disk(environments: Environments, case: Case, spool: Path) -> Iterator[Path | None]:
    """The folder that is to be full, on a file system of its own."""
    folders = {"spool": spool, "staging": environments.staging, "media": environments.media}
    folder = folders.get(case.place)
    if folder is None:
        yield None
        return
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a disk that can be filled is mounted, which only root may, on Linux")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def assert_all_or_nothing(scene: Scene, case: Case) -> None:
    if case.step == "apply" and case.point == "commit, before response":
        scene.assert_applied()
        return
    scene.assert_untouched()
    changeset = Changeset.objects.order_by("pk").last()
    match case.step:
        case "pull":
            assert (changeset is not None) == (case.point == "commit, before response")
        case "approve":
            approved = case.point == "commit, before response"
            assert changeset.state == (ChangesetState.APPROVED if approved else ChangesetState.PENDING)


@table("killed", "cut off")
def test_a_worker_that_is_lost(environments: Environments, case: Case, spool: Path) -> None:
    scene = Scene(environments)
    with stopped(scene, case, spool) as worker:
        if case.fault == "killed":
            worker.kill()
        else:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [worker.backend])
                assert cursor.fetchone() == (True,)
            worker.go_on()
    assert_all_or_nothing(scene, case)
    # Every other killed pull is followed by another one; the rest is found by the sweeper.
    scene.finish(ask_again=case in cases.KILLED[1 : len(points.names("pull")) : 2])


@table("full", "broken")
def test_a_worker_whose_disk_is_full_or_broken(
    environments: Environments, case: Case, spool: Path, small_disk: Path | None
) -> None:
    scene = Scene(environments)
    with stopped(scene, case, spool) as worker:
        if small_disk is not None:
            filler = fill(small_disk)
            worker.go_on()
            filler.unlink()
        else:
            worker.go_on("fill" if case.fault == "full" else "break")
    assert_all_or_nothing(scene, case)
    assert_failed(case)
    scene.finish()


def assert_failed(case: Case) -> None:
    """It is recorded what was wrong, for people to read."""
    if case.step == "pull":
        failed = DataPull.objects.get()
        assert (failed.state, failed.active_source) == (PullState.FAILED, None)
        reason = failed.error
    else:
        changeset = Changeset.objects.get()
        if case.place == "database" and changeset.state == ChangesetState.APPLYING:
            return  # There was no room even for that.
        assert changeset.state == ChangesetState.FAILED
        reason = changeset.state_reason
    words = ("No space left on device", "full") if case.fault == "full" else ("Input/output error",)
    assert any(word in reason for word in words), reason


@table("paused")
def test_a_worker_that_is_paused_past_its_lease(environments: Environments, case: Case, spool: Path) -> None:
    scene = Scene(environments)
    with stopped(scene, case, spool) as worker:
        worker.send(signal.SIGSTOP)
        leasing.expire()
        if case.step == "pull":
            done = pull.run_pull(DataPull.objects.get().pk)
            assert done.state == PullState.DONE, done.error
        else:
            applied = apply.run_apply(Changeset.objects.get().pk)
            assert applied.state == ChangesetState.APPLIED, applied.state_reason
            scene.assert_applied()
        stored, tables = Changeset.objects.values().get(), environments.tables()
        worker.send(signal.SIGCONT)
        worker.go_on()
    assert Changeset.objects.values().get() == stored, "it stored nothing more"
    assert environments.tables() == tables
    scene.finish()


@pytest.mark.no_database
def test_the_samples_have_something_of_everything() -> None:
    for database in outside.DATABASES:
        sample, every = cases.sample(database), cases.of(database)
        assert {case.fault for case in sample} == {case.fault for case in every}, database
        assert len(sample) <= len(every) // cases.ONE_IN + 1
    for database in ("sqlite", "postgresql"):
        assert {case.step for case in cases.sample(database)} == set(cases.STEPS), database
    assert not set(cases.sample("sqlite")) & set(cases.sample("postgresql"))
