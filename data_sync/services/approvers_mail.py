"""Mail to those who may approve, about a changeset that waits: counts and a link. No values, and no keys."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.contrib.auth import get_backends, get_user_model
from django.core.mail import EmailMessage, get_connection
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, override

from data_sync import conf
from data_sync.core.states import ChangesetState
from data_sync.models import Changeset

logger = logging.getLogger("data_sync")
PERMISSION = "data_sync.approve_changeset"


def mail_approvers(changeset: Changeset, link: str) -> None:
    """One mail for each recipient, who sees nobody else's address. Failures are logged, never raised."""
    try:
        with override(settings.LANGUAGE_CODE):
            subject, body = _subject(changeset), "\n".join(_lines(changeset, link))
        addresses = recipients(changeset)
        connection = get_connection()
        headers = {"Auto-Submitted": "auto-generated"}  # RFC 3834: so that out-of-office replies stay away.
        for address in addresses:
            try:
                EmailMessage(subject, body, None, [address], connection=connection, headers=headers).send()
            except Exception:  # the mail backend is the project's own
                logger.exception("The mail about changeset %s to one of its approvers was not sent.", changeset.pk)
    except Exception:
        logger.exception("The mails about changeset %s were not sent.", changeset.pk)


def recipients(changeset: Changeset) -> list[str]:
    """The addresses of the setting; or of every active user who may approve, but whoever asked for the changeset, where
    four eyes are required."""
    wanted = conf.mail_approvers()
    if isinstance(wanted, tuple):
        return list(dict.fromkeys(wanted))
    if not wanted:
        return []
    field = get_user_model().get_email_field_name()
    found: dict[str, str] = {}
    for user in _approvers():
        address = (getattr(user, field, "") or "").strip()
        if address and not (conf.four_eyes() and user.pk == changeset.requested_by_id):
            found.setdefault(address.lower(), address)
    return sorted(found.values())


def _approvers() -> Iterator[Any]:
    """Of the backends that can tell who has a permission, as Django's own can."""
    for backend in get_backends():
        with_permission = getattr(backend, "with_perm", None)
        if with_permission is not None:
            yield from with_permission(PERMISSION).iterator(chunk_size=200)


def _subject(changeset: Changeset) -> str:
    names = {"number": changeset.pk, "source": _line(changeset.source_name)}
    if changeset.state == ChangesetState.BLOCKED:
        return _("Changeset %(number)s from %(source)s is blocked by a guard") % names
    return _("Changeset %(number)s from %(source)s waits for review") % names


def _lines(changeset: Changeset, link: str) -> Iterator[str]:
    yield f"{_subject(changeset)}."
    yield _("Asked for by %(who)s.") % {"who": _line(changeset.actor)}
    yield ""
    yield from _counted(changeset)
    yield ""
    yield link or _("Look for its number among the changesets of the admin.")


def _counted(changeset: Changeset) -> Iterator[str]:
    """What is in it and what deserves a second look, each in a line; what there is none of is left out."""
    counts = (
        (changeset.creates, ngettext("%(n)s row added", "%(n)s rows added", changeset.creates)),
        (changeset.updates, ngettext("%(n)s row changed", "%(n)s rows changed", changeset.updates)),
        (changeset.renames, ngettext("%(n)s row renamed", "%(n)s rows renamed", changeset.renames)),
        (changeset.deletes, ngettext("%(n)s row deleted", "%(n)s rows deleted", changeset.deletes)),
        (changeset.conflicts, ngettext("%(n)s conflict", "%(n)s conflicts", changeset.conflicts)),
        *_risks(changeset),
    )
    yield from (words % {"n": count} for count, words in counts if count)


def _risks(changeset: Changeset) -> Iterator[tuple[int, str]]:
    along, problems = (sum(row.get(what, 0) for row in changeset.summary) for what in ("cascades", "problems"))
    yield along, ngettext("%(n)s row that goes along", "%(n)s rows that go along", along)
    yield problems, ngettext("%(n)s change that cannot be applied", "%(n)s changes that cannot be applied", problems)
    guards, omitted = len(changeset.guards), len(changeset.omitted)
    yield guards, ngettext("%(n)s guard", "%(n)s guards", guards)
    yield omitted, ngettext("%(n)s model with fields left out", "%(n)s models with fields left out", omitted)


def _line(text: str) -> str:
    """In one line: a subject must not have more."""
    return " ".join(text.split())
