"""Packed digests: what goes in comes out, each bucket apart, and blocks that do not move for a row or two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_sync.core import packed

entries = st.dictionaries(st.binary(min_size=8, max_size=8), st.binary(min_size=16, max_size=16), max_size=40)


@given(entries)
def test_what_is_packed_is_ordered_and_comes_out_again_bucket_by_bucket(given_entries: dict[bytes, bytes]) -> None:
    data = packed.pack(given_entries)
    assert len(data) == packed.SIZE * len(given_entries)
    assert packed.unpack(data) == given_entries
    assert [key for key, _ in packed.pairs(data)] == sorted(given_entries)
    buckets = [packed.bucket_of(data, index) for index in range(packed.BUCKETS)]
    assert b"".join(buckets) == data
    for index, bucket in enumerate(buckets):
        assert all(key[0] == index for key in packed.unpack(bucket))


@pytest.mark.parametrize(
    ("rows", "blocks"), [(0, 0), (1, 1), (4096, 1), (4097, 2), (100_000, 32), (1_000_000, 256), (10**8, 256)]
)
def test_blocks_follow_the_rows(rows: int, blocks: int) -> None:
    firsts = packed.first_buckets(rows)
    assert len(firsts) == blocks
    assert firsts == sorted(set(firsts)) and firsts[:1] in ([], [0])


@pytest.mark.parametrize(
    ("present", "rows", "blocks"),
    [
        (1, 1, 1),
        (1, 8192, 1),
        (1, 8193, 4),
        (32, 32 * 1024 - 1, 8),
        (32, 32 * 1024, 32),
        (32, 32 * 8192, 32),
        (32, 32 * 8192 + 1, 128),
        (256, 3, 1),
        (256, 10**8, 256),
        (3, 5000, 2),
    ],
)
def test_blocks_stay_while_they_will_do(present: int, rows: int, blocks: int) -> None:
    """A range that is not one of equal parts (the last case) is never kept."""
    firsts = list(range(0, 256, 256 // present))
    assert len(packed.first_buckets(rows, firsts)) == blocks
