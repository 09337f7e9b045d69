"""What is compared is one moment of either side, whatever happens there in between."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import Event
from typing import Any, cast

import pytest

from data_sync.core import digests
from data_sync.core.errors import DuplicateKey
from data_sync.core.listing import key_hash
from data_sync.core.manifest import Manifest
from data_sync.core.records import Record
from data_sync.core.source import Handle, Request
from data_sync.core.wire import write_stream
from data_sync.orm.read import LocalSource
from data_sync.orm.resolution import schemas
from data_sync.services.agreement import Agreement
from data_sync.services.baselines import Baselines
from data_sync.services.both_sides import BothSides
from data_sync.services.comparison import Comparison

CATEGORY, TAG = "testapp.category", "testapp.tag"
Rows = dict[int, Record]


class Alone:
    """Nobody follows the reading."""

    relisted = 0

    def note(self, rows: int) -> None:
        pass

    def check(self) -> None:
        pass

    def list_again(self) -> None:
        pass


class Memory:
    """A source in memory: records by label and handle. `then` is called before they are given, and may alter them."""

    def __init__(self, rows: dict[str, Rows], then: Callable[[Memory], None] = lambda source: None) -> None:
        self.rows = rows
        self.then = then
        self.asked: list[str] = []

    def manifest(self) -> Manifest:
        raise NotImplementedError

    @contextmanager
    def stream(self, request: Request) -> Iterator[Iterator[bytes]]:
        self.asked.append("stream")
        yield write_stream(
            request.models,
            [(label, [self._line(pk, row) for pk, row in self.rows[label].items()]) for label in request.models],
        )

    @contextmanager
    def digests(self, request: Request) -> Iterator[Iterator[bytes]]:
        self.asked.append("digests")
        listed = [
            (
                label,
                [
                    [
                        (key_hash(row.key_text.encode()), hashlib.sha256(row.canonical().encode()).digest()[:16], pk)
                        for pk, row in self.rows[label].items()
                    ]
                ],
            )
            for label in request.models
        ]
        yield digests.write_digests(request.models, dict.fromkeys(request.models, digests.INTEGER), cast(Any, listed))

    @contextmanager
    def records(self, request: Request, handles: Sequence[Handle]) -> Iterator[Iterator[bytes]]:
        self.asked.append("records")
        self.then(self)
        (label,) = request.models
        found = self.rows[label]
        yield write_stream([label], [(label, [self._line(int(pk), found[int(pk)]) for pk in handles if pk in found])])

    def outside(self, label: str, key_texts: Collection[str]) -> set[str]:
        return set()

    @contextmanager
    def open_file(self, checksum: str) -> Iterator[Iterator[bytes]]:
        raise NotImplementedError
        yield

    def _line(self, pk: int, row: Record) -> str:
        return Record(model=row.model, key=row.key, fields=row.fields, carried={"pk": pk}).line()


class Away(Memory):
    """The same from elsewhere: nothing is carried."""

    def _line(self, pk: int, row: Record) -> str:
        return row.line()


def rows(label: str, **values: str) -> Rows:
    return {
        number: Record(
            model=label,
            key=(key,),
            fields={"name": key} if label == TAG else {"slug": key, "parent": None, "title": value},
        )
        for number, (key, value) in enumerate(values.items(), start=1)
    }


def compare(here: Memory, there: Memory, whole: tuple[bool, bool] = (False, False)) -> list[tuple[str, str, Any, Any]]:
    chosen = {label: schemas()[label] for label in (CATEGORY, TAG) if label in here.rows}
    request = Request(models=tuple(chosen))
    agreement = Agreement(schemas=chosen, here=request, there=request, scoped=frozenset(), differences=[])
    with ExitStack() as stack:
        both = BothSides(cast(LocalSource, here), there, agreement, whole, stack, lambda: Baselines(None, {}))
        both.find(Alone())
        return list(_described(both.comparison(None)))


def _described(comparison: Comparison) -> Iterator[tuple[str, str, Any, Any]]:
    for batch in comparison.entries():
        for sides in comparison.sides(batch):
            before = sides.before and sides.before.fields.get("title")
            after = sides.after and sides.after.fields.get("title")
            yield sides.entry.operation.value, str(sides.record.key[0]), before, after


@pytest.fixture
def here() -> Memory:
    return Memory({CATEGORY: rows(CATEGORY, same="x", changed="x", gone="x"), TAG: {}})


@pytest.mark.parametrize("whole", [(False, False), (True, False), (False, True), (True, True)])
def test_both_ways_of_reading_find_the_same(here: Memory, whole: tuple[bool, bool]) -> None:
    there = Away({CATEGORY: rows(CATEGORY, new="x", same="x", changed="y"), TAG: {}})
    assert compare(here, there, whole) == [
        ("update", "changed", "x", "y"),
        ("create", "new", None, "x"),
        ("delete", "gone", "x", None),
    ]


def test_where_nothing_differs_only_digests_are_asked_for(here: Memory) -> None:
    there = Away({CATEGORY: here.rows[CATEGORY], TAG: {}})
    assert compare(here, there) == []
    assert (here.asked, there.asked) == (["digests"], ["digests"])


def test_a_row_that_moves_on_at_the_source_is_listed_again(here: Memory) -> None:
    def write(source: Memory) -> None:
        if source.asked.count("digests") == 1:
            source.rows[CATEGORY] = rows(CATEGORY, same="x", changed="z", gone="x")

    there = Away({CATEGORY: rows(CATEGORY, same="x", changed="y", gone="x"), TAG: {}}, write)
    assert compare(here, there) == [("update", "changed", "x", "z")]
    assert there.asked == ["digests", "records", "digests", "records"]
    assert here.asked.count("digests") == 1


def test_a_source_that_never_rests_is_read_as_a_whole_after_two_rounds(here: Memory) -> None:
    def write(source: Memory) -> None:
        number = len(source.asked)
        source.rows[CATEGORY] = rows(CATEGORY, same="x", changed=f"y{number}", gone="x")

    there = Away({CATEGORY: rows(CATEGORY, same="x", changed="y", gone="x"), TAG: {}}, write)
    assert compare(here, there) == [("update", "changed", "x", "y4")]
    assert there.asked == ["digests", "records", "digests", "records", "stream"]


def test_a_row_that_moves_between_models_is_never_in_both_nor_in_none(here: Memory) -> None:
    """While records are read, "moving" leaves one model and appears in the other."""

    def write(source: Memory) -> None:
        if source.asked.count("records") == 1:
            source.rows = {CATEGORY: rows(CATEGORY, same="x", changed="x", gone="x"), TAG: rows(TAG, moving="x")}

    there = Away({CATEGORY: rows(CATEGORY, same="x", changed="x", gone="x", moving="x"), TAG: {}}, write)
    assert [(operation, key) for operation, key, *_ in compare(here, there)] == [("create", "moving")]


def test_a_local_row_that_moves_on_makes_only_this_side_be_read_again(here: Memory) -> None:
    def write(source: Memory) -> None:
        if source.asked.count("digests") == 1:
            source.rows[CATEGORY] = rows(CATEGORY, same="x", changed="w", gone="x")

    here.then = write
    there = Away({CATEGORY: rows(CATEGORY, same="x", changed="y", gone="x"), TAG: {}})
    assert compare(here, there) == [("update", "changed", "w", "y")]
    assert there.asked.count("digests") == 1


def test_a_key_twice_is_refused_by_name_and_side(here: Memory) -> None:
    twice = {CATEGORY: {**rows(CATEGORY, same="x"), 9: rows(CATEGORY, same="y")[1]}, TAG: {}}
    with pytest.raises(DuplicateKey, match=r'testapp.category at the source have the natural key \["same"\]'):
        compare(here, Away(twice))
    with pytest.raises(DuplicateKey, match=r'testapp.category here have the natural key \["same"\]'):
        compare(Memory(twice), Away(here.rows))


def test_both_sides_are_read_at_the_same_time(here: Any) -> None:
    """Each waits, with its digests begun, for the other to begin."""
    there = Away({CATEGORY: here.rows[CATEGORY], TAG: {}})
    begun = {"here": Event(), "there": Event()}

    def meets(source: Memory, mine: str, other: str) -> None:
        plain = source.digests

        @contextmanager
        def digests(request: Request) -> Iterator[Iterator[bytes]]:
            with plain(request) as blocks:
                begun[mine].set()
                assert begun[other].wait(30), f"{mine} is read alone"
                yield blocks

        source.digests = digests  # type: ignore[method-assign]

    meets(here, "here", "there")
    meets(there, "there", "here")
    assert compare(here, there) == []
