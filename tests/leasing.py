"""Leases and heartbeats as tests need them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from data_sync.models import ApplyHeartbeat, Changeset, DataPull, PullHeartbeat
from data_sync.services.leases import Lease


def beat(work: DataPull | Changeset, seconds: float = 60, **values: Any) -> None:
    """The heartbeat of a worker whose lease ends in so many seconds."""
    heartbeats = PullHeartbeat if isinstance(work, DataPull) else ApplyHeartbeat
    values["lease_expires_at"] = timezone.now() + timedelta(seconds=seconds)
    heartbeats._base_manager.update_or_create(work_id=work.pk, defaults=values)


def expire() -> None:
    """Ends every lease, as time would."""
    for heartbeats in (PullHeartbeat, ApplyHeartbeat):
        heartbeats._base_manager.update(lease_expires_at=timezone.now() - timedelta(seconds=1))


@contextmanager
def held_open() -> Iterator[None]:
    """A transaction of somebody else holds every pull and changeset, and does not stir."""
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            for table in ("data_sync_pull", "data_sync_changeset"):
                cursor.execute(f"UPDATE {table} SET attempt = attempt")
            yield
        other.rollback()
    finally:
        other.close()


def lease(changeset: Changeset) -> Lease:
    """The lease of who has claimed a changeset, not renewed."""
    return Lease(changeset, changeset.token, ApplyHeartbeat, f"Changeset {changeset.pk}")
