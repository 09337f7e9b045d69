"""Rows that were edited here since the pull: found when a reviewer looks, and written over only if that was seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, assert_never

from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet

from data_sync.core import canonical
from data_sync.core.errors import InvalidTransition, NotAcknowledged, RecordError
from data_sync.core.records import Key, Record, RecordText, differing
from data_sync.core.states import Operation
from data_sync.models import Change, Changeset
from data_sync.orm.batches import batches
from data_sync.orm.references import RowsOfKeys
from data_sync.orm.rekeying import Rekeying, Renamed
from data_sync.orm.resolution import schemas
from data_sync.orm.rows import RowReader
from data_sync.orm.schema import ModelSchema

from . import requirements
from .content import compared_schemas, incoming_record, pulled_record

Kind = Literal["edited", "done", "gone", "rekeyed", "unreadable", "added"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A row that is no longer as it was at the pull.

    `record` is the row now, as the comparison would have seen it, and `names` are the fields that were edited. Files
    are taken to be those of the pull, as to ask the storage takes long: an apply looks at them. A row that is "done" is
    what the change would make it, and nothing is left to write. Of the other kinds nothing helps but another pull, and
    `detail` says more: the row is gone, has another key, cannot be read, or was to be added and is there.
    """

    kind: Kind
    record: Record | None = None
    names: tuple[str, ...] = ()
    detail: str = ""

    @property
    def digest(self) -> str:
        """What has to be acknowledged; "" for nothing."""
        return "" if self.record is None or self.kind != "edited" else self.record.digest()

    @property
    def reason(self) -> str:
        """In a sentence that begins with the row."""
        match self.kind:
            case "gone":
                return "is gone here since the pull"
            case "rekeyed":
                return f"was given another natural key here since the pull, {self.detail}"
            case "unreadable":
                return f"cannot be read any more: {self.detail}"
            case "added":
                return "has been added here since the pull"
            case "edited":
                return f"was changed here since the pull: {', '.join(self.names)}"
            case "done":
                return "is already what the change would make it"
            case _:
                assert_never(self.kind)


def moved_rows(changeset: Changeset, changes: Iterable[Change]) -> dict[int, Moved]:
    """Which of the changes' rows have moved, by number. A few queries for each model."""
    by_model: dict[str, list[Change]] = {}
    for change in changes:
        by_model.setdefault(change.model, []).append(change)
    found: dict[int, Moved] = {}
    if by_model:
        compared = compared_schemas(changeset)
        rekeying = Rekeying(compared, _renamed(changeset))
        for label in by_model.keys() & compared.keys():
            of_model = by_model[label]
            known = [change for change in of_model if change.before is not None and change.local_pk is not None]
            added = [change for change in of_model if change.operation == Operation.CREATE]
            found |= _of_known(compared[label], known, rekeying) if known else {}
            found |= _of_added(compared[label], added, rekeying) if added else {}
    return found


def _of_added(schema: ModelSchema, changes: Sequence[Change], rekeying: Rekeying) -> dict[int, Moved]:
    """Rows that were to be added, and are here by now, other than they would be."""
    former = {change.number: rekeying.former(schema.label, canonical.dumps(change.key)) for change in changes}
    texts = {number: key.text for number, key in former.items() if key is not None}
    keys = RowsOfKeys(schema, "pk", DEFAULT_DB_ALIAS)
    keys.load(texts.values())
    pks = {number: pks for number, text in texts.items() if (pks := keys.all(text))}
    now, _ = _read(RowReader(replace(schema, files=()), DEFAULT_DB_ALIAS), [pk for of in pks.values() for pk in of])
    found: dict[int, Moved] = {}
    for change in changes:
        rows = [now.get(pk) for pk in pks.get(change.number, ())]
        records = [rekeying.record(row.record()) for row in rows if row is not None]
        if rows:
            is_done = len(rows) == len(records) == 1 and _is_done(change, records[0])
            found[change.number] = Moved(kind="done" if is_done else "added")
    return found


def _of_known(schema: ModelSchema, changes: Sequence[Change], rekeying: Rekeying) -> dict[int, Moved]:
    pks = {change.number: schema.pk.to_python(change.local_pk) for change in changes}
    now, unreadable = _read(RowReader(replace(schema, files=()), DEFAULT_DB_ALIAS), list(pks.values()))
    found: dict[int, Moved] = {}
    for change in changes:
        pk = pks[change.number]
        if pk in unreadable:
            found[change.number] = Moved(kind="unreadable", detail=unreadable[pk])
        elif pk not in now:
            found[change.number] = Moved(kind="gone")
        elif (moved := _compared(change, now[pk].record(), rekeying)) is not None:
            found[change.number] = moved
    return found


def _read(reader: RowReader, pks: Sequence[Any]) -> tuple[dict[Any, RecordText], dict[Any, str]]:
    """The rows by primary key, and why some of them cannot be read: one that cannot does not hide the others."""
    try:
        return reader.by_pk(pks), {}
    except RecordError:
        found: dict[Any, RecordText] = {}
        unreadable: dict[Any, str] = {}
        for pk in pks:
            try:
                found |= reader.by_pk([pk])
            except RecordError as error:
                unreadable[pk] = str(error)
        return found, unreadable


