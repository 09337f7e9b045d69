"""Baselines are what was last agreed on, whoever stores them; equal rows cost little, and no memory."""

from __future__ import annotations

import gc
import hashlib
import os
import tracemalloc
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from data_sync.core import packed
from data_sync.models import Baseline, Changeset, DataSource
from data_sync.services.baselines import Baselines, forget, record_applied

pytestmark = pytest.mark.django_db(transaction=True)

LABEL = "testapp.term"


@pytest.fixture
def source() -> DataSource:
    return DataSource.objects.create(name="Staging", url="https://staging.example.org")


def row(number: int, version: int = 0) -> tuple[bytes, bytes]:
    return (
        hashlib.sha256(b"key %d" % number).digest()[:8],
        hashlib.sha256(b"row %d %d" % (number, version)).digest()[:16],
    )


def rows(count: int, version: int = 0) -> dict[bytes, bytes]:
    return dict(row(number, version) for number in range(count))


def by_bucket(entries: Mapping[bytes, bytes]) -> list[dict[bytes, bytes]]:
    found: list[dict[bytes, bytes]] = [{} for _ in range(256)]
    for key, digest in entries.items():
        found[key[0]][key] = digest
    return found


def pulled(source: DataSource | None, entries: Mapping[bytes, bytes], *, shape: str = "a", label: str = LABEL) -> None:
    """What a pull does that finds these rows equal and no others."""
    baselines = Baselines(source, {label: shape})
    for index, bucket in enumerate(by_bucket(entries)):
        baselines.bucket(label, index)
        baselines.agree(label, index, bucket)
    with transaction.atomic():
        baselines.store()


def known(source: DataSource | None, *, shape: str = "a", label: str = LABEL) -> dict[bytes, bytes]:
    baselines = Baselines(source, {label: shape})
    return {key: digest for index in range(256) for key, digest in baselines.bucket(label, index).items()}


def stored() -> dict[int, int]:
    return dict(Baseline.objects.order_by("pk").values_list("first", "pk"))


def changeset(source: DataSource | None, shape: str = "a", **values: Any) -> Changeset:
    values = {"shapes": {LABEL: shape}, **values}
    return Changeset.objects.create(source=source, source_name="Staging", state="applying", **values)


def applied(changeset: Changeset, *entries: tuple[bytes, bytes | None]) -> None:
    with transaction.atomic():
        record_applied(changeset, [(LABEL, *entry) for entry in entries])


def test_what_was_agreed_on_in_another_shape_is_no_agreement(source: DataSource) -> None:
    """A release that adds a field makes every base unknown, as before the first pull."""
    assert not Baselines(source, {LABEL: "a"}).knows(LABEL)
    pulled(source, rows(10))
    assert Baselines(source, {LABEL: "a"}).knows(LABEL)
    other = Baselines(source, {LABEL: "b"})
    assert other.has(LABEL) and not other.knows(LABEL)
    assert not other.knows("testapp.unknown")


# Pulls


@pytest.mark.parametrize(("count", "blocks"), [(0, 0), (1, 1), (5_000, 2), (300_000, 128)])
def test_what_was_agreed_on_is_known_to_the_next_pull(source: DataSource, count: int, blocks: int) -> None:
    entries = rows(count)
    pulled(source, entries)
    assert Baseline.objects.count() == blocks
    assert known(source) == entries


