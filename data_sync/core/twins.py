"""Finding two rows with one key among any number, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO

_BUCKETS = 256
_SIZE = 8


class KeyHashes:
    """Key hashes in an empty temporary file, in buckets by their first byte.

    Held in memory: at most `buffered` bytes that wait to be written, and one bucket while it is looked at.
    """

    def __init__(self, file: IO[bytes], buffered: int = 1 << 20) -> None:
        self._file = file
        self._most = buffered
        self._buckets = [bytearray() for _ in range(_BUCKETS)]
        self._buffered = 0
        self._segments: list[list[tuple[int, int]]] = [[] for _ in range(_BUCKETS)]

    def add(self, hashes: Iterable[bytes]) -> None:
        """Takes in hashes of eight bytes."""
        buckets = self._buckets
        for key in hashes:
            buckets[key[0]] += key
            self._buffered += _SIZE
        if self._buffered > self._most:
            self._write()

    def twice(self) -> bytes | None:
        """A hash that was added more than once."""
        for index, waiting in enumerate(self._buckets):
            parts = [bytes(waiting)]
            for offset, size in self._segments[index]:
                self._file.seek(offset)
                parts.append(self._file.read(size))
            packed = b"".join(parts)
            if len(packed) <= _SIZE:
                continue
            seen: set[bytes] = set()
            hashes = [packed[place : place + _SIZE] for place in range(0, len(packed), _SIZE)]
            if len(set(hashes)) == len(hashes):
                continue
            for key in hashes:
                if key in seen:
                    return key
                seen.add(key)
        return None

    def _write(self) -> None:
        offset = self._file.seek(0, 2)
        for bucket, segments in zip(self._buckets, self._segments, strict=True):
            if bucket:
                segments.append((offset, len(bucket)))
                offset += len(bucket)
        self._file.write(b"".join(self._buckets))
        for bucket in self._buckets:
            bucket.clear()
        self._buffered = 0
