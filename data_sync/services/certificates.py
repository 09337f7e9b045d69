"""Google's public keys, fetched seldom: once for all requests of a process, and not again at once where it failed."""

from __future__ import annotations

import json
import logging
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from data_sync.core.errors import DataSyncError
from data_sync.sources.bounded import bounded
from data_sync.sources.google_requests import google_request

URL = "https://www.googleapis.com/oauth2/v1/certs"
"""Where `google.oauth2.id_token` takes them from. A name in this module, which tests alone set: no setting, environment
variable or request decides whose signatures are believed."""
LIFE_SECONDS = 3600.0
PATIENCE_SECONDS = 10.0
"""For how long a fetch that failed is not repeated."""
UNKNOWN_KEY_SECONDS = 60.0
"""How old the keys must be for a token with another one to have them fetched again: Google changes keys every few days,
and a stranger can make up the name of one at any time."""
TIMEOUT_SECONDS = 5.0
"""What a fetch may take in all."""

logger = logging.getLogger("data_sync")


class KeysUnavailable(DataSyncError):
    """Google's keys cannot be had now, so no token can be verified; `seconds` until another attempt makes sense."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.seconds = int(PATIENCE_SECONDS)


@dataclass(frozen=True, slots=True)
class _Keys:
    content: bytes
    ids: frozenset[str]
    fetched_at: float


@dataclass(frozen=True, slots=True)
class Answer:
    """As `google.auth.transport.Response`."""

    data: bytes
    status: int = HTTPStatus.OK


_lock = threading.Lock()
_keys: _Keys | None = None
_failed_at: float | None = None


def content(key_id: str) -> bytes:
    """The page of certificates, with the key of this name if Google has it. Raises `KeysUnavailable`.

    One thread fetches, and the others wait for it, `TIMEOUT_SECONDS` at most.
    """
    global _keys, _failed_at
    with _lock:
        now = time.monotonic()
        if _keys is not None and now - _keys.fetched_at < (
            LIFE_SECONDS if key_id in _keys.ids else UNKNOWN_KEY_SECONDS
        ):
            return _keys.content
        if _failed_at is not None and now - _failed_at < PATIENCE_SECONDS:
            raise KeysUnavailable("Google's keys could not be fetched a moment ago.")
        try:
            _keys, _failed_at = bounded(_fetch, TIMEOUT_SECONDS), None
        except Exception as error:
            _failed_at = time.monotonic()
            logger.warning("Google's keys could not be fetched from %s: %s", URL, error)
            raise KeysUnavailable(f"Google's keys could not be fetched: {type(error).__name__}.") from error
        return _keys.content


def _fetch() -> _Keys:
    answer: Any = google_request()(URL, method="GET", timeout=TIMEOUT_SECONDS)
    if answer.status != HTTPStatus.OK:
        raise ValueError(f"status {answer.status}")
    page = json.loads(answer.data)
    if not isinstance(page, dict) or not all(isinstance(value, str) for value in page.values()):
        raise ValueError("not a page of certificates")
    return _Keys(answer.data, frozenset(page), time.monotonic())


def forget() -> None:
    """For tests: as in a process that has just begun."""
    global _keys, _failed_at
    with _lock:
        _keys = _failed_at = None
