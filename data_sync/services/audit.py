"""The audit trail: chains of events, one for each changeset, source, key and caller, only ever added to."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from data_sync.core.seal import event_hash
from data_sync.models import Changeset, Event

from .actors import Actor
from .announce import announce
from .audit_keys import keyring
from .ledger import event_content, mark_later

__all__ = ["event_content", "record", "record_of"]

_ATTEMPTS = 50


def record(changeset_id: int, actor: Actor, action: str, detail: dict[str, Any]) -> Event:
    """Adds one event to a changeset's chain. To be called inside the transaction of what it records.

    The changeset's row is locked first, so that two writers cannot both follow the same event. Signals that follow from
    the event are sent after the commit.
    """
    chain = f"changeset:{changeset_id}"
    with transaction.atomic():
        if connection.features.has_select_for_update:
            Changeset.objects.select_for_update().filter(pk=changeset_id).values_list("pk").first()
        else:
            _begin_by_writing(chain)
        event = _append(chain, changeset_id, actor, action, detail)
        announce(event)
        return event


def record_of(chain: str, actor: Actor, action: str, detail: dict[str, Any]) -> Event:
    """Adds one event to the chain of something else, such as "source:7", "key:3" or "caller:EMAIL".

    To be called inside the transaction of what it records; where there is none, it has its own, and several may add to
    one chain at a time.
    """
    attempts = 0
    while True:
        attempts += 1
        try:
            with transaction.atomic():
                _begin_by_writing(chain)
                return _append(chain, None, actor, action, detail)
        except IntegrityError:  # Somebody else has added the event of this number.
            if attempts == _ATTEMPTS:
                raise


def _begin_by_writing(chain: str) -> None:
    """SQLite refuses to write at once, without waiting, in a transaction that began by reading."""
    Event._base_manager.filter(chain=chain, number=0).update(number=0)


def _append(chain: str, changeset_id: int | None, actor: Actor, action: str, detail: dict[str, Any]) -> Event:
    last = Event.objects.filter(chain=chain).order_by("-number").first()
    event = Event(
        chain=chain,
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
    key = keyring().newest
    if key is not None:
        event.mac, event.mac_key = key.of_event(chain, event.number, event.hash), key.id
    event.save(force_insert=True)
    mark_later(chain)
    return event
