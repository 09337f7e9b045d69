"""RELIABILITY 17: an answer that is cut anywhere is not an answer. Twenty of them, each cut at every byte.

Every cut goes through the parsers in this process; every cut of one of them, and a sample of the others, over HTTP.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from data_sync.core.digests import INTEGER, TEXT, UUID, DigestReader, write_digests
from data_sync.core.errors import DataSyncError
from data_sync.core.manifest import Manifest, ModelManifest
from data_sync.core.records import FileValue, Record
from data_sync.core.source import Request
from data_sync.core.wire import StreamReader, write_stream
from data_sync.orm.staging import stage
from data_sync.sources.http import HttpSource

from .conftest import KEY, Read
from .hostile import Server, sends

LABELS = ("app.country", "app.copy")
BOTH = Request(models=LABELS)
ONE = Request(models=("app.copy",))


def records(source: HttpSource, request: Request, handles: list[Any] | None) -> list[bytes]:
    opened = source.stream(request) if handles is None else source.records(request, handles)
    with opened as blocks:
        reader = StreamReader(blocks, request.models)
        lines = [line for some in reader for _, line in some]
        assert sum(reader.counts.values()) == len(lines)
        return lines


def digests(source: HttpSource, request: Request) -> list[Any]:
    with source.digests(request) as blocks:
        return [entry for _, entries in DigestReader(blocks, request.models) for entry in entries]


FILE = bytes(range(156, 256))
PROMISED = FileValue(name="a.bin", size=len(FILE), checksum=f"sha256:{hashlib.sha256(FILE).hexdigest()}")


def file(source: HttpSource) -> None:
    with source.open_file(PROMISED.checksum) as blocks:
        stage(PROMISED, blocks)


def stream(models: tuple[str, ...], *of_models: Record) -> bytes:
    lines = [(label, [record.line() for record in of_models if record.model == label]) for label in models]
    return b"".join(write_stream(models, lines))


def listing(kind: str, *handles: Any) -> bytes:
    entries = [(number.to_bytes(8, "big"), b"d" * 16, handle) for number, handle in enumerate(handles)]
    return b"".join(write_digests(["app.copy"], {"app.copy": kind}, [("app.copy", [entries])]))


def copy(number: int, **fields: Any) -> Record:
    return Record(model="app.copy", key=(number,), fields=fields)


COUNTRY = Record(model="app.country", key=("FR",), fields={"name": "République française"})
WITH_FILE = Record(model="app.copy", key=(9,), fields={}, files={"f": PROMISED}, carried={"at": "2026-01-01"})
NESTED = copy(1, data={"a": [1, 2.5, None, {"b": [[]]}], "end": True, "counts": {}})
LIKE_A_CLOSING_LINE = copy(2, text='{"counts":{},"digest":"sha256:0","end":true}\n')
MANIFEST = Manifest(
    models={"app.copy": ModelManifest(key=("code",), fields={"code": {"type": "CharField", "max_length": 3}}, count=7)},
    keys={"app.copy": {"key": ["code"], "key_types": ["CharField"]}},
    features=("digests",),
)
DOCUMENT = json.dumps(MANIFEST.to_plain()).encode()
OUTSIDE = '{"outside":[["FR","é"]]}'.encode()


def outside(source: HttpSource) -> set[str]:
    return source.outside("app.copy", ['["FR","é"]'])


def plain(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def closes(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body


def chunks(body: bytes) -> bytes:
    parts = [body[start : start + 50] for start in range(0, len(body), 50)]
    sent = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + sent + b"0\r\n\r\n"


def zipped(framed: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def answer(body: bytes) -> bytes:
        return framed(gzip.compress(body, mtime=0)).replace(b"200 OK\r\n", b"200 OK\r\nContent-Encoding: gzip\r\n", 1)

    return answer


@dataclass(frozen=True)
class Fixture:
    """`framed` makes the bytes of an answer."""

    body: bytes
    read: Read
    framed: Callable[[bytes], bytes]

    @property
    def answer(self) -> bytes:
        return self.framed(self.body)


def exported(body: bytes, request: Request, framed: Callable[[bytes], bytes]) -> Fixture:
    return Fixture(body, lambda source: records(source, request, None), framed)


def listed(body: bytes, framed: Callable[[bytes], bytes]) -> Fixture:
    return Fixture(body, lambda source: digests(source, ONE), framed)


def asked(body: bytes, framed: Callable[[bytes], bytes]) -> Fixture:
    return Fixture(body, lambda source: records(source, ONE, [1, 2]), framed)


FIXTURES = {
    "export, length": exported(stream(LABELS, COUNTRY, NESTED), BOTH, plain),
    "export, chunked": exported(stream(LABELS, COUNTRY, NESTED), BOTH, chunks),
    "export, closed": exported(stream(LABELS, COUNTRY, NESTED), BOTH, closes),
    "export, gzip, length": exported(stream(LABELS, COUNTRY, NESTED), BOTH, zipped(plain)),
    "export, gzip, chunked": exported(stream(LABELS, COUNTRY, NESTED), BOTH, zipped(chunks)),
    "export, gzip, closed": exported(stream(LABELS, COUNTRY, NESTED), BOTH, zipped(closes)),
    "export of nothing": exported(stream(LABELS), BOTH, closes),
    "export with a text like a closing line": exported(stream(LABELS, LIKE_A_CLOSING_LINE), BOTH, closes),
    "export with a file": exported(stream(LABELS, WITH_FILE), BOTH, zipped(closes)),
    "digests of integers, length": listed(listing(INTEGER, 1, -(2**63), 2**63 - 1), plain),
    "digests of integers, closed": listed(listing(INTEGER, 1, 2), closes),
    "digests of texts, chunked": listed(listing(TEXT, "a", "é" * 70, ""), chunks),
    "digests of UUIDs, closed": listed(listing(UUID, "0" * 32, "f" * 32), closes),
    "digests of nothing": listed(listing(INTEGER), closes),
    "records, length": asked(stream(("app.copy",), NESTED), plain),
    "records, gzip, closed": asked(stream(("app.copy",), NESTED, LIKE_A_CLOSING_LINE), zipped(closes)),
    "manifest, length": Fixture(DOCUMENT, lambda source: source.manifest(), plain),
    "manifest, closed": Fixture(DOCUMENT, lambda source: source.manifest(), closes),
    "keys outside, closed": Fixture(OUTSIDE, outside, closes),
    "file, length": Fixture(FILE, file, plain),
    "file, closed": Fixture(FILE, file, closes),
    "file, chunked": Fixture(FILE, file, chunks),
}


def test_there_are_twenty() -> None:
    assert len(FIXTURES) >= 20
    assert max(len(fixture.answer) for fixture in FIXTURES.values()) < 2000


@pytest.mark.parametrize("name", FIXTURES)
def test_an_answer_that_is_cut_at_any_byte_is_not_accepted(name: str, reads: Callable[[bytes, Read], Any]) -> None:
    fixture = FIXTURES[name]
    answer = fixture.answer
    reads(answer, fixture.read)
    accepted = []
    for size in range(len(answer)):
        try:
            reads(answer[:size], fixture.read)
        except DataSyncError:
            continue
        accepted.append(size)
    assert accepted == []


@pytest.fixture
def cut(settings: Any, tmp_path: Any) -> Iterator[tuple[HttpSource, list[bytes]]]:
    """A source over a real connection, that gives the last of these answers and ends the connection."""
    settings.DATA_SYNC_ALLOWED_HOSTS = ["127.0.0.1"]
    settings.DATA_SYNC_STAGING_ROOT = str(tmp_path)
    answers: list[bytes] = []
    server = Server(sends(b""))

    def answer(connection: socket.socket) -> None:
        connection.sendall(answers[-1])

    server.answer = answer
    yield HttpSource(server.url, KEY), answers
    server.close()


@pytest.mark.parametrize("name", FIXTURES)
def test_over_a_real_connection_it_is_the_same(name: str, cut: tuple[HttpSource, list[bytes]]) -> None:
    fixture, (source, answers) = FIXTURES[name], cut
    answer = fixture.answer
    end = len(answer)
    for size in range(end) if name == "export, gzip, closed" else {*range(0, end, 97), end - 1}:
        answers.append(answer[:size])
        with pytest.raises(DataSyncError):
            fixture.read(source)
    answers.append(answer)
    fixture.read(source)
