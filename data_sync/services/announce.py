"""Telling the project what has become of a changeset: a signal after the commit of each event that is worth one.

The audit trail says what happened, so signals follow from its events: one each, and none of what was rolled back.
A process that is killed between the commit and the signal sends none.
"""

from __future__ import annotations

import logging
from functools import partial

from django.db import transaction
from django.dispatch import Signal

from data_sync import signals
from data_sync.core.states import ChangesetState
from data_sync.models import Changeset, Event

logger = logging.getLogger("data_sync")

_SIGNALS: dict[str, Signal] = {
    "pulled": signals.changeset_ready,
    "left_for_review": signals.changeset_ready,
    "approved": signals.changeset_approved,
    "auto_approved": signals.changeset_approved,
    "applied": signals.changeset_applied,
    "stale": signals.changeset_failed,
    "failed": signals.changeset_failed,
    "reverted": signals.changeset_reverted,
}
"""By the action of an event. Events of other actions are told nobody."""
NAMES = {
    signal: name
    for name in ("ready", "approved", "applied", "failed", "reverted")
    for signal in (getattr(signals, f"changeset_{name}"),)
}
_WAITS = (ChangesetState.PENDING, ChangesetState.BLOCKED)


def announce(event: Event) -> None:
    """Has the signal of an event sent once the transaction that it was recorded in is committed."""
    if event.action in _SIGNALS and event.changeset_id is not None:
        transaction.on_commit(partial(_send, event, event.changeset_id), robust=True)


def kind_of(event: Event, changeset: Changeset) -> str:
    """What an event of this changeset announces: "ready", "approved", "applied", "failed", "reverted"; else ""."""
    signal = _SIGNALS.get(event.action)
    match event.action:
        case "pulled" if changeset.auto_state:
            return ""  # Whether it waits for people is still to be seen.
        case "left_for_review" if changeset.state not in _WAITS:
            return ""
        case _:
            return "" if signal is None else NAMES[signal]


def _send(event: Event, changeset_id: int) -> None:
    """Never raises: what is committed must not look as if it had failed."""
    try:
        changeset = Changeset.objects.get(pk=changeset_id)
        if kind_of(event, changeset):
            # Django logs what receivers raise.
            _SIGNALS[event.action].send_robust(Changeset, changeset=changeset, actor=event.actor, event=event)
    except Exception:
        logger.exception("That changeset %s was %s could not be announced.", changeset_id, event.action)
