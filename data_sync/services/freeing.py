"""Freeing a changeset whose apply has lost its worker, so that people can call it off or ask for it anew."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F

from data_sync.core.states import ChangesetState
from data_sync.models import Changeset

from . import leases
from .due import APPLY_LEASE_EXPIRED


def free_lost_apply(changeset_id: int) -> None:
    """Makes it approved again, still asked for, if nobody is at it any more. Leaves every other one as it is.

    Raises `Busy` where a transaction of that worker holds it all the same.
    """
    with transaction.atomic():
        lost = Changeset.objects.filter(APPLY_LEASE_EXPIRED, pk=changeset_id)
        leases.refuse_held_open(lost, f"Changeset {changeset_id}")
        lost.update(state=ChangesetState.APPROVED.value, token="", losses=F("losses") + 1)
