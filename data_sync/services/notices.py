"""Telling others of an event, as the settings want it: mail to approvers, and the webhook."""

from __future__ import annotations

from collections.abc import Sequence

from data_sync import conf
from data_sync.models import Changeset, Event

from .announce import kind_of
from .approvers_mail import mail_approvers
from .webhook import document, post


def is_wanted(event: Event, changeset: Changeset) -> bool:
    """Whether the settings have anybody told of it. Asks nobody."""
    kind = kind_of(event, changeset)
    return bool(kind and (conf.webhook_url() or (kind == "ready" and conf.mail_approvers())))


def tell(event_pk: int, link: str, pauses: Sequence[float] = ()) -> None:
    """Tells them, in no transaction: the network is waited for. `link` leads to the changeset; "" where it is not known
    where that is. `pauses` are the seconds after which the webhook is tried again. Never raises for what others do."""
    event = Event.objects.select_related("changeset").filter(pk=event_pk, changeset__isnull=False).first()
    if event is None or event.changeset is None:
        return
    changeset = event.changeset
    kind = kind_of(event, changeset)
    if kind and conf.webhook_url():
        post(document(event, changeset, kind, link), pauses)
    if kind == "ready" and conf.mail_approvers():
        mail_approvers(changeset, link)
