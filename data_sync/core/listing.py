"""One side of a comparison: a stream's records, spooled, with a packed index of keys and digests.

Held in memory: 32 bytes a row. The records themselves lie in the spool, a temporary file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from struct import Struct
from typing import IO

from .errors import DuplicateKey, MalformedStream
from .records import Record, split_line
from .wire import StreamReader

_ENTRY = Struct(">8s16sQ")
_BUCKETS = 64

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
# Where a line's record starts is found, without parsing, by the first `},["` outside of strings. In a stream of ours it
# is the only one so far: beside a record stand objects of plain values. A hostile line may have another and be listed
# under another key than its own. That gains it nothing: whatever differs is read by `Listing.record`, which parses the
# line strictly and refuses it unless the record starts where the listing took it to start, and `services.comparison`
# looks at the key once more. What is listed as equal is not read: its source could as well have sent the equal record.
_START = re.compile(
    # What stands beside the record, whose strings may hold anything; then the record's model and key.
    rb'\[\{(?:[^"]*+(?<!\},\[)' + _STRING + rb')*+[^"]*+(?<=\},\[)'
    rb'"(?P<model>[^"\\]++)",(?P<key>\[(?:[^"\[\]{}]++|' + _STRING + rb")*+\]),\{"
)

Entry = tuple[bytes, int]
"""The first 16 bytes of a record's digest, and where the record lies."""


def _place(start: re.Match[bytes]) -> int:
    """Where in its line the record starts."""
    return start.start("model") - 2


def key_hash(text: bytes) -> bytes:
    """Eight bytes that stand for a key, given as canonical text, among those of its model."""
    return hashlib.sha256(text).digest()[:8]


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
        rows = size = 0
        for lines in reader:
            for offset, raw in lines:
                self._add(raw, offset, size)
                size += len(raw) + 1
            self._spool.write(b"\n".join([raw for _, raw in lines]) + b"\n")
            rows += len(lines)
            if progress is not None:
                progress(rows)
        if reader.counts != self.counts:
            raise MalformedStream(f"The closing line counts {reader.counts}, but {self.counts} arrived.")

    def _add(self, raw: bytes, offset: int, place: int) -> None:
        """Takes in a line. Only looks at its start: what differs is read strictly, by `record`."""
        start = _START.match(raw)
        label = start["model"].decode(errors="replace") if start else ""
        if start is None or label not in self.counts or not raw.endswith(b"]]"):
            raise MalformedStream(f"The line at byte {offset} {self.side} is not a record of the models asked for.")
        key = key_hash(start["key"])
        digest = hashlib.sha256(raw[_place(start) : -1]).digest()
        self._buckets[label][key[0] % _BUCKETS] += _ENTRY.pack(key, digest[:16], place)
        self.counts[label] += 1

    def bucket(self, label: str, index: int) -> dict[bytes, Entry]:
        """The entries of one bucket by key hash. Raises `DuplicateKey`, naming the key."""
        entries: dict[bytes, Entry] = {}
        for key, digest, offset in _ENTRY.iter_unpack(self._buckets[label][index]):
            if key in entries:
                raise DuplicateKey(
                    f"Two rows of {label} {self.side} have the natural key {self.key_text(offset)}. "
                    "Change one of them, or register the model with a key that is unique."
                )
            entries[key] = digest, offset
        return entries

    def buckets(self) -> Iterator[int]:
        return iter(range(_BUCKETS))

    def contains(self, label: str, key_text: str) -> bool:
        """Whether the snapshot has a row with this key."""
        key = key_hash(key_text.encode())
        bucket = self._buckets[label][key[0] % _BUCKETS]
        place = bucket.find(key)
        while place != -1 and place % _ENTRY.size:
            place = bucket.find(key, place + 1)
        return place != -1

    def key_text(self, offset: int) -> str:
        """The text of the key of the record at an offset of the spool: canonical if `record` does not refuse it."""
        start = _START.match(self._line(offset))
        assert start is not None
        return start["key"].decode(errors="replace")

    def record(self, offset: int) -> Record:
        """The record at an offset of the spool, strictly parsed."""
        raw = self._line(offset)
        try:
            text = split_line(raw[:-1].decode())
            record = text.record()
            start = _START.match(raw)
            if start is None or raw[_place(start) : -2] != text.canonical.encode():
                raise MalformedStream("what stands beside it looks like a record")
        except (MalformedStream, UnicodeDecodeError) as error:
            raise MalformedStream(f"A record {self.side} cannot be read: {error}. It begins {raw[:120]!r}.") from None
        return record

    def _line(self, offset: int) -> bytes:
        self._spool.seek(offset)
        return self._spool.readline()
