"""A yes or no for each of very many hashes."""

from __future__ import annotations

from array import array
from bisect import bisect_left

_BUCKETS = 256


class Flags:
    """Flags by hash of eight bytes, whose last bit is not looked at: eight bytes of memory for each that is added.

    Adding many, then looking up many is what it is made for: the first look after an addition sorts, in small parts.
    """

    def __init__(self) -> None:
        self._buckets = [array("Q") for _ in range(_BUCKETS)]
        self._is_sorted = True

    def add(self, key: bytes, flag: bool) -> None:
        self._buckets[key[0]].append(int.from_bytes(key, "big") & ~1 | flag)
        self._is_sorted = False

    def get(self, key: bytes) -> bool | None:
        """The flag of a hash, False if it was added with both; None if it was not added."""
        if not self._is_sorted:
            self._buckets = [array("Q", sorted(bucket)) for bucket in self._buckets]
            self._is_sorted = True
        bucket, wanted = self._buckets[key[0]], int.from_bytes(key, "big") & ~1
        place = bisect_left(bucket, wanted)
        found = bucket[place] if place < len(bucket) else None
        return None if found is None or found & ~1 != wanted else bool(found & 1)
