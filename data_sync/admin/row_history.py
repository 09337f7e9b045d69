"""Finding a row's changes: every one that was applied to it, by model and natural key, the latest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from data_sync.core.errors import InvalidInput
from data_sync.core.records import key_text
from data_sync.core.text import Mark
from data_sync.models import Change
from data_sync.registry import registrations
from data_sync.services import row_history
from data_sync.services.row_history import FieldChange
from data_sync.services.typed_keys import find_key

from .cells import ABSENT, REDACTED, Cell, FilePlace, file_cell, plain_cell
from .names import model_name
from .pages import render
from .shapes import shape_of, shapes

if TYPE_CHECKING:
    from .changesets import ChangesetAdmin

PAGE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A change with its rows: of each field that it altered, its name and both sides."""

    change: Change
    previous_key: str
    rows: Sequence[tuple[str, Cell, Cell]]


def lookup(admin: ChangesetAdmin, request: HttpRequest) -> HttpResponse:
    """A form that asks by GET, so that an answer has an address; and the answer."""
    admin.require_view(request)
    label, text = request.GET.get("model", "").strip().lower(), request.GET.get("q", "").strip()
    known = sorted((registration.label for registration in registrations()), key=model_name)
    return render(
        request,
        admin,
        "lookup.html",
        title=_("Find a row's changes"),
        models=[(one, model_name(one)) for one in dict.fromkeys([*known, *([label] if label else [])])],
        label=label,
        text=text,
        **(_answer(label, text, request.GET) if label and text else {"is_blank": True}),
    )


def _answer(label: str, text: str, query: Mapping[str, str]) -> dict[str, object]:
    try:
        found = find_key(label, [text])
    except InvalidInput as error:
        return {"error": str(error)}
    if found.key is None:
        links = [(other, "?" + urlencode({"model": label, "q": other})) for other in found.suggestions]
        return {"suggestions": links, "has_more": found.has_more}
    changes = _beyond(row_history.changes_of(label, row_history.spans_of(label, found.key)), query.get("before", ""))
    rows = list(changes[: PAGE + 1])
    shape = shape_of(label, shapes())
    shown = rows[:PAGE]
    is_first = "before" not in query
    return {
        "key": key_text(found.key),
        "renamed": row_history.renamed_to(label, found.key) if is_first else None,
        "entries": [
            Entry(
                change=change,
                previous_key=key_text(tuple(change.previous_key)) if change.previous_key is not None else "",
                rows=[(shape.field(one.name).label, *_cells(change, one)) for one in row_history.fields_of(change)],
            )
            for change in shown
        ],
        "older": "?" + urlencode({"model": label, "q": text, "before": _token(shown[-1])}) if len(rows) > PAGE else "",
    }


def _token(change: Change) -> str:
    at = change.changeset.applied_at
    return f"{at.isoformat() if at else ''}|{change.changeset_id}|{change.number}"


def _beyond(changes: QuerySet[Change], token: str) -> QuerySet[Change]:
    """What comes after a place in the order; everything for what is no place."""
    at, changeset, number = ([*token.split("|"), "", ""])[:3]
    moment = _moment(at)
    if moment is None or not all(one.isascii() and one.isdigit() and len(one) < 18 for one in (changeset, number)):
        return changes
    same = Q(changeset__applied_at=moment)
    earlier = Q(changeset__lt=int(changeset)) | Q(changeset=int(changeset), number__lt=int(number))
    return changes.filter(Q(changeset__applied_at__lt=moment) | (same & earlier))


def _moment(text: str) -> datetime | None:
    try:
        return parse_datetime(text)
    except ValueError:
        return None


def _cells(change: Change, one: FieldChange) -> tuple[Cell, Cell]:
    if one.is_redacted:
        return REDACTED, REDACTED
    sides = ((change.before is None, one.before, Mark.REMOVED), (change.after is None, one.after, Mark.ADDED))
    before, after = (
        ABSENT if is_absent else file_cell(value, FilePlace(), mark) if one.is_file else plain_cell(value, mark=mark)
        for is_absent, value, mark in sides
    )
    return before, after
