"""The rows of sources, locked: what concerns a source as a whole is done by one at a time."""

from __future__ import annotations

import hashlib

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import F

from data_sync.core import canonical
from data_sync.core.errors import Busy, RevisionConflict
from data_sync.models import Changeset, DataSource

from .leases import HELD_SECONDS


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


def refuse_held(source: DataSource) -> None:
    """Raises `Busy` instead of waiting where somebody has a changeset of a locked source in a transaction. To be called
    before anything that is done to all changesets or baselines of the source; they are held from then on.

    An apply takes its changeset first and then the source, whose baselines it adds to. Who holds the source and waited
    for that changeset would end in a deadlock, of which the apply may be the victim.
    """
    if not connections[DEFAULT_DB_ALIAS].features.has_select_for_update_skip_locked:
        return
    changesets = Changeset.objects.filter(source=source).order_by()
    if len(changesets.select_for_update(skip_locked=True).values_list("pk")) < changesets.count():
        raise Busy(
            f"A changeset of the source {source.name} is being applied or decided on. Nothing was changed; try again "
            "in a minute.",
            HELD_SECONDS,
        )
