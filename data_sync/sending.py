"""How an answer that lies in a file is sent: compressed or not, whole or a range of it, under WSGI and ASGI."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Iterator
from typing import IO, Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

BLOCK = 1 << 16
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def send_records(request: HttpRequest, spool: IO[bytes], is_compressed: bool) -> StreamingHttpResponse:
    """Sends a spool of record lines."""
    response = send(request, spool, 0, size_of(spool))
    response["Content-Type"] = "application/x-ndjson"
    response["Vary"] = "Accept-Encoding"
    if is_compressed:
        response["Content-Encoding"] = "gzip"
    return response


def accepts_gzip(request: HttpRequest) -> bool:
    """Whether the reader takes gzip (RFC 9110, section 12.5.3)."""
    for part in request.headers.get("Accept-Encoding", "").lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() == "gzip":
            return re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", weight) is None
    return False


def range_of(request: HttpRequest, size: int, checksum: str) -> tuple[int, int] | None:
    """The bytes asked for, from and up to; None where the header is absent or of a kind to be ignored.

    Raises `ValueError` for a range that lies outside (RFC 9110, sections 14.1.2 and 15.5.17).
    """
    asked = _RANGE.fullmatch(request.headers.get("Range", ""))
    if asked is None or request.headers.get("If-Range", f'"{checksum}"') != f'"{checksum}"':
        return None
    match asked.groups():
        case ("", ""):
            return None
        case ("", last):
            start, stop = max(0, size - int(last)), size
        case (first, ""):
            start, stop = int(first), size
        case (first, last):
            start, stop = int(first), min(size, int(last) + 1)
            if int(last) < start:
                return None
    if start >= stop:
        raise ValueError
    return start, stop


def size_of(spool: IO[bytes]) -> int:
    """In bytes."""
    return os.fstat(spool.fileno()).st_size


def send(request: HttpRequest, spool: IO[bytes], start: int, stop: int) -> StreamingHttpResponse:
    """Sends these bytes of a spool, which is closed, and with that gone, when the response is."""
    spool.seek(start)
    body = AsyncBody if isinstance(request, ASGIRequest) else Body
    response = StreamingHttpResponse(body(spool, stop - start), content_type="application/octet-stream")
    response["Content-Length"] = str(stop - start)
    return response


class _Spooled:
    def __init__(self, spool: IO[bytes], size: int) -> None:
        self._spool = spool
        self._left = size

    def close(self) -> None:
        self._spool.close()

    def _next(self) -> bytes:
        block = self._spool.read(min(BLOCK, self._left))
        self._left -= len(block)
        return block


class Body(_Spooled):
    """For WSGI."""

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._next, b"")


class AsyncBody(_Spooled):
    """For ASGI, where Django would read a plain iterator to its end before it sends anything."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._blocks()

    async def _blocks(self) -> AsyncIterator[bytes]:
        read: Any = sync_to_async(self._next, thread_sensitive=False)
        while block := await read():
            yield block
