"""Leases: a worker's right to a pull or an apply, which lasts as long as it shows signs of life.

Who holds one is what the work's own row says (its `token`); until when, its heartbeat. Time is the database's.
"""

from __future__ import annotations

import logging
import math
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, TypeAlias

from django.db import DEFAULT_DB_ALIAS, Error, connection, connections
from django.db.models import Exists, Model, OuterRef, Q, QuerySet, Value
from django.db.models.expressions import CombinedExpression

from data_sync import conf
from data_sync.core.errors import Busy, LeaseLost
from data_sync.models import ApplyHeartbeat, PullHeartbeat
from data_sync.models.time import UtcNow

Heartbeats: TypeAlias = type[PullHeartbeat] | type[ApplyHeartbeat]

logger = logging.getLogger("data_sync")

BEAT_SECONDS = 1.0
PATIENCE_MILLISECONDS = 100
"""How long a heartbeat waits for SQLite. A writer that waits there holds new readers off."""
JOIN_SECONDS = 5
HELD_SECONDS = 60
MAX_LOSSES = 3
"""So many workers may be lost at something in succession; after that it is given up."""


def new_token() -> str:
    return secrets.token_hex(16)


def expired(heartbeats: Heartbeats) -> Q:
    """Of rows that somebody works at: nobody does any more.

    Not by a join, which would become a subquery over the updated table itself: PostgreSQL does not ask that again once
    another transaction has changed the row.
    """
    return Q(Exists(heartbeats._base_manager.filter(work=OuterRef("pk"), lease_expires_at__lt=UtcNow())))


def begin(heartbeats: Heartbeats, pk: int) -> None:
    """Starts the lease of who has just claimed a row. To be called in the transaction of the claim."""
    values = {"lease_expires_at": _end(), "phase": "", "done": 0, "total": 0}
    if not heartbeats._base_manager.filter(work=pk).update(**values):
        heartbeats._base_manager.create(work_id=pk, **values)


def end(heartbeats: Heartbeats, pk: int, token: str) -> None:
    """Gives a lease back, if it still is the one with this token: whoever comes next may go on at once."""
    heartbeats._base_manager.filter(work=pk, work__token=token).update(
        lease_expires_at=UtcNow() - Value(timedelta(seconds=1))
    )


def busy(heartbeats: Heartbeats, pk: int, what: str) -> Busy:
    """That another worker holds the lease of `what`, and for how long at least."""
    row = heartbeats._base_manager.filter(work=pk).annotate(now=UtcNow()).values("lease_expires_at", "now").first()
    left = (row["lease_expires_at"] - row["now"]).total_seconds() if row else 1
    seconds = max(1, math.ceil(left))
    return Busy(
        f"{what} by another worker. If that worker is gone, its lease ends in {seconds} s; try again then.", seconds
    )


def is_held_open(rows: QuerySet[Any]) -> bool:
    """Whether a transaction of somebody else holds the one row, which an update would have to wait for.

    A worker that was paused in the middle of its transaction does, for longer than its lease. To be called in a
    transaction, which then holds the row itself.
    """
    if not connections[DEFAULT_DB_ALIAS].features.has_select_for_update_skip_locked:
        return False
    return rows.exists() and not rows.select_for_update(skip_locked=True).exists()


def refuse_held_open(rows: QuerySet[Any], what: str) -> None:
    """Raises `Busy` instead of waiting for a transaction, in which nobody can interfere.

    The row is held from then on: PostgreSQL, which asks an update's conditions on heartbeats as of its beginning,
    cannot have waited in between.
    """
    if is_held_open(rows):
        raise Busy(
            f"{what} is held by a transaction of its worker. Try again in a minute; if it does not stir, that worker "
            "was paused: end it, or its connection to the database.",
            HELD_SECONDS,
        )


def _end() -> CombinedExpression:
    return UtcNow() + Value(timedelta(seconds=conf.lease_seconds()))


class Lease:
    """A lease that has been claimed with this token. Within `with`, it is renewed and tells how far the work is.

    That is done by a thread with a connection of its own: it goes on while the work's connection is in a transaction,
    and stops with the process, also where that is only paused.
    """

    def __init__(self, row: Model, token: str, heartbeats: Heartbeats, what: str) -> None:
        self._held = type(row)._base_manager.filter(pk=row.pk)
        self._token = token
        self._beats = heartbeats._base_manager.filter(work=row.pk)
        self._what = what
        self._is_lost = False
        self._is_over = threading.Event()
        self._beating = threading.Lock()
        self._state: dict[str, Any] = {}
        self._renewed_at = time.monotonic()
        self._thread = threading.Thread(target=self._beat_on, name="data_sync-heartbeat", daemon=True)

    def __enter__(self) -> Lease:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join(JOIN_SECONDS)  # Its connection may be one that died without a word.

    def begin_phase(self, phase: str, total: int = 0) -> None:
        """From here on, `total` steps of this phase are to be done. Raises `LeaseLost`, as `note` does."""
        self._state = {"phase": phase, "done": 0, "total": total}
        self.check()

    def note(self, done: int) -> None:
        """So many steps of the phase are done."""
        self._state["done"] = done
        self.check()

    def advance(self, steps: int) -> None:
        self.note(self._state.get("done", 0) + steps)

    def check(self) -> None:
        """Raises `LeaseLost` where another worker has taken over, or the work was cancelled.

        As of the latest heartbeat: what is written must be under the token besides.
        """
        if self._is_lost:
            raise LeaseLost(f"{self._what} was cancelled, or another worker has taken it over.")

    def confirm(self) -> None:
        """As `check`, as of now."""
        self._look()
        self.check()

    def _look(self) -> None:
        row = self._held.values("token").first()
        self._is_lost = self._is_lost or (row is not None and row["token"] != self._token)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """No heartbeats on SQLite within: there they would only wait for the writer, which is this worker itself."""
        if connections[DEFAULT_DB_ALIAS].vendor != "sqlite":
            yield
            return
        with self._beating:
            yield

    def _beat_on(self) -> None:
        try:
            while not self._is_over.wait(BEAT_SECONDS) and not self._is_lost:
                if self._beating.acquire(blocking=False):
                    try:
                        self._beat()
                    except Error as error:
                        self._miss(error)
                        connection.close()
                    finally:
                        self._beating.release()
        finally:
            connection.close()

    def _miss(self, error: Error) -> None:
        """On SQLite heartbeats are missed whenever somebody writes; elsewhere, too many have a cause."""
        silent_for = time.monotonic() - self._renewed_at
        level = logging.WARNING if silent_for > conf.lease_seconds() / 2 else logging.DEBUG
        logger.log(level, "%s: no heartbeat for %.0f s: %s", self._what, silent_for, error)

    def _beat(self) -> None:
        if connection.vendor == "sqlite":
            with connection.cursor() as cursor:
                cursor.execute(f"PRAGMA busy_timeout = {PATIENCE_MILLISECONDS}")
        # Asked first, and not within the update: MariaDB would wait there for the transaction of the apply.
        self._look()
        if not self._is_lost:
            self._beats.update(lease_expires_at=_end(), **self._state)
            self._renewed_at = time.monotonic()
