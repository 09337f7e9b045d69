"""A source goes on being written to while it is pulled from: what is compared is one moment of it all the same."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connections, transaction

from data_sync.models import Change
from data_sync.services import pulling
from tests.environments import Environments
from tests.testapp.models import Tag, Term

NAMES = [f"name {number:03}" for number in range(300)]
SOME = 30
PULLS = 4


class Mover(threading.Thread):
    """Moves names between two models of the source, some in each transaction."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.moves = 0
        self.is_wanted = True
        self._moved = threading.Condition()

    def run(self) -> None:
        tags, terms = Tag.objects.using("source"), Term.objects.using("source")
        try:
            for to_terms in itertools.cycle((True, False)):
                for start in range(0, len(NAMES), SOME):
                    if not self.is_wanted:
                        return
                    names = NAMES[start : start + SOME]
                    with transaction.atomic(using="source"):
                        if to_terms:
                            terms.bulk_create(Term(word=name) for name in names)
                            tags.filter(name__in=names).delete()
                        else:
                            terms.filter(word__in=names).delete()
                            tags.bulk_create(Tag(name=name) for name in names)
                    with self._moved:
                        self.moves += 1
                        self._moved.notify_all()
        finally:
            connections.close_all()

    def wait_for_another_move(self) -> None:
        with self._moved:
            before = self.moves
            assert self._moved.wait_for(lambda: self.moves > before, timeout=60), "the writer has stopped"


@contextmanager
def moving() -> Iterator[Mover]:
    mover = Mover()
    mover.start()
    try:
        yield mover
    finally:
        mover.is_wanted = False
        mover.join(60)
        assert not mover.is_alive()


@pytest.mark.parametrize("small", [pulling.SMALL, -1], ids=["whole", "listed"])
def test_a_name_that_moves_between_models_is_in_one_of_them(
    environments: Environments, monkeypatch: pytest.MonkeyPatch, small: int
) -> None:
    monkeypatch.setattr(pulling, "SMALL", small)
    Tag.objects.using("source").bulk_create(Tag(name=name) for name in NAMES)
    splits = []
    with moving() as mover:
        for _ in range(PULLS):
            mover.wait_for_another_move()
            changeset = environments.changeset("testapp.tag", "testapp.term")
            found = Change.objects.filter(changeset=changeset).values_list("key_text", "model")
            assert sorted(name for name, _ in found) == NAMES
            splits.append(Counter(model for _, model in found))
        mover.wait_for_another_move()
    assert all(count % SOME == 0 for split in splits for count in split.values()), splits
