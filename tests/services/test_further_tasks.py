"""Pulls that take longer than one task may: a further one goes on where the last one stood."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from data_sync import tasks
from data_sync.core import source as core_source
from data_sync.core.errors import InvalidTransition
from data_sync.core.source import Handle, Request
from data_sync.core.states import PullState
from data_sync.models import Changeset, DataPull, KeptAnswer
from data_sync.orm.read import LocalSource
from data_sync.orm.schema import ModelSchema
from data_sync.services import due, pull, pulling, reading
from data_sync.services.kept import KeptSource
from data_sync.services.leases import Lease
from data_sync.sources.http import HttpSource
from tests import leasing
from tests.environments import Environments
from tests.testapp.models import Country, Document, Product

MODELS = ("testapp.country", "testapp.product", "testapp.document")
NO_TIME = 1e-9
"""Seconds of a task, which are over when it begins."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the source is asked for, over HTTP."""
    asked: list[str] = []

    def told(name: str) -> None:
        real = getattr(HttpSource, name)

        def tell(self: HttpSource, *arguments: Any) -> Any:
            asked.append(name)
            return real(self, *arguments)

        monkeypatch.setattr(HttpSource, name, tell)

    for name in ("stream", "digests", "records", "open_file"):
        told(name)
    return asked


@pytest.fixture
def batches_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_source, "MAX_HANDLES", 3)
    monkeypatch.setattr(pulling, "SMALL", -1)
    monkeypatch.setattr(reading, "WIDE", 1000)


@pytest.fixture
def queued(environments: Environments, batches_of_three: None) -> DataPull:
    for number in range(10):
        environments.add(Country, code=f"{number:02}", only="source")
        environments.add(Product, sku=f"sku-{number}", name=("new", "old"))
    for number in range(3):
        attachment = environments.put(f"documents/{number}.txt", b"text %d" % number, only="source")
        environments.add(Document, name=f"d{number}", attachment=attachment, only="source")
    return pull.request_pull(environments.source, MODELS, environments.actor)


def turns(queued: DataPull, seconds: float = NO_TIME) -> Iterator[DataPull]:
    """Task after task, until one of them has come to the end."""
    while PullState(DataPull.objects.get(pk=queued.pk).state).is_active:
        yield pull.run_pull(queued.pk, seconds=seconds)


def test_each_task_asks_for_what_is_missing_and_together_they_find_what_one_would(
    environments: Environments, queued: DataPull, asked: list[str]
) -> None:
    per_turn = []
    for turn in turns(queued):
        per_turn.append(list(asked))
        asked.clear()
        if turn.state == PullState.QUEUED:
            assert not Changeset.objects.exists() and turn.active_source == environments.source.pk
    assert len(per_turn) > 8, "one for the listing, one a batch and a file"
    assert [name for turn in per_turn for name in turn].count("digests") == 1
    assert max(len(turn) for turn in per_turn) <= 2
    done = DataPull.objects.get(pk=queued.pk)
    assert (done.state, done.files_fetched, done.losses) == (PullState.DONE, 3, 0)
    assert not KeptAnswer.objects.exists()

    seal = Changeset.objects.get(pull=done).content_seal
    assert environments.changeset().content_seal == seal
    environments.sync()
    environments.assert_equal()


def test_with_time_enough_one_task_does_it_all(queued: DataPull) -> None:
    assert [turn.state for turn in turns(queued, 600)] == [PullState.DONE]
    assert not KeptAnswer.objects.exists()


def test_without_a_limit_nothing_is_kept(queued: DataPull, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulling, "KeptSource", None)
    assert pull.run_pull(queued.pk).state == PullState.DONE


def test_a_row_that_moves_on_between_tasks_is_read_anew(environments: Environments, queued: DataPull) -> None:
    """The kept listing is of a moment that is over: the source is listed again, and so all is of one moment."""
    running = turns(queued)
    next(running)
    Country.objects.using("source").filter(code="05").update(code="55")
    Product.objects.using("source").filter(sku="sku-7").update(name="newer")
    for _ in running:
        pass
    done = DataPull.objects.get(pk=queued.pk)
    assert done.state == PullState.DONE, done.error
    environments.sync()
    environments.assert_equal()


