"""One side of a comparison: a stream's records, spooled, with a packed index of keys and digests.

Held in memory: 32 bytes a row. The records themselves lie in the spool, a temporary file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import IO

from . import canonical
from .errors import DuplicateKey, MalformedStream
from .records import Record, parse_line, split_line
from .wire import StreamReader

_ENTRY = Struct(">8s16sQ")
_BUCKETS = 64


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a record lies, and the first 16 bytes of its digest."""

    digest: bytes
    offset: int


class Listing:
    """A complete snapshot of some models, read from a stream.

    `side` is how errors name it ("here", "at the source").
    """

    def __init__(self, side: str, spool: IO[bytes], models: Sequence[str]) -> None:
        self.side = side
        self.models = list(models)
        self.counts = dict.fromkeys(models, 0)
        self._spool = spool
        self._buckets = {label: [bytearray() for _ in range(_BUCKETS)] for label in models}

    def read(self, blocks: Iterable[bytes], progress: Callable[[int], None] | None = None) -> None:
        """Takes in a whole stream. `progress` is told the number of rows so far.

        Raises `MalformedStream` or `IncompleteStream`; the listing is then of no use.
        """
        reader = StreamReader(blocks, self.models)
        prefixes = {f"{canonical.dumps(label)},": label for label in self.models}
        rows = size = 0
        for lines in reader:
            for offset, raw in lines:
                self._add(raw, offset, size, prefixes)
                size += len(raw) + 1
            self._spool.write(b"\n".join([raw for _, raw in lines]) + b"\n")
            rows += len(lines)
            if progress is not None:
                progress(rows)
        if reader.counts != self.counts:
            raise MalformedStream(f"The closing line counts {reader.counts}, but {self.counts} arrived.")

    def _add(self, raw: bytes, offset: int, place: int, prefixes: dict[str, str]) -> None:
        try:
            _, record = split_line(raw.decode())
            label_end = record.index(",") + 1
            label = prefixes[record[1:label_end]]
            _, end = canonical.raw_decode(record, label_end)
        except (ValueError, KeyError, MalformedStream, RecursionError):
            raise MalformedStream(
                f"The line at byte {offset} {self.side} is not a record of the models asked for."
            ) from None
        key_hash = hashlib.sha256(record[:end].encode()).digest()[:8]
        digest = hashlib.sha256(record.encode()).digest()[:16]
        self._buckets[label][key_hash[0] % _BUCKETS] += _ENTRY.pack(key_hash, digest, place)
        self.counts[label] += 1

    def bucket(self, label: str, index: int) -> dict[bytes, Entry]:
        """The entries of one bucket by key hash. Raises `DuplicateKey`, naming the key."""
        entries: dict[bytes, Entry] = {}
        for key_hash, digest, offset in _ENTRY.iter_unpack(self._buckets[label][index]):
            if key_hash in entries:
                key = list(self.record(offset).key)
                raise DuplicateKey(
                    f"Two rows of {label} {self.side} have the natural key {canonical.dumps(key)}. "
                    "Change one of them, or register the model with a key that is unique."
                )
            entries[key_hash] = Entry(digest, offset)
        return entries

    def buckets(self) -> Iterator[int]:
        return iter(range(_BUCKETS))

    def contains(self, label: str, key_hash: bytes) -> bool:
        """Whether the snapshot has a row with this key."""
        bucket = self._buckets[label][key_hash[0] % _BUCKETS]
        place = bucket.find(key_hash)
        while place != -1 and place % _ENTRY.size:
            place = bucket.find(key_hash, place + 1)
        return place != -1

    def record(self, offset: int) -> Record:
        """The record at an offset of the spool, strictly parsed."""
        self._spool.seek(offset)
        raw = self._spool.readline()
        try:
            return parse_line(raw[:-1].decode())
        except MalformedStream as error:
            raise MalformedStream(f"A record {self.side} cannot be read: {error}. It begins {raw[:120]!r}.") from None
