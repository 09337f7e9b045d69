"""Mail and webhook: handed to the queue as a task of their own, else done at once, always after the commit."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.urls import NoReverseMatch, get_script_prefix, reverse
from django.utils.translation import override

from data_sync import signals
from data_sync.models import Changeset, Event
from data_sync.services import notices
from data_sync.services.due import Submission

from . import choice, target

logger = logging.getLogger("data_sync")

PAUSES = (2.0, 10.0, 30.0)
"""Seconds after which a task tries the webhook again."""


def connect() -> None:
    """Hears of every announcement. May be called more than once."""
    for name, signal in vars(signals).items():
        if name.startswith("changeset_"):
            signal.connect(_hear, sender=Changeset, dispatch_uid="data_sync.tasks.notifying")


def _hear(changeset: Changeset, event: Event, **_: Any) -> None:
    if not notices.is_wanted(event, changeset):
        return
    try:
        queue = choice.chosen()
        if queue is not None and not queue.is_immediate:
            queue.enqueue(Submission(kind="notify", pk=event.pk, number=1))
            return
    except Exception:
        logger.exception("The queue did not take what is to be told of changeset %s; it is told here.", changeset.pk)
    notices.tell(event.pk, link(changeset.pk))


def deliver(event_pk: int) -> None:
    """Does what a task brings; one that is brought twice tells twice."""
    changeset = Event.objects.filter(pk=event_pk).values_list("changeset", flat=True).first()
    if changeset is not None:
        notices.tell(event_pk, link(changeset), PAUSES)


def link(changeset_pk: int) -> str:
    """The changeset's page; "" where `DATA_SYNC_BASE_URL` does not say where this is, or there is no admin."""
    root = target.root()
    if not root:
        return ""
    with override(settings.LANGUAGE_CODE):
        try:
            path = reverse("admin:data_sync_changeset_change", urlconf=settings.ROOT_URLCONF, args=(changeset_pk,))
        except NoReverseMatch:
            return ""
    return f"{root}/{path.removeprefix(get_script_prefix()).lstrip('/')}"