def test_rows_that_are_edited_here_between_tasks_are_listed_anew(environments: Environments, queued: DataPull) -> None:
    running = turns(queued)
    next(running)
    Product.objects.filter(sku="sku-3").update(name="new")
    for _ in running:
        pass
    changeset = Changeset.objects.get(pull=queued)
    assert "sku-3" not in {key for (key,) in changeset.changes.values_list("key", flat=True)}


def test_a_source_that_is_edited_all_the_time_is_soon_read_as_a_whole(
    environments: Environments, queued: DataPull, asked: list[str]
) -> None:
    for number, _ in enumerate(turns(queued)):
        assert number < 80
        Product.objects.using("source").filter(sku="sku-1").update(name=f"edited {number}")
    assert asked.count("digests") == 2, "as often as in one task"
    assert DataPull.objects.get(pk=queued.pk).state == PullState.DONE


def test_edits_here_make_few_records_asked_for_again(
    environments: Environments, queued: DataPull, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_source, "MAX_HANDLES", 16)
    for number in range(100):
        environments.add(Country, code=chr(0x5000 + number), only="source")
    same = [environments.add(Country, code=chr(0x4E00 + number)) for number in range(5)]
    handles: list[Handle] = []
    real = HttpSource.records

    def tell(self: HttpSource, request: Request, some: Sequence[Handle]) -> Any:
        handles.extend(some)
        return real(self, request, some)

    monkeypatch.setattr(HttpSource, "records", tell)
    for _ in turns(queued):
        if same:
            same.pop()[1].delete()
    assert DataPull.objects.get(pk=queued.pk).state == PullState.DONE
    assert not same and len(handles) < 2 * len(set(handles))


