"""Digests by key hash, packed into bytes: ordered entries of 24 bytes, cut into blocks at the hash's first byte.

An entry is a key hash (8 bytes) and the first 16 bytes of a record's digest. A *bucket* is what has one first byte;
a *block* is a run of buckets that is stored as one. How many blocks follows how many entries there are.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from struct import Struct
from typing import cast

BUCKETS = 256
HASH, DIGEST = 8, 16
_ENTRY = Struct(f"{HASH}s{DIGEST}s")
SIZE = _ENTRY.size

MOST = 4096
"""So many entries a new block has at most, on average."""


def pack(entries: Mapping[bytes, bytes]) -> bytes:
    """The entries in order."""
    return b"".join(chain.from_iterable(sorted(entries.items())))


def pairs(data: bytes | bytearray) -> Iterator[tuple[bytes, bytes]]:
    """The entries of packed bytes, as they stand."""
    return cast(Iterator[tuple[bytes, bytes]], _ENTRY.iter_unpack(data))


def unpack(data: bytes) -> dict[bytes, bytes]:
    """What `pack` was given."""
    return dict(pairs(data))


def bucket_of(data: bytes, index: int) -> bytes:
    """The entries of one bucket, among packed ones."""
    places = range(len(data) // SIZE)
    begin = bisect_left(places, index, key=lambda place: data[place * SIZE])
    end = bisect_left(places, index + 1, lo=begin, key=lambda place: data[place * SIZE])
    return data[begin * SIZE : end * SIZE]


def first_buckets(rows: int, present: Sequence[int] = ()) -> list[int]:
    """The first bucket of each block, for so many entries: the present ones as long as they will do.

    They are kept while a block has 1,024 to 8,192 entries on average, so that a table that grows by a row now
    and then is not packed anew each time. Otherwise equal ranges: as few as hold `MOST` entries each, at most 256.
    """
    if rows == 0:
        return []
    blocks = len(present)
    is_small = blocks == 1 or rows >= blocks * MOST // 4
    is_large = blocks == BUCKETS or rows <= blocks * MOST * 2
    if blocks and is_small and is_large and list(present) == _ranges(blocks):
        return list(present)
    blocks = 1
    while blocks < BUCKETS and rows > blocks * MOST:
        blocks *= 2
    return _ranges(blocks)


def _ranges(blocks: int) -> list[int]:
    return list(range(0, BUCKETS, BUCKETS // min(blocks, BUCKETS)))
