"""What has happened to an export key and what was read with it, in sentences, the latest first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from data_sync.models import Event, ExportKey
from data_sync.services import keys

from .dates import moment
from .history import Happening
from .names import model_name

PAGE = 50


def page_of(key: ExportKey, before: str) -> dict[str, Any]:
    """The latest events, or those before the one of this number; before `earlier` there are more."""
    events = Event.objects.filter(chain=keys.chain(key)).order_by("-number")
    if before.isascii() and before.isdigit() and len(before) < 10:
        events = events.filter(number__lt=int(before))
    found = list(events[: PAGE + 1])
    shown = found[:PAGE]
    return {
        "happenings": [
            Happening(event=event, words=_words(event), lines=tuple(_lines(event)), facts=tuple(_facts(event)))
            for event in shown
        ],
        "earlier": shown[-1].number if len(found) > PAGE else None,
    }


def who_made(key: ExportKey) -> str:
    """By the audit trail, which knows also who is no user, or none any more."""
    made = Event.objects.filter(chain=keys.chain(key), action="created").order_by("number").values_list("actor")[:1]
    return "".join(actor for (actor,) in made)


def _words(event: Event) -> str:
    match event.action:
        case "created":
            return _("Created")
        case "rotated":
            return _("Rotated: another key has taken its place")
        case "revoked":
            return _("Revoked")
        case "exported":
            return _("Exported")
        case "listed":
            return _("Listed digests")
        case "records_read":
            return _("Records read")
        case "files_read":
            return _("Files read")
        case action:
            return action


def _lines(event: Event) -> Iterator[str]:
    detail = event.detail
    match event.action:
        case "created":
            yield ", ".join(map(model_name, detail["models"])) or _("Every registered model")
            yield _expiry(detail["expires_at"])
        case "rotated":
            yield _expiry(detail["expires_at"])
        case "exported" | "listed":
            rows = detail["rows"]
            total = sum(rows.values())
            yield ngettext("%(n)s row", "%(n)s rows", total) % {"n": total}
            yield " · ".join(f"{model_name(label)} {count}" for label, count in rows.items())
        case "records_read" | "files_read":
            yield _("The first for some time; those of the next ten minutes are not told one by one.")


def _expiry(at: str | None) -> str:
    return _("Expires %(when)s") % {"when": moment(datetime.fromisoformat(at))} if at else _("Does not expire")


def _facts(event: Event) -> Iterator[tuple[str, str]]:
    detail = event.detail
    if detail.get("rotates"):
        yield _("In place of:"), f"{detail['rotates']}…"
    if detail.get("by"):
        yield _("New key:"), f"{detail['by']}…"
    if detail.get("address"):
        yield _("Address:"), detail["address"]
    if detail.get("digest"):
        yield _("Digest:"), detail["digest"]
