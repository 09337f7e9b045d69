"""The ledger: marks of how far each chain of events went, in one order, each following the one before it.

A chain proves nothing about its own end: whoever cuts it there leaves a chain. The mark that was made of the events
that are gone says so. Marks are made after commit, in transactions of their own: within the transaction of what they
tell of, everybody would wait for everybody. What is lost between the two, `complete` makes good.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC
from functools import partial
from itertools import islice
from typing import Any

from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from data_sync.core.errors import DataSyncError
from data_sync.core.macs import Keyring, same
from data_sync.core.seal import event_hash, mark_digest
from data_sync.models import ChainMark, Event

from .audit_keys import keyring

logger = logging.getLogger("data_sync")
_ATTEMPTS = 20


def mark_later(chain: str) -> None:
    """Has the head of a chain marked once the transaction is committed. It is never the reason why anything fails."""
    transaction.on_commit(partial(_mark_quietly, chain), robust=True)


def _mark_quietly(chain: str) -> None:
    try:
        mark(chain)
    except (DatabaseError, DataSyncError) as error:
        # The next sweep does it.
        logger.warning("The head of the audit trail's chain %s could not be marked: %s", chain, error)


def complete(limit: int) -> int:
    """Marks the heads that were not, of at most so many chains; gives how many."""
    found = 0
    for chain in list(islice(unmarked_chains(), limit)):
        try:
            found += mark(chain)
        except DataSyncError as error:
            logger.error("The head of the audit trail's chain %s is not marked: %s", chain, error)
    return found


def mark(chain: str) -> bool:
    """Marks the head of a chain; whether it was not marked yet.

    Raises `DataSyncError` where the events since its last mark do not follow it, or, once the ledger has codes, were
    not made with a key that is known: what somebody has put there must not be vouched for.
    """
    last = ChainMark.objects.filter(chain=chain).order_by("-sequence").first()
    number, previous = (0, "") if last is None else (last.number, last.hash)
    head = None
    keys = keyring()
    needs_code = bool(keys) and _is_keyed()
    for head in Event.objects.filter(chain=chain, number__gt=number).order_by("number").iterator(chunk_size=500):
        number += 1
        if wrong := event_problem(head, number, previous, keys):
            raise DataSyncError(f"{wrong} Find out who altered it: data_sync verify --all.")
        if needs_code and keys.get(head.mac_key) is None:
            raise DataSyncError(
                f"Event {number} of {chain} has no code under a key of DATA_SYNC_AUDIT_KEYS, and the ledger vouches "
                "for none without. Put its key back into the list, or find out who made it."
            )
        previous = head.hash
    if head is None:
        return False
    for attempt in range(_ATTEMPTS):
        try:
            with transaction.atomic():
                _append(chain, head, keys)
            return True
        except IntegrityError:  # Another chain's mark has taken the place.
            if attempt == _ATTEMPTS - 1:
                raise
    return False


def _is_keyed() -> bool:
    """Whether the ledger has codes already. Until then it takes what was there before there were keys."""
    last = ChainMark.objects.order_by("-sequence").values_list("mac_key", flat=True).first()
    return bool(last)


def _append(chain: str, head: Event, keys: Keyring) -> None:
    # SQLite refuses to write at once, without waiting, in a transaction that began by reading.
    ChainMark._base_manager.filter(sequence=0).update(number=0)
    last = ChainMark.objects.order_by("-sequence").first()
    mark = ChainMark(
        sequence=1 if last is None else last.sequence + 1,
        chain=chain,
        number=head.number,
        hash=head.hash,
        at=timezone.now(),
        previous="" if last is None else last.digest,
    )
    mark.digest = mark_digest(mark.previous, mark_content(mark))
    if keys.newest is not None:
        mark.mac, mark.mac_key = keys.newest.of_mark(mark.digest), keys.newest.id
    mark.save()


def mark_content(mark: ChainMark) -> dict[str, Any]:
    """What a mark's digest covers besides the digest before it."""
    return {
        "sequence": mark.sequence,
        "chain": mark.chain,
        "number": mark.number,
        "hash": mark.hash,
        "at": mark.at.astimezone(UTC).isoformat(),
    }


def event_content(event: Event) -> dict[str, Any]:
    """What an event's hash covers, as it stands in exports. `at` is UTC, in ISO 8601."""
    return {
        "number": event.number,
        "at": event.at.astimezone(UTC).isoformat(),
        "actor": event.actor,
        "action": event.action,
        "detail": event.detail,
    }


def event_problem(event: Event, number: int, previous: str, keys: Keyring) -> str:
    """What is wrong with an event that has to be the one of this number and to follow this hash; "" where nothing is.

    A code under a key that is not known here is not looked at.
    """
    name = f"Event {number} of {event.chain}"
    if event.number != number:
        return f"{name} is missing: event {event.number} is where it has to be."
    if event.previous != previous:
        return f"{name} does not follow the one before it."
    if event_hash(previous, event_content(event)) != event.hash:
        return f"What {name[0].lower()}{name[1:]} says is not what its hash is of."
    key = keys.get(event.mac_key) if event.mac_key else None
    if key is not None and not same(key.of_event(event.chain, event.number, event.hash), event.mac):
        return f"{name} was not made here: its code is not that of key {event.mac_key}."
    return ""


def unmarked_chains() -> Iterator[str]:
    """Chains whose head is not marked."""
    marked = ChainMark.objects.filter(chain=OuterRef("chain"), number__gte=OuterRef("number"))
    unmarked = Event.objects.filter(~Exists(marked)).order_by("chain")
    yield from unmarked.values_list("chain", flat=True).distinct().iterator()
