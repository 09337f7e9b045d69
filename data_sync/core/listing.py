"""A listing: key, digest and place of every row of one side, in a temporary file.

Rows lie in buckets by the first byte of their key's hash, so that two listings are compared a bucket at
a time. Held in memory: at most `BUFFERED` bytes that wait to be written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from struct import Struct
from typing import IO

from .source import Handle

BUCKETS = 256
BUFFERED = 1 << 22
_ENTRY = Struct(">8s16sq")
_PAIR = Struct(">24sq")

Entries = dict[bytes, int]
"""Places by key hash and digest, one after the other: 24 bytes."""


def key_hash(text: bytes) -> bytes:
    """Eight bytes that stand for a key, given as canonical text, among those of its model."""
    return hashlib.sha256(text).digest()[:8]


class Listing:
    """The rows of some models on one side. `place` is where a row's record is found: whoever adds it says what it is.

    Handles that are texts are kept in the file too: `place_of` gives them a place, `handle_at` gives them back.
    """

    def __init__(self, file: IO[bytes], labels: Sequence[str]) -> None:
        self.counts = dict.fromkeys(labels, 0)
        self._file = file
        self._size = 0
        self._waiting: dict[tuple[str, int], bytearray] = {}
        self._buffered = 0
        self._segments: dict[tuple[str, int], list[tuple[int, int]]] = {}

    def add(self, label: str, rows: Iterable[tuple[bytes, bytes, int]]) -> None:
        """Takes in rows: key hash, first 16 bytes of the digest, and place."""
        pack, waiting = _ENTRY.pack, self._waiting
        count = 0
        for key, digest, place in rows:
            bucket = (label, key[0])
            if bucket not in waiting:
                waiting[bucket] = bytearray()
            waiting[bucket] += pack(key, digest, place)
            count += 1
        self.counts[label] += count
        self._buffered += count * _ENTRY.size
        if self._buffered > BUFFERED:
            self._flush()

    def place_of(self, handle: Handle) -> int:
        """A place that stands for a handle."""
        if isinstance(handle, int):
            return handle
        text = handle.encode()
        return self._write(len(text).to_bytes(4, "big") + text)

    def handle_at(self, place: int) -> str:
        """The text that `place_of` was given."""
        self._file.seek(place)
        size = int.from_bytes(self._file.read(4), "big")
        return self._file.read(size).decode()

    def bucket(self, label: str, index: int) -> tuple[Entries, list[tuple[int, int]]]:
        """The rows whose key hash starts with this byte; and the places of rows that share a key, in pairs."""
        packed = b"".join([*self._read(label, index), self._waiting.get((label, index), b"")])
        if not packed:
            return {}, []
        entries = dict(_PAIR.iter_unpack(packed))
        if len({entry[:8] for entry in entries}) * _ENTRY.size == len(packed):
            return entries, []
        return entries, list(_twins(packed))

    def _read(self, label: str, index: int) -> Iterator[bytes]:
        for offset, size in self._segments.get((label, index), ()):
            self._file.seek(offset)
            yield self._file.read(size)

    def _flush(self) -> None:
        for bucket, packed in self._waiting.items():
            self._segments.setdefault(bucket, []).append((self._write(packed), len(packed)))
        self._waiting.clear()
        self._buffered = 0

    def _write(self, packed: bytes | bytearray) -> int:
        offset = self._size
        self._file.seek(offset)
        self._file.write(packed)
        self._size += len(packed)
        return offset


def _twins(packed: bytes) -> Iterator[tuple[int, int]]:
    seen: dict[bytes, int] = {}
    for key, _, place in _ENTRY.iter_unpack(packed):
        if key in seen:
            yield seen[key], place
        seen[key] = place
