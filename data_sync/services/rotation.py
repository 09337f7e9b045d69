"""Rotation: every stored key encrypted anew, so that an old text can leave the settings."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.views.decorators.debug import sensitive_variables

from data_sync.models import DataSource

from . import audit, credentials, encryption
from .actors import Actor
from .source_rows import chain


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """Names of sources: those whose keys were encrypted anew, that need nothing, and that cannot be decrypted."""

    rotated: tuple[str, ...]
    current: tuple[str, ...]
    failed: tuple[str, ...]


def rotate_keys(actor: Actor, source: DataSource | None = None) -> Rotation:
    """Encrypts the stored keys, or one source's, with what encrypts now. A second time changes nothing.

    Each for itself: one that cannot be decrypted stays as it is, and is named. Raises `NotPermitted`, and
    `DataSyncError` where the settings hold no sound keys.
    """
    actor.require("data_sync.change_datasource")
    chosen = DataSource.objects.all() if source is None else DataSource.objects.filter(pk=source.pk)
    found: dict[str, list[str]] = {"rotated": [], "current": [], "failed": []}
    for pk, name in chosen.values_list("pk", "name"):
        found[_rotate(pk, actor)].append(name)
    return Rotation(**{outcome: tuple(names) for outcome, names in found.items()})


@sensitive_variables()
def _rotate(pk: int, actor: Actor) -> str:
    while True:
        stored = DataSource.objects.filter(pk=pk).values_list("key", flat=True).first()
        if not stored:
            return "current"
        try:
            renewed = credentials.renew(stored)
        except encryption.CannotDecrypt:
            return "failed"
        if renewed == stored:
            return "current"
        with transaction.atomic():
            # Only what was read: somebody may have given the source another key meanwhile.
            if DataSource.objects.filter(pk=pk, key=stored).update(key=renewed):
                audit.record_of(chain(pk), actor, "key_rotated", {})
                return "rotated"
