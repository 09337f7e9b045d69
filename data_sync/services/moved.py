"""Rows that were edited here since the pull: found when a reviewer looks, and written over only if that was seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, assert_never

from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet

from data_sync.core import canonical
from data_sync.core.errors import InvalidTransition, NotAcknowledged, RecordError
from data_sync.core.records import Key, Record, RecordText, differing
from data_sync.core.states import Decision, Operation
from data_sync.models import Change, Changeset
from data_sync.orm.batches import batches
from data_sync.orm.references import RowsOfKeys
from data_sync.orm.rekeying import Rekeying, Renamed
from data_sync.orm.rows import RowReader
from data_sync.orm.schema import ModelSchema
from data_sync.orm.scopes import in_scope

from . import requirements
from .content import after_record, compared_schemas, pulled_record
from .redaction import redaction_of

Kind = Literal["edited", "done", "gone", "left", "rekeyed", "unreadable", "added"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A row that is no longer as it was at the pull.

    `shown` is the row now, as the comparison would have seen it, and `record` as an apply would, by the renames that
    are accepted; `digest` is what has to be acknowledged of it, "" for nothing; `names` are the fields that were
    edited. Files are taken to be those of the pull, as to ask the storage takes long: an apply looks at them. A row
    that is "done" is what the change would make it, and nothing is left to write. Of the other kinds nothing helps but
    another pull, and `detail` says more: the row is gone, has left the scope, has another key, cannot be read, or was
    to be added and is there. That is for a reviewer to see; what counts is what `staleness` finds at the approval.
    """

    kind: Kind
    record: Record | None = None
    shown: Record | None = None
    digest: str = ""
    names: tuple[str, ...] = ()
    detail: str = ""

    @property
    def reason(self) -> str:
        """In a sentence that begins with the row."""
        match self.kind:
            case "gone":
                return "is gone here since the pull"
            case "left":
                return "has left the registration's queryset since the pull"
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
    return _Rows(changeset).moved(changes)


class _Rows:
    """The rows of a changeset's changes as they are now. Renames may be accepted yet, or not: a row is as it was at the
    pull if it is that by either, and else is taken as an apply would take it, by those that are accepted."""

    def __init__(self, changeset: Changeset) -> None:
        self._schemas = compared_schemas(changeset)
        self._redaction = redaction_of(changeset)
        proposed, accepted = _renamed(changeset)
        self._proposed = Rekeying(self._schemas, proposed)
        self._accepted = Rekeying(self._schemas, accepted) if accepted != proposed else self._proposed

    def moved(self, changes: Iterable[Change]) -> dict[int, Moved]:
        by_model: dict[str, list[Change]] = {}
        for change in changes:
            by_model.setdefault(change.model, []).append(change)
        found: dict[int, Moved] = {}
        for label in by_model.keys() & self._schemas.keys():
            known = [one for one in by_model[label] if one.before is not None and one.local_pk is not None]
            added = [one for one in by_model[label] if one.operation == Operation.CREATE]
            found |= self._of_known(self._schemas[label], known) if known else {}
            found |= self._of_added(self._schemas[label], added) if added else {}
        return found

    def _of_added(self, schema: ModelSchema, changes: Sequence[Change]) -> dict[int, Moved]:
        """Rows that were to be added, and are here by now."""
        former = {one.number: self._accepted.former(schema.label, canonical.dumps(one.key)) for one in changes}
        texts = {number: key.text for number, key in former.items() if key is not None}
        keys = RowsOfKeys(schema, "pk", DEFAULT_DB_ALIAS)
        keys.load(texts.values())
        pks = {number: pks for number, text in texts.items() if (pks := keys.all(text))}
        now, _ = _read(_reader(schema), [pk for of in pks.values() for pk in of])
        found: dict[int, Moved] = {}
        for change in changes:
            rows = [now.get(pk) for pk in pks.get(change.number, ())]
            records = [self._accepted.record(row.record()) for row in rows if row is not None]
            if rows:
                is_done = len(rows) == len(records) == 1 and _is_done(change, records[0])
                found[change.number] = Moved(kind="done" if is_done else "added")
        return found

    def _of_known(self, schema: ModelSchema, changes: Sequence[Change]) -> dict[int, Moved]:
        pks = {change.number: schema.pk.to_python(change.local_pk) for change in changes}
        now, unreadable = _read(_reader(schema), list(pks.values()))
        inside = in_scope(schema, list(pks.values()), DEFAULT_DB_ALIAS)
        found: dict[int, Moved] = {}
        for change in changes:
            pk = pks[change.number]
            if pk in unreadable:
                found[change.number] = Moved(kind="unreadable", detail=unreadable[pk])
            elif pk not in now:
                found[change.number] = Moved(kind="gone")
            elif pk not in inside:
                found[change.number] = Moved(kind="left")
            elif (moved := self._compared(change, now[pk].record())) is not None:
                found[change.number] = moved
        return found

    def _compared(self, change: Change, record: Record) -> Moved | None:
        pulled = pulled_record(change)
        record = replace(record, files=pulled.files, carried=pulled.carried)
        if record.fields.keys() != pulled.fields.keys():
            return None  # The model has got other fields since; an approval says so.
        shown, record = (_rekeyed(change, record, one) for one in (self._proposed, self._accepted))
        names = [name for name in differing(pulled, shown) if name in shown.fields]
        if not names:
            return None
        if _is_done(change, record):
            return Moved(kind="done", shown=shown)
        if shown.key_text != pulled.key_text:
            return Moved(kind="rekeyed", detail=shown.key_text)
        digest = self._redaction.digest(record)
        return Moved(kind="edited", record=record, shown=shown, digest=digest, names=tuple(sorted(names)))


