"""Whether export keys are about that nobody would miss, or that nobody looks after."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from django.core.checks import CheckMessage, Info, Warning
from django.db.models import Q, QuerySet
from django.utils import timezone

from data_sync.models import ExportKey

from .registering import stored

UNUSED = timedelta(days=90)
MOST_NAMES = 10


@stored
def check_keys() -> Iterator[CheckMessage]:
    active = _active()
    if names := _names(active.filter(expires_at=None)):
        yield Warning(
            f"Export keys that never expire: {names}. One that leaks is of use until somebody notices.",
            hint="Make a new one with --expires DAYS, give it to its reader, and revoke the old one.",
            id="data_sync.W024",
        )
    before = timezone.now() - UNUSED
    unused = active.filter(Q(last_used_at__lt=before) | Q(last_used_at=None, created_at__lt=before))
    if names := _names(unused):
        yield Warning(
            f"Export keys that nobody has used for {UNUSED.days} days: {names}.",
            hint="Revoke what is not needed: data_sync key revoke NAME.",
            id="data_sync.W025",
        )
    if names := _names(key for key in active if not key.model_labels):
        yield Info(
            f"Export keys for every registered model, also those registered later: {names}.",
            hint="Where a reader needs some models only, make its key with --models.",
            id="data_sync.I001",
        )


def _active() -> QuerySet[ExportKey]:
    return ExportKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None)


def _names(keys: Iterable[ExportKey]) -> str:
    names = [f"“{key.name}”" for key in keys]
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
