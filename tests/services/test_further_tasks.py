"""Pulls that take longer than one task may: a further one goes on where the last one stood."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from data_sync.core import source as core_source
from data_sync.core.source import Handle, Request
from data_sync.core.states import PullState
from data_sync.models import Changeset, DataPull, KeptAnswer
from data_sync.services import pull, pulling, reading
from data_sync.sources.http import HttpSource
from tests.environments import Environments
from tests.testapp.models import Country, Document, Product

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
    return pull.request_pull(environments.source, [], environments.actor)


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


def test_a_task_that_brings_nothing_is_not_followed_by_others_for_ever(
    queued: DataPull, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left when all is kept and staged is compared and stored, however long that takes."""
    tasks = list(turns(queued))
    assert tasks[-1].state == PullState.DONE and len(tasks) < 25


def test_a_task_that_is_killed_leaves_what_was_kept(queued: DataPull, asked: list[str]) -> None:
    def stop(*_: Any) -> None:
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
