"""RELIABILITY 14 and 25: what is submitted is done once, and what is lost on the way is found."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import grpc
import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import OperationalError, connection, connections, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from data_sync import tasks
from data_sync.core.errors import Busy, HandOverFailed, InvalidTransition
from data_sync.core.states import ChangesetState, PullState
from data_sync.models import Changeset, DataPull
from data_sync.services import apply, pull
from data_sync.tasks import Delivery, functions
from tests import google, leasing
from tests.environments import Environments, child
from tests.tasks.conftest import DUMMY, IMMEDIATE
from tests.testapp.models import Country

WithTasks = Callable[..., None]
QUEUE = "projects/shop/locations/europe-west1/queues/data-sync"


@pytest.fixture
def asked(environments: Environments) -> Changeset:
    """An approved changeset whose apply was asked for, and handed to nobody."""
    environments.add(Country, code="FR", only="source")
    return apply.request_apply(environments.approved().pk, environments.actor)


@pytest.fixture
def queued(environments: Environments) -> DataPull:
    environments.add(Country, code="FR", only="source")
    return pull.request_pull(environments.source, [], environments.actor)


def long_ago() -> None:
    """Whoever asked for work, or was handed it, has had their time."""
    past = timezone.now() - timedelta(hours=3)
    Changeset.objects.filter(apply_requested_at__isnull=False).update(apply_requested_at=past)
    Changeset.objects.filter(submitted_at__isnull=False).update(submitted_at=past)
    DataPull.objects.update(created_at=past)
    DataPull.objects.filter(submitted_at__isnull=False).update(submitted_at=past)


def state(row: Any) -> str:
    row.refresh_from_db()
    return str(row.state)


def names(service: google.CloudTasks) -> list[str]:
    """The readable part of what is in the queue."""
    return sorted(name.rpartition("/")[2].partition("-")[2] for name in service.tasks)


# Without a queue


def test_work_is_done_in_the_request_once_the_transaction_is_committed(asked: Changeset) -> None:
    with transaction.atomic():
        tasks.submit("apply", asked.pk)
        assert state(asked) == ChangesetState.APPROVED
    assert state(asked) == ChangesetState.APPLIED


def test_in_the_request_whoever_asks_is_told_what_is_wrong(asked: Changeset) -> None:
    Changeset.objects.update(state="applying", token="x")
    leasing.beat(asked)
    with pytest.raises(Busy):
        tasks.submit("apply", asked.pk)
    Changeset.objects.update(state="pending")
    with pytest.raises(InvalidTransition):
        tasks.submit("apply", asked.pk)


def test_nothing_is_submitted_where_the_transaction_is_taken_back(
    cloud_tasks: google.CloudTasks, asked: Changeset
) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        tasks.submit("apply", asked.pk)
        raise ZeroDivisionError
    assert cloud_tasks.calls == []


# Through a backend of django.tasks


def test_an_immediate_backend_really_does_it(immediate: None, queued: DataPull, environments: Environments) -> None:
    tasks.submit("pull", queued.pk)
    assert state(queued) == PullState.DONE
    changeset = queued.changeset
    environments.accept_all(changeset)
    environments.approve(changeset)
    apply.request_apply(changeset.pk, environments.actor)
    tasks.submit("apply", changeset.pk)
    assert state(changeset) == ChangesetState.APPLIED
    assert Country.objects.get().code == "FR"
    assert (Changeset.objects.get().submissions, DataPull.objects.get().submissions) == (1, 1)


def test_what_an_immediate_backend_swallows_is_swept(
    immediate: None, asked: Changeset, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:

        def fail(pk: int) -> None:
            raise OperationalError("database is locked")

        broken.setattr(tasks, "run_apply", fail)
        tasks.submit("apply", asked.pk)
    assert state(asked) == ChangesetState.APPROVED
    long_ago()
    assert [swept.delivery for swept in tasks.sweep()] == [Delivery.DONE]
    assert state(asked) == ChangesetState.APPLIED


def test_a_task_carries_an_id_and_nothing_else(with_tasks: WithTasks, asked: Changeset) -> None:
    from data_sync.tasks.framework import task_backends

    with_tasks(DUMMY)
    tasks.submit("apply", asked.pk)
    [result] = task_backends["data_sync"].results
    assert (result.task.module_path, result.args, result.kwargs) == ("data_sync.tasks.functions.apply", [asked.pk], {})


def test_a_worker_whose_work_is_done_already_does_nothing(with_tasks: WithTasks, asked: Changeset) -> None:
    with_tasks(DUMMY)
    for _ in range(3):
        functions.task("apply").call(asked.pk)
    assert asked.events.filter(action="applied").count() == 1
    Changeset.objects.update(state="pending")
    functions.task("apply").call(asked.pk)
    functions.task("pull").call(4711)


def test_a_worker_leaves_alone_what_another_is_at(with_tasks: WithTasks, asked: Changeset) -> None:
    with_tasks(DUMMY)
    Changeset.objects.update(state="applying", token="x")
    leasing.beat(asked)
    functions.task("apply").call(asked.pk)
    assert state(asked) == ChangesetState.APPLYING


def test_what_has_to_be_delivered_again_leaves_the_worker(
    with_tasks: WithTasks, asked: Changeset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(pk: int) -> None:
        raise OperationalError("database is locked")

    with_tasks(DUMMY)
    monkeypatch.setattr(tasks, "run_apply", fail)
    with pytest.raises(OperationalError):
        functions.task("apply").call(asked.pk)


# A pull in parts


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Pulls whose first part ends with the task's time: they are queued again. What was run."""
    ran: list[int] = []
    run_pull = tasks.run_pull

    def part(pk: int, **options: Any) -> DataPull:
        ran.append(pk)
        if len(ran) == 1:
            return DataPull.objects.get(pk=pk)
        return run_pull(pk, **options)

    monkeypatch.setattr(tasks, "run_pull", part)
    return ran


