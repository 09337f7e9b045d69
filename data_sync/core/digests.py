"""The listing of digests: key hash, digest and handle of every row, in binary frames that prove their completeness.

    {"format":"data-sync-digests","handles":{"app.country":"integer"},"models":["app.country"],"protocol":1}
    01 <length> <model> (<key hash> <digest> <handle>)…
    02 <length> {"counts":{"app.country":1},"digest":"sha256:…","end":true}

A frame is a tag of one byte, the length of what follows in four, and that. Frames of entries (01) begin with two bytes
for the model's place in the opening line; models come in its order. Key hashes have 8 bytes, digests 16. A handle that
is an integer has 8, a UUID 16, a text its length in UTF-8 as unsigned LEB128 and the text. Numbers are big-endian. The
closing frame's digest is over every byte before that frame.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import starmap
from struct import Struct, error
from typing import Any, cast

from . import canonical
from .equality import same
from .errors import IncompleteStream, MalformedStream
from .manifest import PROTOCOL
from .source import Handle

FORMAT = "data-sync-digests"
INTEGER, UUID, TEXT = "integer", "uuid", "text"
MAX_HANDLE = 1 << 14
"""Bytes of a handle that is a text."""
MAX_FRAME = 1 << 20
_ENTRIES, _END = 1, 2
_HEAD = Struct(">BI")
_MODEL = Struct(">H")
_PLAIN = Struct(">8s16s")
_PACKED = {INTEGER: Struct(">8s16sq"), UUID: Struct(">8s16s16s")}
_BLOCK = 1 << 16

Entry = tuple[bytes, bytes, Handle]
"""Key hash, the first 16 bytes of the record's digest, and handle; the handle of a UUID is its 32 hex digits."""


def write_digests(
    models: Sequence[str], kinds: Mapping[str, str], entries: Iterable[tuple[str, Iterable[Sequence[Entry]]]]
) -> Iterator[bytes]:
    """Blocks of about 64 KiB. `kinds` says by label of which kind handles are; `entries` gives each label its rows.

    Key hash and digest may be longer than what is listed of them.
    """
    sha = hashlib.sha256()
    counts = dict.fromkeys(models, 0)
    header = {"format": FORMAT, "handles": dict(kinds), "models": list(models), "protocol": PROTOCOL}
    block = canonical.dumps(header).encode() + b"\n"
    for label, of_model in entries:
        model = _MODEL.pack(list(models).index(label))
        for rows in of_model:
            counts[label] += len(rows)
            for payload in _payloads(kinds[label], rows):
                sha.update(block)
                yield block
                block = _HEAD.pack(_ENTRIES, len(model) + len(payload)) + model + payload
    sha.update(block)
    closing = canonical.dumps({"counts": counts, "digest": "sha256:" + sha.hexdigest(), "end": True}).encode()
    yield block + _HEAD.pack(_END, len(closing)) + closing


def _payloads(kind: str, rows: Sequence[Entry]) -> Iterator[bytes]:
    """The rows packed, in parts of at most a block."""
    if kind != TEXT:
        pack, most = _PACKED[kind].pack, _BLOCK // _PACKED[kind].size
        if kind == UUID:
            rows = [(key, digest, bytes.fromhex(cast(str, handle))) for key, digest, handle in rows]  # type: ignore[misc]
        for start in range(0, len(rows), most):
            yield b"".join(starmap(pack, rows[start : start + most]))
        return
    waiting: list[bytes] = []
    size = 0
    for key, digest, handle in rows:
        entry = _PLAIN.pack(key, digest) + _text(cast(str, handle))
        if size + len(entry) > _BLOCK:
            yield b"".join(waiting)
            waiting, size = [], 0
        waiting.append(entry)
        size += len(entry)
    if waiting:
        yield b"".join(waiting)


def _text(handle: str) -> bytes:
    text = handle.encode()
    left, length = len(text), bytearray()
    while left > 127:
        length.append(left & 127 | 128)
        left >>= 7
    length.append(left)
    return bytes(length) + text


