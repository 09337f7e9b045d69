"""What was read from here, by whom: an event for every export, in the chain of the key or caller.

Recorded before anything is sent: what cannot be recorded is refused. A pull asks for records and files thousands of
times, so of these the first of a caller from an address within `SELDOM` is recorded, to know that they had some.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import IO, Any, Literal

from django.db import DatabaseError, IntegrityError, OperationalError, transaction
from django.utils import timezone

from data_sync.core.errors import DataSyncError
from data_sync.core.source import Request
from data_sync.models import Event, ExportKey

from . import audit, keys
from .actors import Actor
from .callers import Caller
from .export import Spool

SELDOM = timedelta(minutes=10)
PATIENCE_SECONDS = 10.0
"""For how long a database that is locked is tried, beyond what each attempt waits by itself."""
_LOOKED_BACK = 20
_logger = logging.getLogger("data_sync")


class NotRecorded(DataSyncError):
    """The audit trail cannot be written now, so nothing is exported."""


class NoLongerAccepted(DataSyncError):
    """The key was revoked, or has expired, since its holder was let in."""


def record_export(caller: Caller, action: Literal["exported", "listed"], request: Request, spool: Spool) -> None:
    """An event with the rows of each model, the closing digest and the fields that were left out.

    Raises `NotRecorded` and `NoLongerAccepted`; the spool is closed then.
    """
    omitted = {label: sorted(names) for label, names in request.omitted.items() if names}
    detail = {"rows": spool.closing["counts"], "digest": spool.closing["digest"], "omitted": omitted}
    _record_or_close(spool.file, caller, action, detail)


def record_some(
    caller: Caller, action: Literal["records_read", "files_read"], detail: Mapping[str, Any], file: IO[bytes] | None
) -> None:
    """An event, if the caller has none of this action from their address within `SELDOM`. Raises as `record_export`
    does; `file` is closed then."""
    if not _is_recorded(caller, action):
        _record_or_close(file, caller, action, detail)


def _record_or_close(file: IO[bytes] | None, caller: Caller, action: str, detail: Mapping[str, Any]) -> None:
    try:
        _record(caller, action, {**detail, "address": caller.address})
    except BaseException:
        if file is not None:
            file.close()
        raise


def _record(caller: Caller, action: str, detail: dict[str, Any]) -> None:
    given_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return _try(caller, action, detail)
        except DatabaseError as error:
            # Another event of the chain was quicker, or SQLite's one writer is somebody else.
            if not isinstance(error, IntegrityError | OperationalError) or time.monotonic() > given_up:
                _logger.exception("The export could not be recorded, and was refused.")
                raise NotRecorded(
                    f"The audit trail there cannot be written ({type(error).__name__}), and nothing is exported that "
                    "is not in it; see the log there."
                ) from error
        time.sleep(0.05)


def _try(caller: Caller, action: str, detail: dict[str, Any]) -> None:
    actor = Actor(label=caller.name)
    if caller.key_pk is None:
        audit.record_of(caller.chain, actor, action, detail)
        return
    with transaction.atomic():
        # Locks the key, whose chain it is; and an UPDATE, as SQLite gives no lock to a transaction that has read.
        held = ExportKey.objects.filter(keys.usable(), pk=caller.key_pk)
        if not held.update(last_used_at=timezone.now(), last_used_from=caller.address):
            raise NoLongerAccepted("The export key is no longer accepted.")
        audit.record_of(caller.chain, actor, action, detail)


def _is_recorded(caller: Caller, action: str) -> bool:
    # The last ones by number, which has an index, however many the chain has.
    latest = Event.objects.filter(chain=caller.chain).order_by("-number")
    since = timezone.now() - SELDOM
    return any(
        done == action and at > since and detail.get("address") == caller.address
        for done, at, detail in latest.values_list("action", "at", "detail")[:_LOOKED_BACK]
    )