def _compared(change: Change, record: Record, rekeying: Rekeying) -> Moved | None:
    pulled = pulled_record(change)
    record = replace(record, files=pulled.files, carried=pulled.carried)
    if change.operation != Operation.DELETE:  # As `comparison.Sides` has it.
        rekeyed = rekeying.record(record)
        record = replace(rekeyed, key=record.key) if change.operation == Operation.RENAME else rekeyed
    if record.fields.keys() != pulled.fields.keys():
        return None  # The model has got other fields since; an apply says so.
    names = [name for name in differing(pulled, record) if name in record.fields]
    if not names:
        return None
    if _is_done(change, record):
        return Moved(kind="done", record=record)
    if record.key_text != pulled.key_text:
        return Moved(kind="rekeyed", detail=record.key_text)
    return Moved(kind="edited", record=record, names=tuple(sorted(names)))


def _is_done(change: Change, record: Record) -> bool:
    return change.after is not None and not differing(incoming_record(change), record, with_files=False)


def _renamed(changeset: Changeset) -> dict[Renamed, Key]:
    if not changeset.renames:
        return {}
    renames = changeset.changes.filter(operation=Operation.RENAME.value)
    rows = renames.values_list("model", "previous_key", "key")
    return {(label, canonical.dumps(old)): tuple(new) for label, old, new in rows}


def acknowledge_moved(
    changeset: Changeset, changes: QuerySet[Change], *, acknowledge: bool, seen: str | None
) -> list[int]:
    """Stores, for changes that are about to be accepted, the rows that have moved, as they are now; gives the numbers.

    That is what an apply compares with, and starts from. Raises `NotAcknowledged` where a row has moved and that has
    not been seen: `seen` is the digest that was shown, "" where it was said not to have moved; None takes any. Raises
    `InvalidTransition` where nothing but another pull helps.
    """
    rows = list(changes.order_by("number"))
    moved = moved_rows(changeset, rows)
    altered = []
    for change in rows:
        of_change = moved.get(change.number)
        if of_change is None or of_change.kind == "done":
            if change.seen:  # It is again as it was at the pull.
                change.seen, change.acknowledged_digest = {}, ""
                altered.append(change)
            continue
        named = requirements.name_of(change)
        if of_change.record is None:
            if change.operation == Operation.DELETE and not _is_there(change):
                continue  # An apply finds that there is nothing left to do.
            raise InvalidTransition(f"The row of change {named} {of_change.reason}. Pull again.")
        if not acknowledge or (seen is not None and seen != of_change.digest):
            raise NotAcknowledged(
                f"The row of change {named} {of_change.reason}. Look at it as it is now, then accept and say that you "
                "have seen that.",
                change.number,
                of_change.digest,
            )
        change.seen = {"digest": of_change.digest, "fields": dict(of_change.record.fields)}
        change.acknowledged_digest = of_change.digest
        altered.append(change)
    Change.objects.bulk_update(altered, ["seen", "acknowledged_digest"], batch_size=500)
    return [change.number for change in altered if change.seen]


def since_accepted(changeset: Changeset, changes: QuerySet[Change]) -> Iterator[tuple[Change, Moved | None]]:
    """Those of the changes, accepted ones, whose rows are not as they were accepted. None: edited, and edited back.

    What is decided on many at once has not been looked at row by row. Reads in batches.
    """
    for batch in batches(changes.order_by("number").iterator(chunk_size=500), 500):
        moved = moved_rows(changeset, batch)
        for change in batch:
            of_change = moved.get(change.number)
            if _is_unseen(change, of_change):
                yield change, of_change


def refuse_moved(changeset: Changeset, changes: QuerySet[Change]) -> None:
    """Raises where one of these changes, accepted ones, was not accepted as its row is now."""
    for change, of_change in since_accepted(changeset, changes):
        named = requirements.name_of(change)
        if of_change is not None and not of_change.digest:
            raise InvalidTransition(f"The row of change {named} {of_change.reason}. Pull again, or reject the change.")
        reason = "was edited, and edited back" if of_change is None else of_change.reason
        raise NotAcknowledged(
            f"The row of change {named} {reason}. Look at it as it is now, then accept it and say that you have seen "
            "that.",
            change.number,
            "" if of_change is None else of_change.digest,
        )


def _is_unseen(change: Change, moved: Moved | None) -> bool:
    if moved is not None and moved.kind == "done":
        return False
    if moved is not None and moved.kind == "gone" and change.operation == Operation.DELETE:
        return _is_there(change)
    seen = change.seen["digest"] if change.seen and change.seen["digest"] == change.acknowledged_digest else ""
    return bool(seen) if moved is None else not moved.digest or moved.digest != seen


def _is_there(change: Change) -> bool:
    schema = schemas()[change.model]
    return schema.every_row(DEFAULT_DB_ALIAS).filter(pk=schema.pk.to_python(change.local_pk)).exists()
