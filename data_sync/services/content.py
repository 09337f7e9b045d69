"""What a stored change says, in the forms that seals and exports use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from data_sync.core import canonical
from data_sync.core.records import FileValue, Record, new_files
from data_sync.models import Change
from data_sync.models.fields import CanonicalJSONField, as_stored

CONTENT = {
    "after": "after",
    "after_digest": "after_digest",
    "base": "base",
    "base_digest": "base_digest",
    "before": "before",
    "before_digest": "before_digest",
    "carried": "carried",
    "cascades": "cascades",
    "conflict": "conflict",
    "diff": "diff",
    "files": "files",
    "left_scope": "left_scope",
    "model": "model",
    "natural_key": "key",
    "number": "number",
    "operation": "operation",
    "previous_key": "previous_key",
    "problems": "problems",
    "requires": "requires",
    "warnings": "warnings",
}
"""Everything that never alters once stored, in canonical order, and which column of `Change` has it."""


def change_content(change: Change) -> dict[str, Any]:
    """What the content seal covers."""
    return {member: getattr(change, column) for member, column in CONTENT.items()}


def stored_contents(changes: QuerySet[Change]) -> Iterator[str]:
    """The canonical text of each `change_content`, put together from the stored texts as they are.

    Whoever alters a stored text gives it another content, whether or not both texts mean the same.
    """
    columns = {column: Change._meta.get_field(column) for column in CONTENT.values()}
    raw = [as_stored(column) if isinstance(columns[column], CanonicalJSONField) else column for column in columns]
    texts = [_as_it_is if isinstance(field, CanonicalJSONField) else canonical.dumps for field in columns.values()]
    form = f"{{{','.join(f'{canonical.quote(member)}:%s' for member in CONTENT)}}}"
    for row in changes.values_list(*raw).iterator(chunk_size=500):
        yield form % tuple(to_text(value) for to_text, value in zip(texts, row, strict=True))


def _as_it_is(text: str | None) -> str:
    return "null" if text is None else text


def after_record(change: Change) -> Record:
    """The record that a create or update leads to."""
    return _record(change, change.after, "after")


def before_record(change: Change) -> Record:
    """The record that an update or delete starts from."""
    return _record(change, change.before, "before")


def _record(change: Change, fields: dict[str, Any], side: str) -> Record:
    return Record(
        model=change.model,
        key=tuple(change.key),
        fields=fields,
        files={name: None if sides[side] is None else FileValue(**sides[side]) for name, sides in change.files.items()},
        carried=change.carried.get(side, {}),
    )


def wanted_files(change: Change) -> dict[str, FileValue]:
    """The files whose bytes must come from the source, by field."""
    if change.after is None:
        return {}
    return new_files(None if change.before is None else before_record(change), after_record(change))