class DigestReader:
    """Reads a listing once. Iterate for pairs of a model's label and some of its entries.

    `counts` is set after the whole was proved complete. Raises `IncompleteStream`, or `MalformedStream`, also where
    there are more than `max_rows` entries; what was read until then is of no use.
    """

    def __init__(self, blocks: Iterable[bytes], models: Sequence[str], max_rows: int | None = None) -> None:
        self._blocks = blocks
        self._left = max_rows
        self._models = list(models)
        self._kinds: dict[str, str] = {}
        self._seen = dict.fromkeys(models, 0)
        self._present = 0
        self.counts: dict[str, int] = {}

    def __iter__(self) -> Iterator[tuple[str, list[Entry]]]:
        sha = hashlib.sha256()
        rest = bytearray()
        size = 0
        opened = closed = False
        for block in self._blocks:
            rest += block
            place = 0
            # The opening line ends in this block: there was no line feed before it.
            while not closed and (end := _end_of_frame(rest, place) if opened else rest.find(b"\n", -len(block)) + 1):
                part = bytes(memoryview(rest)[place:end])
                place = end
                if not opened:
                    self._open(part)
                    opened = True
                elif part[0] == _END:
                    self._close(part[_HEAD.size :], "sha256:" + sha.hexdigest())
                    closed = True
                else:
                    yield self._entries(part)
                sha.update(part)
            del rest[:place]
            size += place
            if closed and rest:
                raise MalformedStream("The source sent more after the closing part of its listing.")
            if len(rest) > MAX_FRAME + _HEAD.size:
                raise MalformedStream("The source did not send a data_sync listing of digests; check its URL.")
        if not closed:
            raise IncompleteStream(
                f"The source's answer stopped after {size + len(rest)} bytes, before its closing part. "
                "Nothing was concluded from it; pull again."
            )

    def _open(self, line: bytes) -> None:
        header = _object(line[:-1], "The source did not send a data_sync listing of digests; check its URL.")
        if header.get("format") != FORMAT or not same(header.get("protocol"), PROTOCOL):
            raise MalformedStream("The source did not send a listing of digests of this protocol; check its URL.")
        kinds = header.get("handles")
        if header.get("models") != self._models or not isinstance(kinds, dict) or kinds.keys() != self._seen.keys():
            raise MalformedStream("The source lists other models than it was asked for.")
        if not all(kind in (INTEGER, UUID, TEXT) for kind in kinds.values()):
            raise MalformedStream("The source's handles are of a kind that this side does not know.")
        self._kinds = kinds

    def _entries(self, frame: bytes) -> tuple[str, list[Entry]]:
        start = _HEAD.size + _MODEL.size
        if frame[0] != _ENTRIES or len(frame) <= start:
            raise MalformedStream("The source's listing has a part that this side does not know.")
        (model,) = _MODEL.unpack_from(frame, _HEAD.size)
        if not self._present <= model < len(self._models):
            raise MalformedStream("The source lists models that it was not asked for, or in another order.")
        self._present = model
        label = self._models[model]
        entries = _unpacked(self._kinds[label], frame[start:])
        self._seen[label] += len(entries)
        if self._left is not None:
            self._left -= len(entries)
            if self._left < 0:
                raise MalformedStream(
                    "The source's listing has more rows than are read (DATA_SYNC_MAX_ROWS); it is at row "
                    f"{self._seen[label]} of {label}."
                )
        return label, entries

    def _close(self, payload: bytes, digest: str) -> None:
        closing = _object(payload, "The closing part of the source's listing cannot be read.")
        if closing.get("digest") != digest:
            raise IncompleteStream("The source's answer was altered on its way: its digest differs. Pull again.")
        if not same(closing, {"counts": self._seen, "digest": digest, "end": True}):
            raise MalformedStream(
                f"The source's listing has the rows {self._seen}, but its closing part says otherwise."
            )
        self.counts = dict(self._seen)


def _end_of_frame(rest: bytearray, place: int) -> int:
    """Where the frame ends that begins at a place; 0 if not all of it is there."""
    if len(rest) - place < _HEAD.size:
        return 0
    _, length = _HEAD.unpack_from(rest, place)
    if length > MAX_FRAME:
        raise MalformedStream(f"A part of the source's listing is longer than {MAX_FRAME} bytes.")
    end = place + _HEAD.size + int(length)
    return end if end <= len(rest) else 0


def _unpacked(kind: str, payload: bytes) -> list[Entry]:
    try:
        match kind:
            case "integer":
                return list(_PACKED[INTEGER].iter_unpack(payload))
            case "uuid":
                return [(key, digest, handle.hex()) for key, digest, handle in _PACKED[UUID].iter_unpack(payload)]
            case _:
                return list(_with_texts(payload))
    except (error, UnicodeDecodeError, IndexError):
        raise MalformedStream("A part of the source's listing ends in the middle of a row.") from None


def _with_texts(payload: bytes) -> Iterator[Entry]:
    place = 0
    while place < len(payload):
        key, digest = _PLAIN.unpack_from(payload, place)
        place += _PLAIN.size
        length = shift = 0
        more = True
        while more and shift <= 14:
            byte = payload[place]
            place += 1
            length |= (byte & 127) << shift
            shift += 7
            more = byte > 127
        if more or length > min(MAX_HANDLE, len(payload) - place):
            raise MalformedStream("A part of the source's listing ends in the middle of a row.")
        yield key, digest, payload[place : place + length].decode()
        place += length


def _object(text: bytes, otherwise: str) -> dict[str, Any]:
    try:
        value = canonical.loads(text.decode())
        if isinstance(value, dict) and canonical.dumps(value).encode() == text:
            return value
    except (UnicodeDecodeError, MalformedStream):
        pass
    raise MalformedStream(otherwise)
