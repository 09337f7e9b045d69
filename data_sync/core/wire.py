"""The stream of records: JSON Lines that prove their own completeness.

    {"format":"data-sync-export","models":["app.country","app.copy"],"protocol":1}
    [{},["app.country",["FR"],{"code":"FR"},{}]]
    ...
    {"counts":{"app.copy":0,"app.country":1},"digest":"sha256:…","end":true}

The closing line's digest is over every byte before it. HTTP cannot tell a whole body from one that
was cut (close-delimited or half-gzipped), the closing line can: without it nothing is concluded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from . import canonical
from .equality import same
from .errors import IncompleteStream, MalformedStream
from .manifest import PROTOCOL

FORMAT = "data-sync-export"
BLOCK = 1 << 16
MAX_LINE = 64 * 1024 * 1024


def write_stream(models: Sequence[str], lines: Iterable[tuple[str, Iterable[str]]]) -> Iterator[bytes]:
    """Blocks of about 64 KiB. `lines` gives each model's label with its record lines."""
    sha = hashlib.sha256()
    counts = dict.fromkeys(models, 0)
    pending = [canonical.dumps({"format": FORMAT, "models": list(models), "protocol": PROTOCOL})]
    size = 0
    for label, of_model in lines:
        for line in of_model:
            counts[label] += 1
            pending.append(line)
            size += len(line)
            if size >= BLOCK:
                block = _encode(pending)
                sha.update(block)
                yield block
                pending, size = [], 0
    block = _encode(pending) if pending else b""
    sha.update(block)
    closing = {"counts": counts, "digest": "sha256:" + sha.hexdigest(), "end": True}
    yield block + canonical.dumps(closing).encode() + b"\n"


def closing_of(last: bytes) -> dict[str, Any]:
    """`counts` and `digest` of the closing line of a stream, or of a listing of digests, by its last block."""
    closing: dict[str, Any] = canonical.loads(last[last.rindex(b'{"counts":') :].decode())
    return {"counts": closing["counts"], "digest": closing["digest"]}


def _encode(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


class StreamReader:
    """Reads a stream once. Iterate for lists of `(offset, line)` per block of input.

    `counts` is set after the whole was proved complete. `offset` is the line's place among the bytes of the stream.
    Raises `MalformedStream`, also where there are more than `max_rows` records or `max_line` bytes in a line.
    """

    def __init__(
        self,
        blocks: Iterable[bytes],
        models: Sequence[str],
        max_rows: int | None = None,
        max_line: int | None = None,
    ) -> None:
        self._blocks = blocks
        self._expected = list(models)
        self._max_rows = max_rows
        self._max_line = MAX_LINE if max_line is None else max_line
        self._rows = 0
        self.counts: dict[str, int] = {}
        self.size = 0

    def __iter__(self) -> Iterator[list[tuple[int, bytes]]]:
        sha = hashlib.sha256()
        rest = bytearray()
        opened = closed = False
        for block in self._blocks:
            if closed and block:
                raise MalformedStream("The source sent more after its closing line.")
            if b"\n" not in block:
                # In place: to join a long line anew at each block would take the square of its length.
                rest += block
                self._check_lengths([rest])
                continue
            *whole, begun = (bytes(rest) + block).split(b"\n")
            rest = bytearray(begun)
            self._check_lengths([*whole, begun])
            lines: list[tuple[int, bytes]] = []
            for line in whole:
                if closed:
                    raise MalformedStream("The source sent more after its closing line.")
                if not opened:
                    self._open(line)
                    opened = True
                elif line[:1] == b"{":
                    self._close(line, "sha256:" + sha.hexdigest())
                    closed = True
                    continue
                else:
                    lines.append((self.size, line))
                sha.update(line)
                sha.update(b"\n")
                self.size += len(line) + 1
            if closed and rest:
                raise MalformedStream("The source sent more after its closing line.")
            self._rows += len(lines)
            if self._max_rows is not None and self._rows > self._max_rows:
                raise MalformedStream(
                    f"The source's answer has more than {self._max_rows} records: more than were asked for, or than "
                    "are read (DATA_SYNC_MAX_ROWS)."
                )
            if lines:
                yield lines
        if not closed:
            raise IncompleteStream(
                f"The source's answer stopped after {self.size} bytes, before its closing line. "
                "Nothing was concluded from it; pull again."
            )

    def _check_lengths(self, lines: Sequence[bytes | bytearray]) -> None:
        """The first of these lines follows on the records that have been read."""
        if max(map(len, lines)) > self._max_line:
            place = next(place for place, line in enumerate(lines) if len(line) > self._max_line)
            # The opening line is the first, and is counted as soon as it was read.
            number = self._rows + place + (2 if self.size else 1)
            raise MalformedStream(
                f"Line {number} of the source's answer is longer than {self._max_line} bytes, the most that is read "
                "(DATA_SYNC_MAX_LINE_BYTES)."
            )

    def _open(self, line: bytes) -> None:
        header = _object(line, "The source did not send a data_sync export; check its URL.")
        if header.get("format") != FORMAT or not same(header.get("protocol"), PROTOCOL):
            raise MalformedStream("The source did not send a data_sync export of this protocol; check its URL.")
        if header.get("models") != self._expected:
            raise MalformedStream("The source sent other models than it was asked for.")

    def _close(self, line: bytes, digest: str) -> None:
        closing = _object(line, "The source's closing line cannot be read.")
        counts = closing.get("counts")
        if closing.get("end") is not True or not isinstance(counts, dict) or not all(map(_is_count, counts.values())):
            raise MalformedStream("The source's closing line cannot be read.")
        if closing.get("digest") != digest:
            raise IncompleteStream("The source's answer was altered on its way: its digest differs. Pull again.")
        if sorted(counts) != sorted(self._expected):
            raise MalformedStream("The source's closing line counts other models than were asked for.")
        self.counts = counts


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _object(line: bytes, otherwise: str) -> dict[str, Any]:
    try:
        value = canonical.loads_bounded(line.decode())
    except (UnicodeDecodeError, MalformedStream):
        raise MalformedStream(otherwise) from None
    if not isinstance(value, dict):
        raise MalformedStream(otherwise)
    return value
