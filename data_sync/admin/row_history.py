"""Finding a row's changes: every one that was applied to it, by model and natural key, the latest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
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

from .cells import ABSENT, REDACTED, Cell, FilePlace, Patience, file_cell, links_cell, text_cells
from .names import model_name
from .pages import render
from .presentation import FieldShape
from .rows import as_texts, value_cell
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
    shape, patience = shape_of(label, shapes()), Patience()
    shown = rows[:PAGE]
    is_first = "before" not in query
    return {
        "key": key_text(found.key),
        "renamed": row_history.renamed_to(label, found.key) if is_first else None,
        "entries": [
            Entry(
                change=change,
                previous_key=key_text(tuple(change.previous_key)) if change.previous_key is not None else "",
                rows=[
                    (shape.field(one.name).label, *_cells(change, one, shape.field(one.name), patience))
                    for one in row_history.fields_of(change)
                ],
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


def _cells(change: Change, one: FieldChange, shape: FieldShape, patience: Patience) -> tuple[Cell, Cell]:
    """Both sides of a field, marked as in a review."""
    if one.is_redacted:
        return REDACTED, REDACTED
    has_both = change.before is not None and change.after is not None
    if has_both and not one.is_file:
        if shape.kind == "links":
            before, after = one.before or [], one.after or []
            kept = [key for key in before if key in after]
            gone, new = ([key for key in side if key not in kept] for side in (before, after))
            return (
                links_cell(gone, kept, Mark.REMOVED, _nobody, words=True),
                links_cell(new, kept, Mark.ADDED, _nobody, words=True, names_kept=False),
            )
        texts = as_texts(one.before, one.after) if shape.kind in ("value", "json") else None
        if texts is not None:
            left, right, _diff = text_cells(*texts, patience)
            is_code = not isinstance(one.before, str)
            return replace(left, is_code=is_code), replace(right, is_code=is_code)
    sides = ((change.before is None, one.before, Mark.REMOVED), (change.after is None, one.after, Mark.ADDED))
    here, then = (
        ABSENT
        if is_absent
        else file_cell(value, FilePlace(), mark)
        if one.is_file
        else value_cell(shape, value, mark, _nobody, words=has_both)
        for is_absent, value, mark in sides
    )
    return here, then


def _nobody(*row: Any) -> None:
    """No change of this page creates what a value refers to."""
