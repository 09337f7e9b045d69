"""`show --key`: every change that was applied to a row, the latest first."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from datetime import datetime, time
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from data_sync.core.errors import InvalidInput
from data_sync.core.records import key_text
from data_sync.models import Change
from data_sync.services import row_history
from data_sync.services.row_history import FieldChange, RowAt
from data_sync.services.typed_keys import find_key

from ..text.words import bounded, count, line, moment
from .call import Answer, Call

MOST = 200
"""Characters of a value."""


def day_or_time(text: str) -> datetime:
    """The type of `--at`: a time, or a day, which means its end."""
    try:
        day = parse_date(text)
        at = datetime.combine(day, time.max) if day is not None else parse_datetime(text)
    except ValueError:
        at = None
    if at is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no date such as 2026-05-12 or 2026-05-12T10:00")
    return timezone.make_aware(at) if timezone.is_naive(at) else at


def show_row(call: Call) -> Answer:
    if call.options["changeset"] is not None or call.options["change"] is not None:
        raise InvalidInput("--key is about a row in all changesets: leave the changeset's number out.")
    label, *words = call.options["key"]
    label = label.strip().lower()
    found = find_key(label, words)
    if found.key is None:
        meant = "; ".join(line(text) for text in found.suggestions)
        more = "; and more: write more of the key." if found.has_more else ""
        raise InvalidInput(f"Several rows of {label} begin like that. Which is meant? {meant}{more}")
    changes = list(row_history.changes_of(label, row_history.spans_of(label, found.key)))
    renamed = row_history.renamed_to(label, found.key)
    at = call.options["at"]
    then = None if at is None else row_history.row_at(changes, at)
    document: dict[str, Any] = {
        "model": label,
        "natural_key": list(found.key),
        "renamed_to": None if renamed is None else renamed.key,
        "changes": [row_history.describe(change) for change in changes],
    }
    if then is not None:
        document["at"] = {"at": at.isoformat(), **_then(then)}
    name = f"{label} {line(key_text(found.key))}"
    return Answer(document=document, text=list(_text(name, changes, renamed, then, at)))


def _then(then: RowAt) -> dict[str, Any]:
    return {
        "known": then.is_known,
        "changeset": None if then.change is None else then.change.changeset_id,
        "change": None if then.change is None else then.change.number,
        "fields": then.fields,
        "files": then.files,
    }


def _text(
    name: str, changes: Sequence[Change], renamed: Change | None, then: RowAt | None, at: datetime | None
) -> Iterator[str]:
    yield f"{name}: {count(len(changes), 'applied change')}."
    if renamed is not None:
        yield f"Renamed to {line(renamed.key_text)} by changeset {renamed.changeset_id}."
    if then is not None:
        yield from _as_of(then, at)
    for change in changes:
        yield ""
        yield from _change(change)


def _as_of(then: RowAt, at: datetime | None) -> Iterator[str]:
    if not then.is_known:
        purged = f": the values of changeset {then.change.changeset_id} were purged" if then.change else ""
        yield f"At {moment(at)}: not known{purged}."
    elif then.fields is None:
        yield f"At {moment(at)}: there was no such row."
    else:
        yield f"At {moment(at)}:"
        for field, value in then.fields.items():
            yield f"    {field}: {_value(value)}"
        for field, file in then.files.items():
            yield f"    {field}: {_value(file)}"


def _change(change: Change) -> Iterator[str]:
    changeset = change.changeset
    old = f" (before: {line(' · '.join(map(str, change.previous_key)))})" if change.previous_key else ""
    yield (
        f"{moment(changeset.applied_at)}  {change.operation}{old}, changeset {changeset.pk} #{change.number} "
        f"from {line(changeset.source_name)}"
    )
    yield f"    approved by {line(changeset.approval_actor)}, applied by {line(changeset.apply_actor)}"
    if change.reverted_by is not None:
        yield f"    reverted by changeset {change.reverted_by}"
    if changeset.purged_at is not None:
        yield f"    values purged {moment(changeset.purged_at)}"
    for one in row_history.fields_of(change):
        yield f"    {one.name}: {_sides(change, one)}"


def _sides(change: Change, one: FieldChange) -> str:
    if one.is_redacted:
        return "redacted"
    if change.before is None:
        return _value(one.after)
    return _value(one.before) if change.after is None else f"{_value(one.before)} → {_value(one.after)}"


def _value(value: Any) -> str:
    return line(bounded(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), MOST))
