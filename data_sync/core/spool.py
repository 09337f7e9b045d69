"""Record lines in a temporary file, found again by their offset."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from .errors import MalformedStream
from .records import Record, split_line

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
# Where a line's record starts is found, without parsing, by the first `},["` outside of strings. In a stream of ours it
# is the only one so far: beside a record stand objects of plain values. A hostile line may have another and be listed
# under another key than its own. That gains it nothing: whatever differs is read by `RecordSpool.record`, which parses
# the line strictly and refuses it unless the record starts where the quick look took it to start, and
# `services.comparison` looks at the key once more. What is listed as equal is not read: its source could as well have
# sent the equal record.
_START = re.compile(
    # What stands beside the record, whose strings may hold anything; then the record's model and key.
    rb'\[\{(?:[^"]*+(?<!\},\[)' + _STRING + rb')*+[^"]*+(?<=\},\[)'
    rb'"(?P<model>[^"\\]++)",(?P<key>\[(?:[^"\[\]{}]++|' + _STRING + rb")*+\]),\{"
)


@dataclass(frozen=True, slots=True)
class Glance:
    """What a quick look at a line tells: its model, the canonical text of its key, its record, what stands beside."""

    label: str
    key: bytes
    record: bytes
    beside: bytes


def glance(line: bytes) -> Glance | None:
    """A quick look at a record line; None for anything that is none. `RecordSpool.record` looks strictly."""
    start = _START.match(line)
    if start is None or not line.endswith(b"]]"):
        return None
    place = start.start("model") - 2
    return Glance(start["model"].decode(errors="replace"), start["key"], line[place:-1], line[1 : place - 1])


class RecordSpool:
    """The lines of one side, which errors name as `side` ("here", "at the source"). They quote what cannot be read
    unless it may hold redacted fields, `is_redacted`."""

    def __init__(self, side: str, file: IO[bytes], *, is_redacted: bool = False) -> None:
        self._side = side
        self._is_redacted = is_redacted
        self._file = file
        self._size = 0

    def extend(self, lines: Sequence[bytes]) -> list[int]:
        """Adds lines, which have no line feed; gives their offsets."""
        offsets = []
        for line in lines:
            offsets.append(self._size)
            self._size += len(line) + 1
        self._file.seek(0, 2)
        self._file.write(b"".join([line + b"\n" for line in lines]))
        return offsets

    def record(self, offset: int) -> Record:
        """A record, strictly parsed. Raises `MalformedStream`."""
        line = self.line(offset)
        try:
            text = split_line(line.decode())
            record = text.record()
            seen = glance(line)
            if seen is None or seen.record != text.canonical.encode():
                raise MalformedStream("what stands beside it looks like a record")
        except (MalformedStream, UnicodeDecodeError) as error:
            if self._is_redacted:
                raise MalformedStream(f"A record {self._side} cannot be read, and may hold redacted fields.") from None
            raise MalformedStream(f"A record {self._side} cannot be read: {error}. It begins {line[:120]!r}.") from None
        return record

    def line(self, offset: int) -> bytes:
        """A line as it was added."""
        self._file.seek(offset)
        return self._file.readline()[:-1]
