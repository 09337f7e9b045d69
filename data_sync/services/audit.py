"""The audit trail of each changeset: a chain of events, only ever added to."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from django.db import transaction
from django.utils import timezone

from data_sync.core.seal import event_hash
from data_sync.models import Changeset, Event

from .actors import Actor


def record(changeset_id: int, actor: Actor, action: str, detail: dict[str, Any]) -> Event:
    """Adds one event. To be called inside the transaction of what it records.

    The changeset's row is locked first, so that two writers cannot both follow the same event.
    """
    with transaction.atomic():
        Changeset.objects.select_for_update().filter(pk=changeset_id).values_list("pk").first()
        last = Event.objects.filter(changeset_id=changeset_id).order_by("-number").first()
        event = Event(
            changeset_id=changeset_id,
            number=last.number + 1 if last else 1,
            at=timezone.now(),
            user=actor.user,
            actor=actor.label,
            action=action,
            detail=detail,
            previous=last.hash if last else "",
        )
        event.hash = event_hash(event.previous, event_content(event))
        event.save(force_insert=True)
    return event


def event_content(event: Event) -> dict[str, Any]:
    """What an event's hash covers, as it stands in exports. `at` is UTC, in ISO 8601."""
    return {
        "number": event.number,
        "at": event.at.astimezone(UTC).isoformat(),
        "actor": event.actor,
        "action": event.action,
        "detail": event.detail,
    }
