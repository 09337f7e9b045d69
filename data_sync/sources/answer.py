"""What a source answered: bounded in bytes, inflated a block at a time."""

from __future__ import annotations

import http.client
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import urllib3

from data_sync.core.errors import IncompleteStream, MalformedStream

from .failures import Deadline, Failed, cut_short

if TYPE_CHECKING:
    import requests

BLOCK = 1 << 16


class Answer:
    """A response: its status and headers, and the body as it was before compression."""

    def __init__(self, response: requests.Response, limit: int, deadline: Deadline) -> None:
        self.status = response.status_code
        self.headers = response.headers
        sent = response.request.headers.items()
        self._secrets = [value.rpartition(" ")[2] for name, value in sent if "authorization" in name.lower()]
        self._raw: urllib3.HTTPResponse = response.raw
        self._limit = limit
        self._deadline = deadline

    def blocks(self) -> Iterator[bytes]:
        """The body in blocks of at most 64 KiB. Raises `Failed`, `IncompleteStream` or `MalformedStream`."""
        encoding = self.headers.get("Content-Encoding", "identity").strip().lower()
        match encoding:
            case "identity" | "":
                return self._bounded(self._wire())
            case "gzip" | "x-gzip":
                return self._bounded(_inflated(self._bounded(self._wire())))
            case _:
                raise MalformedStream(f"the answer is encoded as {encoding[:40]!r}, which was not asked for")

    def without_secrets(self, text: str) -> str:
        """What the source says, fit to be shown: some servers repeat what they were sent, and the key with it."""
        for secret in self._secrets:
            text = text.replace(secret, "•••")
        return text

    def start(self, size: int) -> bytes:
        """The first bytes of the body, for messages; never raises."""
        head = b""
        try:
            for block in self.blocks():
                head += block
                if len(head) >= size:
                    break
        except (Failed, MalformedStream):
            pass
        return head[:size]

    def _wire(self) -> Iterator[bytes]:
        while True:
            failed: Exception | None = None
            try:
                block = self._raw.read(BLOCK, decode_content=False)
            except (urllib3.exceptions.HTTPError, OSError, http.client.HTTPException) as error:
                failed = cut_short(error, self._deadline)
            if failed is not None:
                raise failed
            if not block:
                if self._deadline.expired:
                    raise self._deadline.failure()
                return
            yield block

    def _bounded(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        size = 0
        for block in blocks:
            size += len(block)
            if size > self._limit:
                raise MalformedStream(f"the answer is larger than {self._limit} bytes, the most that is read")
            yield block


def _inflated(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Gunzips in blocks of at most 64 KiB, however much a block inflates to."""
    inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    for block in blocks:
        while block:
            try:
                inflated = inflate.decompress(block, BLOCK)
            except zlib.error:
                raise MalformedStream("the answer says that it is gzip, but it is not") from None
            if inflated:
                yield inflated
            block = inflate.unconsumed_tail
        if inflate.unused_data:
            raise MalformedStream("the compressed answer goes on after its end")
    if not inflate.eof:
        raise IncompleteStream("the compressed answer was cut short")
