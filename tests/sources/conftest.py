"""Answers that come over no real connection: for tests that read thousands of them."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from data_sync.sources.http import HttpSource

KEY = "ds_key"
Read = Callable[[HttpSource], Any]


class Wire:
    """Stands in for a connection: has these bytes to give, and then ends."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(io.BytesIO(self._answer))  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


@pytest.fixture
def reads(settings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes, Read], Any]:
    """Reads an answer that comes over a connection which is none."""
    settings.DATA_SYNC_ALLOWED_HOSTS = ["127.0.0.1"]
    settings.DATA_SYNC_STAGING_ROOT = str(tmp_path)
    coming: list[bytes] = []
    monkeypatch.setattr("urllib3.connection.HTTPConnection._new_conn", lambda self: Wire(coming[-1]))
    monkeypatch.setattr("data_sync.sources.failures._shut_down", lambda connection: None)
    monkeypatch.setattr("urllib3.connection.HTTPConnection.is_connected", property(lambda self: True))

    def read(answer: bytes, how: Read) -> Any:
        coming.append(answer)
        source = HttpSource("http://127.0.0.1:9", KEY)
        try:
            return how(source)
        finally:
            source.close()

    return read
