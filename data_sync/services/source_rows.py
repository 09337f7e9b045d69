"""The rows of sources, locked: what concerns a source as a whole is done by one at a time."""

from __future__ import annotations

from django.db.models import F

from data_sync.models import DataSource


def chain(pk: int) -> str:
    """Where the audit trail has what happened to a source."""
    return f"source:{pk}"


def locked(source: DataSource) -> DataSource:
    """The stored source, locked: a pull that is asked for meanwhile waits, and then reads what became of it.

    To be called first in a transaction. Raises `DataSource.DoesNotExist`.
    """
    # Writes first, for SQLite. On PostgreSQL it takes the stronger lock to keep new pulls from referring to the row.
    DataSource.objects.filter(pk=source.pk).update(name=F("name"))
    return DataSource.objects.select_for_update().get(pk=source.pk)