def _rekeyed(change: Change, record: Record, rekeying: Rekeying) -> Record:
    """As `comparison.Sides` has it."""
    if change.operation == Operation.DELETE:
        return record
    rekeyed = rekeying.record(record)
    return replace(rekeyed, key=record.key) if change.operation == Operation.RENAME else rekeyed


def _reader(schema: ModelSchema) -> RowReader:
    return RowReader(replace(schema, files=()), DEFAULT_DB_ALIAS)


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


def _is_done(change: Change, record: Record) -> bool:
    """Whether the row is what the change leads to. Of files nothing is known here, so none may be to come."""
    if change.after is None or any(side["before"] != side["after"] for side in change.files.values()):
        return False
    return not differing(after_record(change), record, with_files=False)


def _renamed(changeset: Changeset) -> tuple[dict[Renamed, Key], dict[Renamed, Key]]:
    """The renames that are proposed, and those of them that are accepted."""
    proposed: dict[Renamed, Key] = {}
    accepted: dict[Renamed, Key] = {}
    if changeset.renames:
        renames = changeset.changes.filter(operation=Operation.RENAME.value)
        for label, old, new, decision in renames.values_list("model", "previous_key", "key", "decision"):
            for found in [proposed] + ([accepted] if decision == Decision.ACCEPTED else []):
                found[label, canonical.dumps(old)] = tuple(new)
    return proposed, accepted


def acknowledge_moved(
    changeset: Changeset, changes: QuerySet[Change], *, acknowledge: bool, seen: str | None
) -> list[int]:
    """Stores, for changes that are about to be accepted, the rows that have moved, as they are now; gives the numbers.

    That is what an apply compares with, and starts from. Raises `NotAcknowledged` where a row has moved and that has
    not been seen: `seen` is the digest that was shown, "" where it was said not to have moved; None takes any. Raises
    `InvalidTransition` where nothing but another pull helps.
    """
    rows = _Rows(changeset)
    edited: list[int] = []
    numbers = changes.order_by("number").values_list("number", flat=True)
    for some in batches(list(numbers)):
        batch = list(changeset.changes.filter(number__in=some).order_by("number"))
        moved = rows.moved(batch)
        altered = []
        for change in batch:
            of_change = moved.get(change.number)
            if of_change is None or of_change.kind == "done":
                if change.seen:  # It is again as it was at the pull.
                    change.seen, change.acknowledged_digest = {}, ""
                    altered.append(change)
                continue
            if of_change.kind == "gone" and change.operation == Operation.DELETE:
                continue  # An apply finds that there is nothing left to do.
            _refuse_unseen(change, of_change, acknowledge=acknowledge, seen=seen)
            assert of_change.record is not None
            change.seen = {"digest": of_change.digest, "fields": dict(of_change.record.fields)}
            change.acknowledged_digest = of_change.digest
            edited.append(change.number)
            altered.append(change)
        Change.objects.bulk_update(altered, ["seen", "acknowledged_digest"])
    return edited


def _refuse_unseen(change: Change, moved: Moved, *, acknowledge: bool, seen: str | None) -> None:
    named = requirements.name_of(change)
    if not moved.digest:
        raise InvalidTransition(f"The row of change {named} {moved.reason}. Pull again.")
    if not acknowledge or (seen is not None and seen != moved.digest):
        raise NotAcknowledged(
            f"The row of change {named} {moved.reason}. Look at it as it is now, then accept and say that you have "
            "seen that.",
            change.number,
            moved.digest,
        )
