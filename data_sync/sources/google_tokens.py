"""ID tokens that Google makes out for this environment's service account, each used until it is about to expire.

From the metadata server, or from the file that `GOOGLE_APPLICATION_CREDENTIALS` names. Imports google-auth only when a
token is fetched.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from .bounded import bounded
from .failures import Failed
from .google_requests import google_request

SPARE_SECONDS = 300.0
"""So long before it expires a token is replaced: a request takes time, and clocks differ."""
LONGEST_SECONDS = 30.0
"""What fetching may take in all, with the attempts that google-auth makes."""

logger = logging.getLogger("data_sync")


@dataclass(frozen=True, slots=True)
class _Token:
    text: str = field(repr=False)
    expires_at: float


_lock = threading.Lock()
_held: dict[str, _Token] = {}


def token(audience: str, seconds: float) -> str:
    """A token for this audience. Raises `Failed`, which holds none."""
    with _lock:
        held = _held.get(audience)
    if held is not None and held.expires_at - time.time() > SPARE_SECONDS:
        return held.text
    try:
        fetched = bounded(lambda: _fetch(audience), min(seconds, LONGEST_SECONDS))
    except TimeoutError:
        reason = "Google's metadata server or token service did not answer in time"
    except Exception as error:
        # What google-auth says may hold what Google answered, and that is no text for everybody who pulls.
        reason = f"{type(error).__name__}; see the log"
        logger.warning("No Google ID token for %r could be got: %s", audience, type(error).__name__)
        logger.debug("Why there was none", exc_info=error)
    else:
        with _lock:
            _held[audience] = fetched
        return fetched.text
    raise Failed("token", f"no Google ID token could be got for the audience {audience} ({reason})")


def _fetch(audience: str) -> _Token:
    from google.oauth2 import id_token

    request = google_request()
    credentials: Any = id_token.fetch_id_token_credentials(audience, request=request)
    credentials.refresh(request)
    if not credentials.token or credentials.expiry is None:
        raise ValueError("Google answered without a token.")
    return _Token(credentials.token, credentials.expiry.replace(tzinfo=UTC).timestamp())


def forget() -> None:
    """For tests: as in a process that has just begun."""
    with _lock:
        _held.clear()
