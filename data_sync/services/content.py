"""What a stored change says, in the forms that seals and exports use: without the values of redacted fields."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

from django.db import models

from data_sync.core import canonical
from data_sync.core.records import FileValue, Record, keeping, new_files
from data_sync.core.redaction import Redaction, shown
from data_sync.models import Change, Changeset
from data_sync.models.fields import CanonicalJSONField, as_stored
from data_sync.orm.resolution import schemas
from data_sync.orm.schema import ModelSchema

from .redaction import redaction_of

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


REVERTED = ("restores", "undoes")
"""Members, and columns, that only changes of a revert have."""


def change_content(change: Change, redaction: Redaction) -> dict[str, Any]:
    """What the content seal covers, and may leave the database.

    Of a model with redacted fields, records come without these; `redacted` names them, and `leaves` has, for each
    record, what stands for them in its digest. Only changes of a revert have `restores` and `undoes`.
    """
    content = {member: getattr(change, column) for member, column in CONTENT.items()}
    if change.undoes is not None or change.restores:
        content |= {name: getattr(change, name) for name in REVERTED}
    names = redaction.of(change.model)
    if not names:
        return content
    records = {
        "before": None if change.before is None else pulled_record(change),
        "after": None if change.after is None else incoming_record(change),
        "base": None if change.base is None else _record(change, _pulled_key(change), change.base, "before"),
    }
    fields = {side: None if record is None else shown(record.fields, names) for side, record in records.items()}
    leaves = {side: None if record is None else redaction.leaf(record) for side, record in records.items()}
    return content | fields | {"leaves": leaves, "redacted": sorted(names)}


def concealed(change: Change, names: Collection[str]) -> Change:
    """A copy with null for every value of these fields, for showing; never to be saved. Itself for no names."""
    if not names:
        return change
    shown_change = copy(change)
    for column in ("before", "after", "base"):
        fields = getattr(change, column)
        if fields is not None:
            setattr(shown_change, column, {name: None if name in names else value for name, value in fields.items()})
    shown_change.seen = {}
    return shown_change


_FORM = f"{{{','.join(f'{canonical.quote(member)}:%s' for member in CONTENT)}}}"
_COLUMNS = {column: Change._meta.get_field(column) for column in CONTENT.values()}


def content_text(texts: Mapping[str, str | None]) -> str:
    """The canonical text of a `change_content`, from the canonical text of each column; None stands for null."""
    return _FORM % tuple("null" if (text := texts[column]) is None else text for column in _COLUMNS)


def stored_contents(changeset: Changeset) -> Iterator[str]:
    """The canonical text of each `change_content`, by number, put together from the stored texts as they are.

    Whoever alters a stored text gives it another content, whether or not both texts mean the same.
    """
    redaction, changes = redaction_of(changeset), changeset.changes.order_by("number")
    raw = [as_stored(column) if isinstance(field, CanonicalJSONField) else column for column, field in _COLUMNS.items()]
    for *row, restores, undoes in changes.values_list(*raw, as_stored("restores"), "undoes").iterator(chunk_size=500):
        text = _FORM % tuple([to_text(value) for to_text, value in zip(_TO_TEXT, row, strict=True)])
        if undoes is not None or restores != "[]" or redaction.of(row[_MODEL]):
            text = _in_full(text, row, restores, undoes, redaction)
        yield text


def _in_full(text: str, row: Sequence[Any], restores: str, undoes: int | None, redaction: Redaction) -> str:
    """The content of a change of a revert, or of a model with redacted fields. Where what is stored is no canonical
    text any more, it stays as it is, for its seal to differ; nobody is shown it."""
    values = {
        column: canonical.loads(value) if isinstance(field, CanonicalJSONField) and value is not None else value
        for (column, field), value in zip(_COLUMNS.items(), row, strict=True)
    }
    of_revert = canonical.loads(restores)
    is_canonical = canonical.dumps(of_revert) == restores
    if canonical.dumps({member: values[column] for member, column in CONTENT.items()}) != text or not is_canonical:
        return text
    return canonical.dumps(change_content(Change(**values, restores=of_revert, undoes=undoes), redaction))


def _as_it_is(text: str | None) -> str:
    return "null" if text is None else text


def _to_text(field: Any) -> Callable[[Any], str]:
    match field:
        case CanonicalJSONField():
            return _as_it_is
        case models.CharField() | models.TextField() if not field.null:
            return canonical.quote
        case models.IntegerField() if not field.null:
            return str
        case _:
            return canonical.dumps


_TO_TEXT = [_to_text(field) for field in _COLUMNS.values()]
_MODEL = list(_COLUMNS).index("model")


def key_digest(key_text: str) -> str:
    """What `Change.key_digest` has of a key, given as its canonical text."""
    return hashlib.sha256(key_text.encode()).hexdigest()[:32]


def compared_schemas(changeset: Changeset) -> dict[str, ModelSchema]:
    """Every registered model, those that were compared in the form in which the changeset has its records."""
    return {
        label: schema.redacting(changeset.redacted.get(label, ())).without(changeset.omitted.get(label, ()))
        if label in changeset.model_labels
        else schema
        for label, schema in schemas().items()
    }


def after_record(change: Change) -> Record:
    """The record that a create, update or rename leads to; what is kept of an update is as it was before."""
    after = incoming_record(change)
    return keeping(after, before_record(change), change.kept["fields"]) if change.kept else after


def agreed_record(change: Change) -> Record | None:
    """What both sides agree on once an update that keeps fields is applied: what came in, but of the kept fields what
    they last agreed on. None where that is not known."""
    if not change.base_digest:
        return None
    base = pulled_record(change)
    if change.is_conflict:
        if change.base is None or change.files:  # Of a file, only the record's digest is kept.
            return None
        base = replace(base, fields=change.base)
    return keeping(incoming_record(change), base, change.kept["fields"])


def incoming_record(change: Change) -> Record:
    """The source's record, of a create, update or rename."""
    return _record(change, change.key, change.after, "after")


def before_record(change: Change) -> Record:
    """The record that an update, delete or rename starts from: as it was at the pull, or as it has been seen since."""
    pulled = pulled_record(change)
    is_seen = change.seen and change.seen["digest"] == change.acknowledged_digest
    return replace(pulled, fields=change.seen["fields"]) if is_seen else pulled


def pulled_record(change: Change) -> Record:
    """The record here at the pull, of an update, delete or rename."""
    return _record(change, _pulled_key(change), change.before, "before")


def _pulled_key(change: Change) -> list[Any]:
    key: list[Any] = change.key if change.previous_key is None else change.previous_key
    return key


def _record(change: Change, key: list[Any], fields: dict[str, Any], side: str) -> Record:
    return Record(
        model=change.model,
        key=tuple(key),
        fields=fields,
        files={name: None if sides[side] is None else FileValue(**sides[side]) for name, sides in change.files.items()},
        carried=change.carried.get(side, {}),
    )


def wanted_files(change: Change) -> dict[str, FileValue]:
    """The files whose bytes must come from the source, by field."""
    if change.after is None:
        return {}
    return new_files(None if change.before is None else before_record(change), after_record(change))