def test_an_edit_here_leaves_the_sources_listing_as_it_is(
    queued: DataPull, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This side is listed again within a task, and the differences are asked for again; the source has not moved."""
    real, edited = LocalSource.records, []

    def edit(self: LocalSource, request: Request, handles: Sequence[Handle]) -> Any:
        if not edited:
            edited.append(Product.objects.filter(sku="sku-2").update(name="edited here"))
        return real(self, request, handles)

    monkeypatch.setattr(LocalSource, "records", edit)
    for _ in turns(queued):
        pass
    done = DataPull.objects.get(pk=queued.pk)
    assert (done.state, done.relisted) == (PullState.DONE, 0)
    assert edited and asked.count("digests") == 1


def test_what_was_read_before_a_release_is_read_anew(
    queued: DataPull, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = turns(queued)
    next(running)
    shape = ModelSchema.shape
    monkeypatch.setattr(ModelSchema, "shape", lambda self: shape(self) + "x")
    for _ in running:
        pass
    assert asked.count("digests") == 2
    assert DataPull.objects.get(pk=queued.pk).state == PullState.DONE


def test_files_that_are_staged_are_not_looked_for_in_each_task(
    queued: DataPull, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    is_staged = pulling.is_staged
    monkeypatch.setattr(pulling, "is_staged", lambda file: looked.append(file.checksum) or is_staged(file))
    for _ in turns(queued):
        pass
    assert len(looked) == len(set(looked)) == 3


@pytest.mark.parametrize(("most", "state"), [(18, PullState.DONE), (17, PullState.FAILED)])
def test_the_bytes_of_files_are_bounded_over_all_tasks(
    queued: DataPull, settings: Any, most: int, state: PullState
) -> None:
    """Three files of 6 bytes, one in each task; and one task is killed, which tells nobody what it has fetched."""
    settings.DATA_SYNC_MAX_FILES_BYTES = most
    running = turns(queued)
    while not DataPull.objects.get(pk=queued.pk).files_fetched:
        next(running)

    def stop(*_: Any, **__: Any) -> None:
        raise SystemExit(1)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(pulling.TimeIsUp, "__init__", stop)
        next(running)
    for _ in turns(queued):
        pass
    done = DataPull.objects.get(pk=queued.pk)
    assert done.state == state
    assert ("DATA_SYNC_MAX_FILES_BYTES" in done.error) == (state == PullState.FAILED)


def test_a_worker_that_was_only_paused_adds_nothing_to_what_is_kept(
    queued: DataPull, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its successor has kept the same answers by then."""
    monkeypatch.setattr(Lease, "_beat", lambda self: None)
    settle, calls = KeptSource.settle, []

    def pause(self: KeptSource) -> None:
        calls.append(1)
        if len(calls) == 1:
            leasing.expire()
            pull.run_pull(queued.pk, seconds=NO_TIME)
        settle(self)

    monkeypatch.setattr(KeptSource, "settle", pause)
    assert pull.run_pull(queued.pk, seconds=NO_TIME).state == PullState.QUEUED
    for _ in turns(queued):
        pass
    assert DataPull.objects.get(pk=queued.pk).state == PullState.DONE


def test_between_two_tasks_a_pull_is_not_abandoned(environments: Environments, queued: DataPull) -> None:
    DataPull.objects.update(created_at=timezone.now() - timedelta(hours=1), submissions=9)
    waiting = next(turns(queued))
    assert (waiting.state, waiting.submissions, due.due(9)) == (PullState.QUEUED, 1, [])
    with pytest.raises(InvalidTransition, match=f"Pull {queued.pk} of Staging is queued"):
        pull.request_pull(environments.source, [], environments.actor)
    DataPull.objects.update(submitted_at=timezone.now() - timedelta(minutes=6))
    assert due.due(9) == [("pull", queued.pk)]


@pytest.mark.parametrize("how", ["given up", "swept"])
def test_what_was_kept_for_a_pull_that_is_over_is_forgotten(
    environments: Environments, queued: DataPull, how: str
) -> None:
    next(turns(queued))
    if how == "given up":
        DataPull.objects.update(submitted_at=timezone.now() - timedelta(hours=2))
        pull.request_pull(environments.source, [], environments.actor)
    else:
        DataPull.objects.update(state="failed", active_source=None)
        assert KeptAnswer.objects.exists()
        tasks.sweep()
    assert not KeptAnswer.objects.exists()


def test_a_task_that_is_killed_leaves_what_was_kept(queued: DataPull, asked: list[str]) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise SystemExit(1)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(pulling, "prepare", stop)
        pull.run_pull(queued.pk, seconds=600)
    kept = asked.count("records")
    asked.clear()
    assert pull.run_pull(queued.pk, seconds=600).state == PullState.DONE
    assert kept > 2 and asked == []


def test_an_answer_that_was_cut_is_not_kept(queued: DataPull, monkeypatch: pytest.MonkeyPatch) -> None:
    real = HttpSource.records

    @contextmanager
    def cut(self: HttpSource, request: Request, handles: Sequence[Handle]) -> Iterator[Iterator[bytes]]:
        with real(self, request, handles) as blocks:
            yield iter([b"".join(blocks)[:-20]])

    monkeypatch.setattr(HttpSource, "records", cut)
    states = [turn.state for turn in turns(queued)]
    assert states[-1] == PullState.FAILED and not KeptAnswer.objects.exists()


def test_a_pull_that_is_cancelled_between_tasks_forgets_what_was_kept(
    environments: Environments, queued: DataPull
) -> None:
    next(turns(queued))
    assert KeptAnswer.objects.exists()
    pull.cancel_pull(queued.pk, environments.actor)
    assert not KeptAnswer.objects.exists()


def test_what_is_kept_comes_in_pieces_that_any_database_takes(
    environments: Environments, queued: DataPull, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_sync.services.kept.PIECE", 50)
    next(turns(queued))
    assert KeptAnswer.objects.count() > 5
    for _ in turns(queued):
        pass
    environments.sync()
    environments.assert_equal()
