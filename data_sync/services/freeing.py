"""Freeing a changeset whose apply has lost its worker, so that people can call it off or ask for it anew."""

from __future__ import annotations

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.models import F

from data_sync.core.states import ChangesetState
from data_sync.models import Changeset

from . import leases
from .due import APPLY_LEASE_EXPIRED


def free_lost_apply(changeset_id: int) -> None:
    """Makes it approved again, still asked for, if nobody is at it any more. Leaves every other one as it is.

    Raises `Busy` where a transaction of that worker holds it all the same.
    """
    lost = Changeset.objects.filter(APPLY_LEASE_EXPIRED, pk=changeset_id)
    is_sqlite = connections[DEFAULT_DB_ALIAS].vendor == "sqlite"
    # Looked at beforehand, because MariaDB would wait for the transaction of an apply that is running; but on SQLite a
    # transaction that has read is refused the write lock where another wrote since.
    if not is_sqlite and not lost.exists():
        return
    with transaction.atomic():
        leases.refuse_held_open(lost, f"Changeset {changeset_id}")
        lost.update(state=ChangesetState.APPROVED.value, token="", losses=F("losses") + 1)
