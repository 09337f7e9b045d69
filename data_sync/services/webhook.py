"""The webhook: a signed POST to one address for each announcement. What it says is counts and states, never values."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Any

from django.views.decorators.debug import sensitive_variables

from data_sync import conf
from data_sync.core import canonical
from data_sync.core.errors import DataSyncError, InvalidInput
from data_sync.models import Changeset, Event
from data_sync.sources.addresses import parse_url
from data_sync.sources.identity import Identity

from .credentials import REFERENCE

if TYPE_CHECKING:
    import requests

logger = logging.getLogger("data_sync")

SECONDS = 5.0
"""For the whole of one attempt: without a queue a person waits for it."""
SHORTEST = 32
"""Characters of the secret."""
_MOST_ANSWERED = 4096


@sensitive_variables()
def secret() -> str:
    """Raises `InvalidInput` where there is none that is fit for it."""
    given = conf.webhook_secret()
    if given.startswith(REFERENCE):
        given = os.environ.get(given.removeprefix(REFERENCE), "").strip()
    if len(given) < SHORTEST:
        raise InvalidInput(f"DATA_SYNC_WEBHOOK_SECRET has to have at least {SHORTEST} characters, or be env:NAME.")
    return given


@sensitive_variables("key")
def signature(key: str, at: int, body: bytes) -> str:
    """The header's value: `t=<Unix time>,v1=<HMAC-SHA-256, in hex, of that time, a full stop and the body>`."""
    mac = hmac.new(key.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={mac.hexdigest()}"


def document(event: Event, changeset: Changeset, kind: str, link: str) -> dict[str, Any]:
    """What is sent. `id` is the same each time that the same thing is told."""
    return {
        "id": event.hash.removeprefix("sha256:"),
        "event": f"changeset_{kind}",
        "changeset": changeset.pk,
        "kind": changeset.kind,
        "state": changeset.state,
        "source": changeset.source_name,
        "counts": {
            "create": changeset.creates,
            "update": changeset.updates,
            "delete": changeset.deletes,
            "rename": changeset.renames,
        },
        "conflicts": changeset.conflicts,
        "guards": [guard["code"] for guard in changeset.guards],
        "actor": event.actor,
        "at": event.at.astimezone(UTC).isoformat(),
        "link": link or None,
    }


def post(document: Mapping[str, Any], pauses: Sequence[float] = ()) -> bool:
    """Sends it, again after each of the `pauses` (seconds) where that may help; whether it was taken.

    Never raises: what fails is logged, without the path of the address, which may be a secret of its own.
    """
    body = canonical.dumps(dict(document)).encode()
    for pause in (*pauses, None):
        reason, is_final = _attempt(body, document)
        if not reason:
            return True
        if is_final or pause is None:
            logger.error("The webhook was not told of changeset %s: %s", document["changeset"], reason)
            return False
        time.sleep(pause)
    return False


class _Signed(Identity):
    """Signs what is sent, in place of a key that says who asks."""

    __slots__ = ("_headers",)

    def __init__(self, headers: dict[str, str]) -> None:
        super().__init__("")
        self._headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._headers)
        return request


def _attempt(body: bytes, document: Mapping[str, Any]) -> tuple[str, bool]:
    """Why it was not taken, "" where it was; and whether to send it again is of no use."""
    from data_sync.sources.failures import Failed
    from data_sync.sources.transport import Transport

    try:
        url = parse_url(conf.webhook_url())
        headers = {
            "X-Data-Sync-Event": document["event"],
            "X-Data-Sync-Delivery": document["id"],
            "X-Data-Sync-Signature": signature(secret(), int(time.time()), body),
        }
        transport = Transport(url, _Signed(headers))
    except (DataSyncError, Failed) as error:
        return str(error), True
    try:
        with transport.ask("", _MOST_ANSWERED, body, seconds=SECONDS) as answer:
            status = answer.status
    except Failed as failed:
        return f"{url.host}: {failed}", failed.stage in ("address", "tls")
    except Exception as error:
        return f"{url.host}: {type(error).__name__}", False
    finally:
        transport.close()
    if 200 <= status < 300:
        return "", True
    return f"{url.host} answered with status {status}", status < 500 and status != 429
