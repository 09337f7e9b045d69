"""Where a row came from: every change that was applied to it, by its natural key, through renames and new parents.

Keys are found by the index over model and key digest, so that it makes no difference how many other changes there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from data_sync import registry
from data_sync.core import canonical
from data_sync.core.records import Record, differing
from data_sync.core.states import Operation, Outcome
from data_sync.models import Change, Changeset

from .content import after_record, before_record, key_digest
from .typed_keys import Key, registration_labelled

ROUNDS = 10
"""So many renames, one after the other, are followed back."""
RENAMING = 500
"""Of so many changesets at most it is asked whether they gave a row another key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """A field, or a file, that a change altered. Of a redacted one neither side is given."""

    name: str
    before: Any = None
    after: Any = None
    is_redacted: bool = False
    is_file: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A key that the row has had, until it was renamed (None: to the end)."""

    key: Key
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowAt:
    """The row at a moment, as far as changes that were applied tell: `is_known` where they do. `fields` None: there was
    none. `change` is the one that says so, by what it led to or, where none was earlier, by what it found."""

    is_known: bool
    change: Change | None = None
    fields: dict[str, Any] | None = None
    files: dict[str, Any] = field(default_factory=dict)


def spans_of(label: str, key: Key) -> list[Span]:
    """The keys that the row has had, the present one first: before it was renamed, or a row that its key names was.

    One query, and another for each time that a rename is found.
    """
    spans = [Span(key=key)]
    known = {canonical.dumps(list(key))}
    fresh = list(spans)
    for _ in range(ROUNDS):
        found = {canonical.dumps(list(span.key)): span for span in _earlier(label, fresh)}
        fresh = [span for text, span in found.items() if text not in known]
        known |= found.keys()
        spans += fresh
        if not fresh:
            break
    return spans


def _earlier(label: str, spans: Sequence[Span]) -> Iterator[Span]:
    """What the keys were before the renames that led to them."""
    named: dict[tuple[str, str], list[tuple[Span, tuple[int, ...]]]] = {}
    wanted = Q()
    for span in spans:
        for model, places in _named_by(label, len(span.key)):
            digest = key_digest(canonical.dumps([span.key[place] for place in places]))
            named.setdefault((model, digest), []).append((span, places))
            wanted |= Q(model=model, key_digest=digest)
    renames = _written().filter(wanted, operation=Operation.RENAME.value).order_by("-changeset__applied_at")
    for model, digest, previous, at in renames.values_list(
        "model", "key_digest", "previous_key", "changeset__applied_at"
    ):
        for span, places in named.get((model, digest), ()):
            if previous is not None and at is not None and (span.until is None or at < span.until):
                old = list(span.key)
                for place, part in zip(places, previous, strict=True):
                    old[place] = part
                yield Span(key=tuple(old), until=at)


def _named_by(label: str, length: int) -> list[tuple[str, tuple[int, ...]]]:
    """The models whose keys stand in a key of this model, its own first, each with the places of its parts."""
    own = (label, tuple(range(length)))
    registration = registration_labelled(label)
    if registration is None or len(registration.key) != length:
        return [own]
    paths = [tuple(path.split(".")) for path in registration.key]
    prefixes = dict.fromkeys(path[:end] for path in paths for end in range(1, len(path)))
    found = [own]
    for prefix in prefixes:
        model: Any = registration.model
        for name in prefix:
            model = model._meta.get_field(name).related_model
        target = registry.registration_of(model)
        rest = {path[len(prefix) :]: place for place, path in enumerate(paths) if path[: len(prefix)] == prefix}
        wanted = [] if target is None else [tuple(path.split(".")) for path in target.key]
        if target is not None and all(path in rest for path in wanted):
            found.append((target.label, tuple(rest[path] for path in wanted)))
    return found


def _written() -> QuerySet[Change]:
    return Change.objects.filter(outcome=Outcome.APPLIED.value, changeset__applied_at__isnull=False)


def changes_of(label: str, spans: Sequence[Span]) -> QuerySet[Change]:
    """Every applied change of the row, the latest first, with its changeset."""
    wanted = Q()
    for span in spans:
        one = Q(key_digest=key_digest(canonical.dumps(list(span.key))))
        wanted |= one if span.until is None else one & Q(changeset__applied_at__lt=span.until)
    rows = _written().filter(wanted, model=label).select_related("changeset")
    return rows.order_by("-changeset__applied_at", "-changeset_id", "-number")


def renamed_to(label: str, key: Key) -> Change | None:
    """The latest change that gave the row of this key another one: of those `RENAMING` changesets that renamed last,
    because old keys have no index."""
    renaming = Changeset.objects.filter(renames__gt=0, applied_at__isnull=False).order_by("-applied_at")
    changesets = list(renaming.values_list("pk", flat=True)[:RENAMING])
    if not changesets:
        return None
    renames = _written().filter(
        changeset__in=changesets, model=label, operation=Operation.RENAME.value, previous_key=list(key)
    )
    return renames.select_related("changeset").order_by("-changeset__applied_at").first()


def fields_of(change: Change) -> list[FieldChange]:
    """What a change has altered: of one that adds or deletes a row, all its fields; nothing once it is purged."""
    if change.changeset.purged_at is not None:
        return []
    before, after = _sides(change)
    redacted = set(change.changeset.redacted.get(change.model, ()))
    if before is None or after is None:
        one = before or after
        names = [] if one is None else [*one.fields, *(name for name, file in one.files.items() if file is not None)]
    else:
        names = differing(before, after)
    return [_field(name, before, after, redacted) for name in names]


def _field(name: str, before: Record | None, after: Record | None, redacted: set[str]) -> FieldChange:
    if name in redacted:
        return FieldChange(name=name, is_redacted=True)
    is_file = any(name in record.files for record in (before, after) if record is not None)
    values = [None if record is None else _value(record, name, is_file=is_file) for record in (before, after)]
    return FieldChange(name=name, before=values[0], after=values[1], is_file=is_file)


def _value(record: Record, name: str, *, is_file: bool) -> Any:
    if not is_file:
        return record.fields.get(name)
    file = record.files.get(name)
    return None if file is None else file.to_plain()


def _sides(change: Change) -> tuple[Record | None, Record | None]:
    return (
        None if change.before is None else before_record(change),
        None if change.after is None else after_record(change),
    )


def row_at(changes: Sequence[Change], at: datetime) -> RowAt:
    """The row at a moment, by its `changes_of`, all of them."""
    for change in changes:
        if change.changeset.applied_at is not None and change.changeset.applied_at <= at:
            return _row(change, _sides(change)[1])
    return _row(changes[-1], _sides(changes[-1])[0]) if changes else RowAt(is_known=False)


def _row(change: Change, record: Record | None) -> RowAt:
    if change.changeset.purged_at is not None:
        return RowAt(is_known=False, change=change)
    if record is None:
        return RowAt(is_known=True, change=change)
    redacted = change.changeset.redacted.get(change.model, ())
    return RowAt(
        is_known=True,
        change=change,
        fields={name: value for name, value in record.fields.items() if name not in redacted},
        files={name: file and file.to_plain() for name, file in record.files.items()},
    )


def describe(change: Change) -> dict[str, Any]:
    """One change as JSON: what it altered, and who is answerable."""
    changeset = change.changeset
    altered = {
        one.name: {"redacted": True} if one.is_redacted else {"before": one.before, "after": one.after}
        for one in fields_of(change)
    }
    return {
        "changeset": changeset.pk,
        "change": change.number,
        "operation": change.operation,
        "natural_key": change.key,
        "previous_key": change.previous_key,
        "source": changeset.source_name,
        "kind": changeset.kind,
        "requested_by": changeset.actor,
        "approved_by": changeset.approval_actor,
        "approved_at": _iso(changeset.approved_at),
        "applied_by": changeset.apply_actor,
        "applied_at": _iso(changeset.applied_at),
        "reverted_by": change.reverted_by,
        "purged": changeset.purged_at is not None,
        "before_digest": change.before_digest,
        "after_digest": change.after_digest,
        "fields": altered,
    }


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
