"""Who may work at a pull or an apply, and until when."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from data_sync.core.errors import Busy, InvalidTransition, LeaseLost
from data_sync.core.states import ChangesetState, PullState
from data_sync.models import ApplyHeartbeat, Changeset, DataPull, PullHeartbeat
from data_sync.services import apply, approval, leases, pull, pulling
from data_sync.services.leases import Lease
from data_sync.services.progress import Progress, progress
from tests import leasing
from tests.environments import Environments
from tests.testapp.models import Country


@pytest.fixture(autouse=True)
def quick_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.02)


def eventually(holds: Callable[[], bool]) -> None:
    """Waits until it holds, for as long as a slow machine may take."""
    last = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < last, "it never came to hold"


@pytest.fixture
def queued(environments: Environments) -> DataPull:
    environments.add(Country, code="FR", only="source")
    return pull.request_pull(environments.source, [], environments.actor)


@pytest.fixture
def claimed(queued: DataPull) -> DataPull:
    """A pull that some worker has claimed and not gone on with."""
    pull._claim(queued.pk)
    queued.refresh_from_db()
    return queued


@pytest.fixture
def held(claimed: DataPull) -> Iterator[Lease]:
    with Lease(claimed, claimed.token, PullHeartbeat, "The pull") as lease:
        yield lease


# Heartbeats


def test_a_worker_renews_its_lease_and_tells_how_far_it_is(claimed: DataPull, held: Lease) -> None:
    leasing.expire()
    held.begin_phase("rows", 8)
    held.advance(3)
    held.advance(2)
    eventually(lambda: progress(DataPull.objects.get()) == Progress(phase="rows", done=5, total=8))
    assert not pull.is_abandoned(claimed)


def test_progress_is_seen_while_the_transaction_is_open(claimed: DataPull, held: Lease) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("while SQLite is written to, nobody else can write")
    with transaction.atomic():
        DataPull.objects.update(compared=7)
        held.begin_phase("changes", 10)
        eventually(lambda: progress(DataPull.objects.get()).phase == "changes")


def test_on_sqlite_no_heartbeat_waits_for_the_writer(held: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("others have locks by row")
    beats: list[int] = []
    with held.quiet():
        monkeypatch.setattr(Lease, "_beat", lambda self: beats.append(1))
        held._thread.join(0.2)
        assert not beats
    eventually(lambda: bool(beats))


@pytest.mark.parametrize("how", ["cancelled", "taken over"])
def test_a_worker_hears_that_its_work_is_no_longer_its_own(
    environments: Environments, claimed: DataPull, held: Lease, how: str
) -> None:
    if how == "cancelled":
        pull.cancel_pull(claimed.pk, environments.actor)
    else:
        DataPull.objects.update(token="another's")

    def is_lost() -> bool:
        try:
            held.note(1)
        except LeaseLost:
            return True
        return False

    eventually(is_lost)


def test_a_heartbeat_that_fails_is_no_end(
    claimed: DataPull, monkeypatch: pytest.MonkeyPatch, environments: Environments
) -> None:
    from django.db import OperationalError

    beat, calls = Lease._beat, []

    def fail_at_first(self: Lease) -> None:
        calls.append(1)
        if len(calls) < 3:
            raise OperationalError("database is locked")
        beat(self)

    monkeypatch.setattr(Lease, "_beat", fail_at_first)
    with Lease(claimed, claimed.token, PullHeartbeat, "The pull") as lease:
        lease.begin_phase("files")
        eventually(lambda: progress(DataPull.objects.get()).phase == "files")


# Taking over


def test_a_pull_is_held_until_its_lease_ends_and_then_taken_over(claimed: DataPull) -> None:
    with pytest.raises(Busy, match="being worked at by another worker") as told:
        pull.run_pull(claimed.pk)
    assert 60 < told.value.seconds <= 120
    leasing.expire()
    done = pull.run_pull(claimed.pk)
    assert (done.state, done.attempt, done.changeset.creates) == (PullState.DONE, 2, 1)


def test_a_worker_that_was_only_paused_stores_nothing(queued: DataPull, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one has finished by the time that it goes on."""
    monkeypatch.setattr(Lease, "_beat", lambda self: None)
    calls: list[int] = []
    real = pulling.prepare

    def prepare(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            leasing.expire()
            assert pull.run_pull(queued.pk).state == PullState.DONE
        return real(*arguments, **options)

    monkeypatch.setattr(pulling, "prepare", prepare)
    done = pull.run_pull(queued.pk)
    assert done.state == PullState.DONE, done.error
    assert len(calls) == 2 and Changeset.objects.count() == 1
    assert DataPull.objects.get().attempt == 2


def test_a_cancelled_pull_ends_at_once_and_stays_cancelled(
    environments: Environments, queued: DataPull, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pulling.prepare

    def cancel_meanwhile(*arguments: Any, **options: Any) -> Any:
        pull.cancel_pull(queued.pk, environments.actor)
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(pulling, "prepare", cancel_meanwhile)
        assert pull.run_pull(queued.pk).state == PullState.CANCELLED
    assert not Changeset.objects.exists()
    assert environments.pull().state == PullState.DONE


@pytest.mark.parametrize("kind", ["pull", "apply"])
def test_what_loses_every_worker_is_given_up(environments: Environments, queued: DataPull, kind: str) -> None:
    if kind == "apply":
        pull.run_pull(queued.pk)
        changeset = environments.approved()
        apply.request_apply(changeset.pk, environments.actor)
    for _ in range(leases.MAX_LOSSES + 1):
        pull._claim(queued.pk) if kind == "pull" else apply._claim(changeset.pk)
        leasing.expire()
    if kind == "pull":
        done = pull.run_pull(queued.pk)
        assert done.state == PullState.FAILED and "lost 4 times in succession" in done.error
    else:
        with environments.untouched():
            ended = apply.run_apply(changeset.pk)
        assert ended.state == ChangesetState.FAILED and "lost 4 times in succession" in ended.state_reason
        again = environments.apply(environments.approve(ended))
        assert again.state == ChangesetState.APPLIED, "approved again, it has as many tries again"


@pytest.mark.parametrize("kind", ["pull", "apply"])
def test_a_process_that_is_told_to_stop_gives_its_lease_back(
    environments: Environments, queued: DataPull, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """As gunicorn and others do: by SystemExit."""

    def stop(*_: Any, **__: Any) -> None:
        raise SystemExit(1)

    if kind == "apply":
        pull.run_pull(queued.pk)
        changeset = environments.approved()
        apply.request_apply(changeset.pk, environments.actor)
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        if kind == "pull":
            patch.setattr(pulling, "prepare", stop)
            pull.run_pull(queued.pk)
        else:
            patch.setattr(apply, "write_rows", stop)
            apply.run_apply(changeset.pk)
    if kind == "pull":
        assert pull.run_pull(queued.pk).state == PullState.DONE
    else:
        assert apply.run_apply(changeset.pk).state == ChangesetState.APPLIED


def test_a_transaction_that_does_not_stir_is_not_waited_for(environments: Environments, queued: DataPull) -> None:
    """A worker that was paused in the middle of its transaction holds the row for longer than its lease."""
    if not connection.features.has_select_for_update_skip_locked:
        pytest.skip("this database cannot skip what is locked")
    pull.run_pull(queued.pk)
    changeset = environments.approved()
    apply.request_apply(changeset.pk, environments.actor)
    apply._claim(changeset.pk)
    leasing.expire()
    with leasing.held_open(), pytest.raises(Busy, match="held by a transaction of its worker"):
        apply.run_apply(changeset.pk)
    assert apply.run_apply(changeset.pk).state == ChangesetState.APPLIED


@pytest.mark.parametrize("what", ["claim", "cancel", "ask for another", "apply again", "withdraw"])
def test_nobody_waits_for_a_transaction_that_does_not_stir(
    environments: Environments, queued: DataPull, what: str
) -> None:
    if not connection.features.has_select_for_update_skip_locked:
        pytest.skip("this database cannot skip what is locked")
    if what in ("apply again", "withdraw"):
        pull.run_pull(queued.pk)
        changeset = environments.approved()
        apply.request_apply(changeset.pk, environments.actor)
        apply._claim(changeset.pk)
    else:
        pull._claim(queued.pk)
    leasing.expire()
    with leasing.held_open(), pytest.raises(Busy, match="held by a transaction of its worker"):
        match what:
            case "claim":
                pull.run_pull(queued.pk)
            case "cancel":
                pull.cancel_pull(queued.pk, environments.actor)
            case "ask for another":
                pull.request_pull(environments.source, [], environments.actor)
            case "apply again":
                apply.request_apply(changeset.pk, environments.actor)
            case "withdraw":
                approval.withdraw(changeset.pk, environments.actor)


@pytest.mark.parametrize("kind", ["pull", "apply"])
def test_a_worker_that_was_paused_right_after_its_claim_leaves_the_work_to_its_successor(
    environments: Environments, queued: DataPull, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    module, model, pk = pull, DataPull, queued.pk
    if kind == "apply":
        pull.run_pull(queued.pk)
        changeset = environments.approved()
        apply.request_apply(changeset.pk, environments.actor)
        module, model, pk = apply, Changeset, changeset.pk
    claim = module._claim

    def pause(pk: int) -> str | None:
        token = claim(pk)
        model.objects.filter(pk=pk).update(token="the successor's")
        return token

    monkeypatch.setattr(module, "_claim", pause)
    with environments.untouched(), pytest.raises(LeaseLost):
        module.run_pull(pk) if kind == "pull" else module.run_apply(pk)
    assert model.objects.get(pk=pk).token == "the successor's"


def test_who_is_told_to_stop_does_not_end_the_lease_of_its_successor(claimed: DataPull) -> None:
    DataPull.objects.update(token="the successor's")
    leases.end(PullHeartbeat, claimed.pk, claimed.token)
    assert not pull.is_abandoned(claimed)


@pytest.mark.parametrize("how", ["withdrawn", "rejected", "superseded"])
def test_an_apply_that_lost_its_worker_can_be_called_off(
    environments: Environments, queued: DataPull, how: str
) -> None:
    pull.run_pull(queued.pk)
    changeset = environments.approved()
    apply.request_apply(changeset.pk, environments.actor)
    apply._claim(changeset.pk)
    with pytest.raises(InvalidTransition, match="is applying"):
        approval.withdraw(changeset.pk, environments.actor)
    leasing.expire()
    match how:
        case "withdrawn":
            approval.withdraw(changeset.pk, environments.actor)
        case "rejected":
            approval.reject(changeset.pk, environments.actor)
        case "superseded":
            environments.pull()
    changeset.refresh_from_db()
    assert changeset.state == {"withdrawn": "pending"}.get(how, how)
    with environments.untouched(), pytest.raises(InvalidTransition):
        apply.run_apply(changeset.pk)


# Asking for another pull


@pytest.mark.parametrize("how", ["never started", "lost its worker"])
def test_an_abandoned_pull_stands_in_nobodys_way(environments: Environments, queued: DataPull, how: str) -> None:
    with pytest.raises(InvalidTransition, match=f"Pull {queued.pk} of Staging is queued"):
        pull.request_pull(environments.source, [], environments.actor)
    if how == "lost its worker":
        pull._claim(queued.pk)
        with pytest.raises(InvalidTransition, match=f"Pull {queued.pk} of Staging is reading"):
            pull.request_pull(environments.source, [], environments.actor)
        leasing.expire()
    else:
        from datetime import timedelta

        from django.utils import timezone

        DataPull.objects.update(created_at=timezone.now() - timedelta(minutes=2))
    again = pull.request_pull(environments.source, [], environments.actor)
    queued.refresh_from_db()
    assert queued.state == PullState.FAILED and "Nobody was at it any more" in queued.error
    assert pull.run_pull(again.pk).state == PullState.DONE


def test_heartbeats_go_with_what_they_are_of(claimed: DataPull) -> None:
    assert PullHeartbeat.objects.count() == 1 and not ApplyHeartbeat.objects.exists()
    claimed.delete()
    assert not PullHeartbeat.objects.exists()