def test_only_the_block_that_differs_is_written(source: DataSource) -> None:
    entries = rows(20_000)
    pulled(source, entries)
    before = stored()
    assert len(before) == 8
    key, digest = row(7, version=1)
    pulled(source, entries | {key: digest})
    after = stored()
    assert [first for first in after if after[first] != before[first]] == [key[0] // 32 * 32]
    assert known(source)[key] == digest


def test_nothing_is_written_where_nothing_differs(source: DataSource) -> None:
    pulled(source, rows(5_000))
    with CaptureQueriesContext(connection) as captured:
        pulled(source, rows(5_000))
    statements = [query["sql"].split()[0] for query in captured if query["sql"].split()[0] in ("SELECT", "INSERT")]
    assert statements == ["SELECT"] * 3  # The blocks there are, and each of the two.


def test_what_is_no_longer_anywhere_is_forgotten(source: DataSource) -> None:
    pulled(source, rows(20_000))
    pulled(source, rows(10))
    assert known(source) == rows(10) and Baseline.objects.count() == 1
    pulled(source, {})
    assert known(source) == {} and not Baseline.objects.exists()


def test_what_was_made_of_other_fields_is_unknown_and_replaced(source: DataSource) -> None:
    pulled(source, rows(10_000))
    assert known(source, shape="b") == {}
    pulled(source, rows(10, version=1), shape="b")
    assert known(source, shape="b") == rows(10, version=1)
    assert known(source, shape="a") == {}


def test_blocks_of_two_shapes_are_each_known_to_their_own(source: DataSource) -> None:
    pulled(source, rows(10_000))
    Baseline.objects.filter(first=64).update(shape="b")
    assert {key[0] // 64 for key in known(source)} == {0, 2, 3}
    assert {key[0] // 64 for key in known(source, shape="b")} == {1}
    pulled(source, rows(10_000))
    assert known(source) == rows(10_000)


def test_a_block_that_is_not_whole_is_unknown(source: DataSource) -> None:
    pulled(source, rows(5))
    Baseline.objects.update(entries=b"half an entry")
    assert known(source) == {}


def test_each_source_and_model_has_its_own(source: DataSource) -> None:
    other = DataSource.objects.create(name="Other", url="https://other.example.org")
    pulled(source, rows(3))
    assert known(other) == {} == known(source, label="testapp.tag")
    pulled(other, rows(3, version=1))
    pulled(source, rows(3, version=2), label="testapp.tag")
    assert known(source) == rows(3)
    forget(source, [LABEL])
    assert known(source) == {}
    assert known(source, label="testapp.tag") == rows(3, version=2)
    assert known(other) == rows(3, version=1)
    forget(source)
    assert known(source, label="testapp.tag") == {}
    assert known(other) == rows(3, version=1)


def test_of_models_without_a_shape_nothing_is_read_and_nothing_written(source: DataSource) -> None:
    pulled(source, rows(3))
    with CaptureQueriesContext(connection) as captured:
        baselines = Baselines(source, {"testapp.tag": "a"})
        for index in range(256):
            assert baselines.bucket(LABEL, index) == {}
            baselines.agree(LABEL, index, {})
        with transaction.atomic():
            baselines.store()
    assert not [query for query in captured if f"'{LABEL}'" in query["sql"]]
    assert known(source) == rows(3)


def test_what_is_no_pull_of_a_source_neither_knows_nor_stores(source: DataSource) -> None:
    pulled(None, rows(3))
    assert not Baseline.objects.exists()
    assert known(None) == {}
    applied(changeset(None), row(1))
    assert not Baseline.objects.exists()


def test_a_model_that_was_not_agreed_on_to_the_end_keeps_what_it_had(source: DataSource) -> None:
    pulled(source, rows(3))
    baselines = Baselines(source, {LABEL: "a"})
    for index in range(255):
        baselines.bucket(LABEL, index)
        baselines.agree(LABEL, index, {})
    with transaction.atomic():
        baselines.store()
    assert known(source) == rows(3)


def test_a_pull_that_fails_stores_nothing(source: DataSource) -> None:
    pulled(source, rows(3))
    with pytest.raises(RuntimeError), transaction.atomic():
        baselines = Baselines(source, {LABEL: "a"})
        for index in range(256):
            baselines.bucket(LABEL, index)
            baselines.agree(LABEL, index, {})
        baselines.store()
        raise RuntimeError
    assert known(source) == rows(3)


def test_what_an_apply_has_recorded_meanwhile_is_not_overwritten_by_the_pull(source: DataSource) -> None:
    pulled(source, rows(10))
    baselines = Baselines(source, {LABEL: "a"})
    for index, bucket in enumerate(by_bucket(rows(11))):
        baselines.bucket(LABEL, index)
        baselines.agree(LABEL, index, bucket)
    applied(changeset(source), row(4, version=1))
    with transaction.atomic():
        baselines.store()
    assert known(source) == rows(10) | dict([row(4, version=1)])


def test_two_models_in_turns_do_not_mix(source: DataSource) -> None:
    labels = {LABEL: rows(9_000), "testapp.tag": rows(9_000, version=1)}
    baselines = Baselines(source, dict.fromkeys(labels, "a"))
    buckets = {label: by_bucket(entries) for label, entries in labels.items()}
    for index in range(256):
        for label in labels:
            baselines.bucket(label, index)
            baselines.agree(label, index, buckets[label][index])
    with transaction.atomic():
        baselines.store()
    for label, entries in labels.items():
        assert known(source, label=label) == entries


def test_no_file_is_left_behind_and_none_stays_open(source: DataSource, settings: Any, tmp_path: Path) -> None:
    settings.DATA_SYNC_SPOOL_DIR = str(tmp_path)
    open_before = len(os.listdir("/proc/self/fd"))
    baselines = Baselines(source, {LABEL: "a"})
    baselines.bucket(LABEL, 0)
    baselines.agree(LABEL, 0, {})
    assert list(tmp_path.iterdir()) == []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        del baselines
        gc.collect()
    assert not [warning for warning in warned if warning.category is ResourceWarning]
    assert len(os.listdir("/proc/self/fd")) == open_before


@pytest.mark.timeout(240)
def test_a_million_rows_take_the_memory_of_one_block(source: DataSource) -> None:
    """256 blocks of 4,000 rows: what is held is a bucket as a dict and a block as bytes."""
    many = 1_000_000
    for first in range(256):
        entries = packed.pack(dict(synthetic(first, many)))
        Baseline.objects.create(source=source, model=LABEL, first=first, shape="a", entries=entries)
    gc.collect()
    tracemalloc.start()
    try:
        baselines = Baselines(source, {LABEL: "a"})
        for index in range(256):
            found = baselines.bucket(LABEL, index)
            baselines.agree(LABEL, index, {key: digest[::-1] for key, digest in found.items()})
        with transaction.atomic():
            baselines.store()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 * 2**20
    assert Baseline.objects.count() == 256


def synthetic(first: int, many: int) -> Iterator[tuple[bytes, bytes]]:
    for number in range(many // 256):
        text = b"%016d" % number
        yield bytes([first]) + text[-7:], text


# Applies


def test_what_an_apply_writes_is_agreed_on_and_what_it_deletes_is_forgotten(source: DataSource) -> None:
    pulled(source, rows(20_000))
    key, _ = row(3)
    applied(changeset(source), row(5, version=1), (key, None), row(20_000))
    expected = rows(20_001) | dict([row(5, version=1)])
    del expected[key]
    assert known(source) == expected


def test_the_first_rows_of_a_model_may_come_from_an_apply(source: DataSource) -> None:
    applied(changeset(source), *rows(10_000).items())
    assert known(source) == rows(10_000)
    assert Baseline.objects.count() == 4


def test_rows_of_another_shape_are_forgotten_when_they_are_written(source: DataSource) -> None:
    pulled(source, rows(3), shape="b")
    applied(changeset(source, shape="a"), row(1, version=1))
    assert known(source, shape="b") == dict([row(0), row(2)])
    assert known(source, shape="a") == {}


@pytest.mark.parametrize("shapes", [{LABEL: "a"}, {LABEL: "b"}, {}])
def test_an_apply_without_some_fields_forgets_what_it_writes_and_nothing_else(
    source: DataSource, shapes: dict[str, str]
) -> None:
    of_a_part = changeset(source, omitted={LABEL: ["note"]}, shapes=shapes)
    applied(of_a_part, row(1, version=1))
    assert not Baseline.objects.exists()
    pulled(source, rows(3))
    applied(of_a_part, row(1, version=1))
    assert known(source) == dict([row(0), row(2)])


def test_an_apply_of_many_rows_takes_statements_by_blocks_not_by_rows(source: DataSource) -> None:
    pulled(source, rows(20_000))

    def statements(count: int) -> int:
        with CaptureQueriesContext(connection) as captured:
            applied(changeset(source), *rows(count, version=count).items())
        return len(captured)

    assert statements(20_000) == statements(1_000) < 12


def test_rows_are_recorded_in_parts_where_they_are_many(source: DataSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_sync.services.baselines.AT_ONCE", 100)
    applied(changeset(source), *rows(1_050).items())
    assert known(source) == rows(1_050)


def test_a_key_that_one_row_gives_up_and_another_takes_is_agreed_on(source: DataSource) -> None:
    """As where two rows exchange their keys, in whichever order that is told."""
    pulled(source, rows(3))
    (one, digest), (two, other) = row(1, version=2), row(2, version=2)
    applied(changeset(source), (one, digest), (two, None), (two, other), (one, None))
    assert known(source) == dict([row(0), (one, digest), (two, other)])
