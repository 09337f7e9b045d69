"""The rows of sources, locked: what concerns a source as a whole is done by one at a time."""

from __future__ import annotations

import hashlib

from django.db.models import F

from data_sync.core import canonical
from data_sync.core.errors import RevisionConflict
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


def digest_of(shown: object) -> str:
    """Stands for what a form showed, which it sends back; it tells nothing of it."""
    return hashlib.sha256(canonical.dumps(shown).encode()).hexdigest()


def identity_of(source: DataSource) -> str:
    """Stands for a source's name, URL, key and audience."""
    return digest_of([source.name, source.url, source.key, source.google_audience])


def refuse_other(seen: str | None, now: str) -> None:
    """Raises `RevisionConflict` where what is stored is not what was seen. To be called under the lock.

    None: who asks has seen no form.
    """
    if seen is not None and seen != now:
        raise RevisionConflict("Somebody has changed the source meanwhile. Nothing was done; look again.")
