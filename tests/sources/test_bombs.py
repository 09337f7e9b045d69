"""RELIABILITY 5: answers that are made to fill the memory or take for ever end in a typed error, soon and small.

Each is read by a process of its own, which measures itself; ``-s`` shows the figures.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from data_sync.core.wire import write_stream

from .bomb import LABEL
from .hostile import Server, http

ROOT = Path(__file__).parents[2]
MEBIBYTES = 256
DEADLINE = 1.0
"""Of those that never end; the others have the usual time, and need little of it."""
SPARE = 5.0

OPENING = f'{{"format":"data-sync-export","models":["{LABEL}"],"protocol":1}}\n'.encode()
DIGESTS = (
    f'{{"format":"data-sync-digests","handles":{{"{LABEL}":"integer"}},"models":["{LABEL}"],"protocol":1}}\n'.encode()
)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS = http("200 OK", length=-1)
BLOCK = 1 << 16

Parts = Callable[[], Iterator[bytes]]


@cache
def gigabyte() -> bytes:
    """1 GB of zeros, gzipped."""
    return b"".join(zipped(ZEROS, 1000))


def record(value: str) -> bytes:
    return f'[{{}},["{LABEL}",["a"],{{"name":{value}}},{{}}]]'.encode()


def whole(line: bytes) -> bytes:
    """A sound stream of one line."""
    return b"".join(write_stream([LABEL], [(LABEL, [line.decode()])]))


def zipped(data: bytes, times: int, tail: bytes = b"") -> Iterator[bytes]:
    packer = zlib.compressobj(9, wbits=31)
    for _ in range(times):
        yield packer.compress(data)
    yield packer.compress(tail) + packer.flush()


def repeated(part: bytes, times: int = 1 << 40) -> Iterator[bytes]:
    for _ in range(times):
        yield part


def after(head: bytes, parts: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from parts


def slow(byte: bytes) -> Iterator[bytes]:
    """A byte now and then: less than a second between them, so that no time-out takes it for silence."""
    while True:
        time.sleep(0.2)
        yield byte


ZEROS = b"\0" * (1 << 20)
GZIP = http("200 OK", length=-1, Content_Encoding="gzip")

BOMBS: dict[str, tuple[str, Parts, str]] = {
    # How it is read, what is sent, and what the error says.
    "1 GB of zeros, gzipped, as a stream": ("stream", lambda: after(GZIP, iter([gigabyte()])), "Line 1 .* longer than"),
    "1 GB of zeros, gzipped, as digests": (
        "digests",
        lambda: after(GZIP, iter([gigabyte()])),
        "not send a data_sync listing",
    ),
    "1 GB of zeros, gzipped, as a manifest": ("manifest", lambda: after(GZIP, iter([gigabyte()])), "larger than"),
    "1 GB of zeros, gzipped, as a file": (
        "file",
        lambda: after(GZIP, iter([gigabyte()])),
        "did not arrive as promised",
    ),
    "gzip within gzip": (
        "stream",
        lambda: iter([http("200 OK", gzip.compress(gigabyte()), Content_Encoding="gzip")]),
        "closing line|data_sync export",
    ),
    "gzip within gzip, as announced": (
        "stream",
        lambda: iter([http("200 OK", gzip.compress(gigabyte()), Content_Encoding="gzip, gzip")]),
        "encoded as",
    ),
    "a giant line": ("stream", lambda: after(ENDLESS + OPENING, repeated(b"x" * BLOCK)), "Line 2 .* longer than"),
    "millions of empty lines": (
        "stream",
        lambda: after(ENDLESS + OPENING, repeated(b"\n" * BLOCK)),
        "line 2 .*not a record",
    ),
    "millions of empty gzip blocks": (
        "stream",
        lambda: after(GZIP + gzip.compress(b"x")[:10], repeated(b"\x00\x00\x00\xff\xff" * 10_000)),
        "DATA_SYNC_REQUEST_TIMEOUT",
    ),
    "an endless stream of records": (
        "stream",
        lambda: after(ENDLESS + OPENING, repeated((record('"b"') + b"\n") * 1000)),
        "DATA_SYNC_REQUEST_TIMEOUT",
    ),
    "one byte at a time, in the body": ("stream", lambda: after(ENDLESS, slow(b"{")), "DATA_SYNC_REQUEST_TIMEOUT"),
    "one byte at a time, in a header": (
        "stream",
        lambda: after(b"HTTP/1.1 200 OK\r\nX: ", slow(b"x")),
        "DATA_SYNC_REQUEST_TIMEOUT",
    ),
    "an endless header": ("stream", lambda: after(b"HTTP/1.1 200 OK\r\nX: ", repeated(b"x" * BLOCK)), "not HTTP"),
    "endless headers": ("stream", lambda: after(b"HTTP/1.1 200 OK\r\n", repeated(b"X: y\r\n" * 1000)), "not HTTP"),
    "endless answers that say continue": (
        "stream",
        lambda: repeated(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        "DATA_SYNC_REQUEST_TIMEOUT",
    ),
    "endless trailers": (
        "stream",
        lambda: after(CHUNKED + b"0\r\n", repeated(b"X: y\r\n" * 1000)),
        "whole answer",
    ),
    "a chunk of 16 EiB": (
        "stream",
        lambda: after(CHUNKED + b"F" * 16 + b"\r\n", repeated(b"x" * BLOCK)),
        "Line 1 .* longer",
    ),
    "a chunk of -1 bytes": ("stream", lambda: after(CHUNKED + b"-1\r\n", repeated(b"x" * BLOCK)), "whole answer"),
    "an endless size of a chunk": ("stream", lambda: after(CHUNKED, repeated(b"0" * BLOCK)), "whole answer"),
    "one byte a chunk": (
        "stream",
        lambda: after(CHUNKED, repeated(b"1\r\nx\r\n" * 10_000)),
        "DATA_SYNC_REQUEST_TIMEOUT|longer",
    ),
    "depth 100,000 in a manifest": ("manifest", lambda: iter([http("200 OK", b"[" * 100_000)]), "nested more than"),
    "depth 100,000 in a record": (
        "stream",
        lambda: iter([http("200 OK", whole(record("[" * 100_000 + "]" * 100_000)))]),
        "not a record|nested",
    ),
    "depth 4,000,000 in a manifest": ("manifest", lambda: iter([http("200 OK", b"[" * 4_000_000)]), "nested|values"),
    "5,000 digits in a manifest": (
        "manifest",
        lambda: iter([http("200 OK", b'{"protocol":' + b"9" * 5000 + b"}")]),
        "more than 1000 digits",
    ),
    "5,000 digits in a record": (
        "stream",
        lambda: iter([http("200 OK", whole(record("9" * 5000)))]),
        "more than 1000 digits",
    ),
    "a record of 9 MB, with a character that has all of it take four bytes each": (
        "stream",
        lambda: iter([http("200 OK", whole(record('"' + "x" * 9_000_000 + '😀",' + "9" * 1001)))]),
        "cannot be read",
    ),
    "60,000,000 digits in a record": (
        "stream",
        lambda: iter([http("200 OK", whole(record("9" * 60_000_000)))]),
        "Line 2 .* longer than",
    ),
    "millions of lists in a manifest": (
        "manifest",
        lambda: iter([http("200 OK", b"[" + b"[]," * 2_700_000)]),
        "values",
    ),
    "millions of members in a manifest": (
        "manifest",
        lambda: iter([http("200 OK", b"{" + b",".join(b'"%d":0' % n for n in range(700_000)) + b"}")]),
        "values",
    ),
    "millions of lists in a record": (
        "stream",
        lambda: iter([http("200 OK", whole(record("[" + "[]," * 3_000_000 + "0]")))]),
        "values",
    ),
    "millions of lists beside a record": (
        "stream",
        lambda: iter(
            [http("200 OK", whole(b'[{"names":[' + b"[]," * 3_000_000 + record('"b"')[3:].replace(b",", b"0]},", 1)))]
        ),
        "values",
    ),
    "a listing of one giant part": (
        "digests",
        lambda: after(
            ENDLESS + DIGESTS + b"\x01\xff\xff\xff\xff",
            repeated(b"x" * BLOCK),
        ),
        "part of the source's listing is longer",
    ),
    "a giant list of keys": ("outside", lambda: after(ENDLESS, repeated(b"[" * BLOCK)), "larger than"),
    "a refusal of 1 GB": (
        "stream",
        lambda: after(http("409 Conflict", length=-1, Content_Encoding="gzip"), iter([gigabyte()])),
        "Mend it there",
    ),
}


def sends_all(parts: Parts) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        for part in parts():
            connection.sendall(part)

    return answer


@pytest.fixture(scope="module")
def reader() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.sources.bomb"],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    gigabyte()  # Takes longer to make than to refuse.
    yield process
    process.communicate(timeout=30)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured by Linux's /proc")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_in_a_typed_error_in_little_memory_and_time(name: str, reader: subprocess.Popen[str]) -> None:
    kind, parts, message = BOMBS[name]
    deadline = DEADLINE if "DATA_SYNC_REQUEST_TIMEOUT" in message else 30.0
    server = Server(sends_all(parts))
    assert reader.stdin is not None and reader.stdout is not None
    reader.stdin.write(json.dumps({"kind": kind, "url": server.url, "deadline": deadline}) + "\n")
    reader.stdin.flush()
    found = json.loads(reader.stdout.readline())
    server.close()
    print(f"\n{name}: {found['seconds']} s, {found['mebibytes']} MiB, {found['error']}: {found['message'][:150]}")
    assert found["error"]
    assert re.search(message, found["message"]), found["message"]
    assert found["seconds"] < deadline + SPARE
    assert found["mebibytes"] < MEBIBYTES