def test_a_pull_that_ran_out_of_time_is_submitted_again(
    cloud_tasks: google.CloudTasks, queued: DataPull, in_parts: list[int]
) -> None:
    tasks.submit("pull", queued.pk)
    assert names(cloud_tasks) == [f"pull-{queued.pk}-1"]
    tasks.deliver("pull", queued.pk)
    assert names(cloud_tasks) == [f"pull-{queued.pk}-1", f"pull-{queued.pk}-2"]
    tasks.deliver("pull", queued.pk)
    assert state(queued) == PullState.DONE
    assert len(cloud_tasks.tasks) == 2


def test_a_pull_that_another_worker_took_over_is_not_submitted(
    cloud_tasks: google.CloudTasks, queued: DataPull, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken_over(pk: int, **_: Any) -> DataPull:
        DataPull.objects.filter(pk=pk).update(state="reading", token="another's")
        leasing.beat(queued)
        return DataPull.objects.get(pk=pk)

    monkeypatch.setattr(tasks, "run_pull", taken_over)
    tasks.run("pull", queued.pk)
    assert cloud_tasks.calls == []


# Hand-overs that fail


@pytest.mark.parametrize("fault", ["refused", "settings", "backend", "secret", "library"])
def test_a_hand_over_that_fails_is_told_and_loses_nothing(
    cloud_tasks: google.CloudTasks,
    with_tasks: WithTasks,
    settings: Any,
    asked: Changeset,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    match fault:
        case "refused":
            cloud_tasks.refusals = [grpc.StatusCode.PERMISSION_DENIED]
            words = "So it was told to"
        case "settings":
            settings.DATA_SYNC_SERVICE_ACCOUNT_EMAIL = ""
            words = "DATA_SYNC_SERVICE_ACCOUNT_EMAIL is not set"
        case "backend":
            with_tasks("nothing.like.this")
            words = "ModuleNotFoundError about the module nothing"
        case "secret":
            with_tasks("tests.test_queue_checks.Unreachable")
            words = "cannot be used: ImproperlyConfigured"
        case "library":
            with_tasks(DUMMY, QUEUES=["a", "b"])
            words = "a, b: which of them"
    with pytest.raises(HandOverFailed, match=f"The apply of changeset {asked.pk} .*{words}.*data_sync sweep") as failed:
        tasks.submit("apply", asked.pk)
    assert failed.value.__cause__ is not None and "pass-word" not in str(failed.value)
    assert any(record.levelno == logging.ERROR and record.exc_info for record in caplog.records)
    assert state(asked) == ChangesetState.APPROVED
    settings.DATA_SYNC_SERVICE_ACCOUNT_EMAIL = google.EMAIL
    with_tasks()
    assert [(swept.kind, swept.pk, swept.delivery) for swept in tasks.sweep()] == [
        ("apply", asked.pk, Delivery.HANDED_OVER)
    ]
    assert len(cloud_tasks.tasks) == 1
    assert tasks.sweep() == [], "what was handed over a moment ago is due again"


@pytest.mark.parametrize("moment", ["committed", "counted"])
def test_who_is_killed_between_commit_and_hand_over_loses_nothing(
    cloud_tasks: google.CloudTasks, asked: Changeset, moment: str
) -> None:
    killed = child("tests.submitting", "apply", str(asked.pk), moment, DATA_SYNC_TEST_CHILD="default")
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert tasks.sweep() == [], "whoever asked has a minute"
    long_ago()
    assert [swept.delivery for swept in tasks.sweep()] == [Delivery.HANDED_OVER]
    tasks.deliver("apply", asked.pk)
    assert state(asked) == ChangesetState.APPLIED
    assert asked.events.filter(action="applied").count() == 1


def test_a_database_that_is_busy_when_it_is_counted_loses_nothing(
    cloud_tasks: google.CloudTasks, asked: Changeset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(kind: str, pk: int) -> None:
        raise OperationalError("database is locked")

    with monkeypatch.context() as broken:
        broken.setattr(tasks.due, "note_submission", fail)
        with pytest.raises(HandOverFailed, match="database is locked"):
            tasks.submit("apply", asked.pk)
    long_ago()
    assert [swept.delivery for swept in tasks.sweep()] == [Delivery.HANDED_OVER]


@pytest.fixture
def boss(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


@pytest.mark.parametrize("way", ["pull now", "add"])
def test_on_the_screens_a_hand_over_that_fails_is_a_message(
    boss: Client, cloud_tasks: google.CloudTasks, environments: Environments, way: str
) -> None:
    cloud_tasks.refusals = [grpc.StatusCode.PERMISSION_DENIED]
    if way == "add":
        given = {"source": environments.source.pk, "find_renames": "on"}
        answer = boss.post(reverse("admin:data_sync_datapull_add"), given, follow=True)
    else:
        url = reverse("admin:data_sync_datasource_pull", args=[environments.source.pk])
        answer = boss.post(url, follow=True)
    row = DataPull.objects.get()
    assert answer.redirect_chain[-1][0] == reverse("admin:data_sync_datapull_change", args=[row.pk])
    assert "could not be handed to the queue" in answer.content.decode()
    assert row.state == PullState.QUEUED


def test_a_command_does_its_work_itself_whatever_queue_there_is(
    cloud_tasks: google.CloudTasks, asked: Changeset, environments: Environments
) -> None:
    call_command("data_sync", "apply", str(asked.pk), verbosity=0)
    assert state(asked) == ChangesetState.APPLIED
    call_command("data_sync", "pull", "Staging")
    assert DataPull.objects.latest("pk").state == PullState.DONE
    assert cloud_tasks.calls == []


def test_what_was_cancelled_meanwhile_is_not_handed_over(cloud_tasks: google.CloudTasks, queued: DataPull) -> None:
    with transaction.atomic():
        tasks.submit("pull", queued.pk)
        DataPull.objects.update(state="cancelled", active_source=None)
    assert cloud_tasks.calls == []


# Sweeping


def test_two_sweeps_at_once_hand_over_once(
    cloud_tasks: google.CloudTasks, asked: Changeset, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud_tasks.queues[QUEUE] = object()
    long_ago()
    both = threading.Barrier(2, timeout=20)
    due = tasks.due.due

    def seen_by_both(limit: int) -> list[Any]:
        found = due(limit)
        both.wait()
        return found

    monkeypatch.setattr(tasks.due, "due", seen_by_both)

    def sweep(_: int) -> list[tasks.Swept]:
        try:
            return tasks.sweep()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        deliveries = [swept.delivery for found in pool.map(sweep, range(2)) for swept in found]
    assert sorted(deliveries) == [Delivery.HANDED_OVER, Delivery.TAKEN]
    assert names(cloud_tasks) == [f"apply-{asked.pk}-1"]


def test_what_another_sweep_took_is_told(
    cloud_tasks: google.CloudTasks, asked: Changeset, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago()
    found = tasks.due.due(10)
    tasks.due.take(*found[0])
    monkeypatch.setattr(tasks.due, "due", lambda limit: found)
    assert [swept.delivery for swept in tasks.sweep()] == [Delivery.TAKEN]
    assert cloud_tasks.calls == []


def test_without_a_queue_a_sweep_does_the_work_itself(asked: Changeset) -> None:
    long_ago()
    assert [swept.delivery for swept in tasks.sweep()] == [Delivery.DONE]
    assert state(asked) == ChangesetState.APPLIED
    assert tasks.sweep() == []


@pytest.fixture
def three(environments: Environments) -> list[DataPull]:
    """Three pulls of three sources, all lost."""
    rows = []
    for number in range(3):
        source = environments.source
        source.pk, source.name = None, f"Source {number}"
        source.save()
        rows.append(pull.request_pull(source, [], environments.actor))
    long_ago()
    return rows


def test_what_fails_in_a_sweep_holds_up_no_other(three: list[DataPull], monkeypatch: pytest.MonkeyPatch) -> None:
    run_pull = tasks.run_pull

    def run(pk: int, **options: Any) -> DataPull:
        if pk == three[0].pk:
            raise ZeroDivisionError("it broke")
        return run_pull(pk, **options)

    monkeypatch.setattr(tasks, "run_pull", run)
    swept = tasks.sweep()
    assert [(row.pk, row.delivery, row.reason.partition(";")[0]) for row in swept] == [
        (three[0].pk, Delivery.FAILED, "Unexpected ZeroDivisionError"),
        (three[1].pk, Delivery.DONE, ""),
        (three[2].pk, Delivery.DONE, ""),
    ]


def test_the_first_hand_over_that_fails_ends_a_sweep(cloud_tasks: google.CloudTasks, three: list[DataPull]) -> None:
    cloud_tasks.queues[QUEUE] = object()
    cloud_tasks.refusals = [grpc.StatusCode.PERMISSION_DENIED]
    [swept] = tasks.sweep()
    assert (swept.pk, swept.delivery) == (three[0].pk, Delivery.FAILED)
    assert "could not be handed to the queue" in swept.reason
    assert len(tasks.sweep()) == 3, "what was not taken is due again at once, as what was not tried is"


def test_a_sweep_is_bounded(cloud_tasks: google.CloudTasks, three: list[DataPull]) -> None:
    assert len(tasks.sweep(limit=2)) == 2


def test_a_task_hands_over_what_was_lost_and_does_none_of_it(
    cloud_tasks: google.CloudTasks, three: list[DataPull]
) -> None:
    tasks.deliver("pull", three[1].pk)
    assert [state(row) for row in three] == [PullState.QUEUED, PullState.DONE, PullState.QUEUED]
    assert names(cloud_tasks) == [f"pull-{three[0].pk}-1", f"pull-{three[2].pk}-1"]


def test_a_task_sweeps_a_little_only(
    cloud_tasks: google.CloudTasks, three: list[DataPull], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "SWEPT_BY_A_TASK", 1)
    tasks.deliver("pull", three[0].pk)
    assert names(cloud_tasks) == [f"pull-{three[1].pk}-1"]


@pytest.mark.parametrize("backend", ["", IMMEDIATE])
def test_a_task_never_does_the_backlog(with_tasks: WithTasks, three: list[DataPull], backend: str) -> None:
    if backend:
        with_tasks(backend)
    tasks.deliver("pull", three[1].pk)
    assert [state(row) for row in three] == [PullState.QUEUED, PullState.DONE, PullState.QUEUED]


@pytest.mark.parametrize("fault", ["queue", "database"])
def test_a_sweep_that_fails_is_no_failure_of_the_task(
    cloud_tasks: google.CloudTasks,
    three: list[DataPull],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    def fail(limit: int) -> None:
        raise OperationalError("database is locked")

    cloud_tasks.refusals = [grpc.StatusCode.PERMISSION_DENIED] * 9
    if fault == "database":
        monkeypatch.setattr(tasks.due, "due", fail)
    tasks.deliver("pull", three[1].pk)
    assert state(three[1]) == PullState.DONE
    assert cloud_tasks.calls == ([] if fault == "database" else ["CreateTask"])
    assert [record for record in caplog.records if record.levelno == logging.ERROR]


def test_asking_for_work_sweeps_nothing(cloud_tasks: google.CloudTasks, three: list[DataPull]) -> None:
    tasks.submit("pull", three[0].pk)
    assert names(cloud_tasks) == [f"pull-{three[0].pk}-1"]


@pytest.fixture(autouse=True)
def committed(transactional_db: None) -> Iterator[None]:
    """`on_commit` is real: no test of this file is within a transaction."""
    assert not connection.in_atomic_block
    yield
