"""Rows that were edited here since the pull: found when a reviewer looks, and written over only if that was seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet

from data_sync.core import canonical
from data_sync.core.errors import InvalidTransition, NotAcknowledged
from data_sync.core.records import Key, Record, differing
from data_sync.core.states import Operation
from data_sync.models import Change, Changeset
from data_sync.orm.rekeying import Rekeying, Renamed
from data_sync.orm.resolution import schemas
from data_sync.orm.rows import RowReader
from data_sync.orm.schema import ModelSchema

from . import requirements
from .content import incoming_record, pulled_record


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A row that is no longer as it was at the pull, and not what the change would make it either.

    `record` is the row now, as the comparison would have seen it, None for one that is gone; `names` are the fields
    that were edited. Files are taken to be those of the pull, as to ask the storage takes long: an apply looks at them.
    """

    record: Record | None
    names: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        return "" if self.record is None else self.record.digest()


def moved_rows(changeset: Changeset, changes: Iterable[Change]) -> dict[int, Moved]:
    """Which of the changes' rows have moved, by number. A few queries for each model."""
    by_model: dict[str, list[Change]] = {}
    for change in changes:
        if change.before is not None and change.local_pk is not None:
            by_model.setdefault(change.model, []).append(change)
    found: dict[int, Moved] = {}
    rekeying = _rekeying(changeset) if by_model else None
    for label, of_model in by_model.items():
        schema = schemas().get(label)
        if schema is not None and rekeying is not None:
            found |= _of_model(schema.without(changeset.omitted.get(label, ())), of_model, rekeying)
    return found


def _of_model(schema: ModelSchema, changes: Sequence[Change], rekeying: Rekeying) -> dict[int, Moved]:
    reader = RowReader(replace(schema, files=()), DEFAULT_DB_ALIAS)
    pks = {change.number: schema.pk.to_python(change.local_pk) for change in changes}
    now = reader.by_pk(list(pks.values()))
    found: dict[int, Moved] = {}
    for change in changes:
        text = now.get(pks[change.number])
        if text is None:
            found[change.number] = Moved(record=None)
            continue
        pulled = pulled_record(change)
        record = replace(text.record(), files=pulled.files, carried=pulled.carried)
        if change.operation != Operation.DELETE:  # As `comparison.Sides` has it.
            rekeyed = rekeying.record(record)
            record = replace(rekeyed, key=record.key) if change.operation == Operation.RENAME else rekeyed
        if record.fields.keys() != pulled.fields.keys():
            continue  # The model has got other fields since; an apply says so.
        names = [name for name in differing(pulled, record) if name in record.fields]
        if names and not _is_done(change, record):
            found[change.number] = Moved(record=record, names=tuple(sorted(names)))
    return found


def _is_done(change: Change, record: Record) -> bool:
    return change.after is not None and not differing(incoming_record(change), record, with_files=False)


def _rekeying(changeset: Changeset) -> Rekeying:
    renames = changeset.changes.filter(operation=Operation.RENAME.value) if changeset.renames else None
    rows: Any = [] if renames is None else renames.values_list("model", "previous_key", "key")
    renamed: dict[Renamed, Key] = {(label, canonical.dumps(old)): tuple(new) for label, old, new in rows}
    compared = {label: schema.without(changeset.omitted.get(label, ())) for label, schema in schemas().items()}
    return Rekeying(compared, renamed)


def acknowledge_moved(
    changeset: Changeset, changes: QuerySet[Change], *, acknowledge: bool, seen: str | None
) -> dict[int, Moved]:
    """Stores the rows as they are now, for changes that are about to be accepted; gives those that have moved.

    Raises `NotAcknowledged` where one has moved and that has not been seen: `seen` is the digest that was shown, ""
    where it was said not to have moved; None takes any. Raises `InvalidTransition` for an update of a row that is gone.
    """
    moved = moved_rows(changeset, changes)
    for change in changes:
        of_change = moved.get(change.number)
        if of_change is None:
            if change.seen:  # It is again as it was at the pull.
                changes.filter(pk=change.pk).update(seen={}, acknowledged_digest="")
            continue
        named = requirements.name_of(change)
        if of_change.record is None:
            if change.operation == Operation.DELETE:
                continue  # An apply finds that there is nothing left to do.
            raise InvalidTransition(f"The row of change {named} is gone here since the pull. Pull again.")
        if not acknowledge or (seen is not None and seen != of_change.digest):
            raise NotAcknowledged(
                f"The row of change {named} was changed here since the pull: {', '.join(of_change.names)}. Look at it "
                "as it is now, then accept and say that you have seen that.",
                change.number,
                of_change.digest,
            )
    store_seen(changes, moved)
    return moved


def store_seen(changes: QuerySet[Change], moved: dict[int, Moved]) -> None:
    """Acknowledges these rows as they are now: what an apply compares with, and starts from."""
    for number, of_change in moved.items():
        if of_change.record is not None:
            seen = {"digest": of_change.digest, "fields": dict(of_change.record.fields)}
            changes.filter(number=number).update(acknowledged_digest=of_change.digest, seen=seen)
