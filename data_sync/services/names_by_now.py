"""What a changeset's rows are called by now, and the records that undo its changes in those words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.db.models import QuerySet

from data_sync.core import canonical
from data_sync.core.records import Key, Record, differing
from data_sync.core.states import Operation, Outcome, RenameChoice
from data_sync.models import Change, Changeset
from data_sync.orm.rekeying import Rekeying, Renamed
from data_sync.orm.resolution import schemas

from .content import after_record, before_record


def is_replaced(change: Change) -> bool:
    """Whether a rename has deleted its row and added a new one. It is undone in the same way: what no record tells of
    went with the old row."""
    return change.operation == Operation.RENAME and change.rename_choice == RenameChoice.REPLACE


class Names:
    """Which keys rows have by now, and are to have: what the changeset renamed, what has been undone of that, and what
    is to be. Rows that were renamed otherwise since are not found."""

    def __init__(self, changeset: Changeset, chosen: Sequence[QuerySet[Change]]) -> None:
        everything = changeset.changes.filter(operation=Operation.RENAME.value, outcome=Outcome.APPLIED.value)
        order = {label: place for place, label in enumerate(schemas())}
        replaced = set(everything.filter(rename_choice=RenameChoice.REPLACE.value).values_list("number", flat=True))
        rows = list(everything.values_list("number", "model", "previous_key", "key", "reverted_by"))
        rows.sort(key=lambda row: (order.get(row[1], 0), row[0]))
        renames = (part.filter(operation=Operation.RENAME.value) for part in chosen)
        numbers = {number for part in renames for number in part.values_list("number", flat=True)}
        self._forward = Rekeying(schemas(), {(row[1], canonical.dumps(row[2])): tuple(row[3]) for row in rows})
        undone: dict[Renamed, Key] = {}
        for _, label, previous, key, by in rows:
            if by is not None:
                old = self._forward.key_by_parents(label, canonical.dumps(previous)).text
                undone[label, canonical.dumps(key)] = tuple(Rekeying(schemas(), undone).key(label, old).key)
        self._back = Rekeying(schemas(), undone)
        self.pairs: dict[Renamed, Key] = {}
        self.replaced: set[Renamed] = set()
        for number, label, previous, key, _ in rows:
            if number in numbers:
                now = self._back.key(label, canonical.dumps(key)).text
                old = self._former(label, previous)
                self.pairs[label, now] = tuple(Rekeying(schemas(), self.pairs).key(label, old).key)
                if number in replaced:
                    self.replaced.add((label, now))
        self._further = Rekeying(schemas(), self.pairs)

    def _former(self, label: str, previous: Any) -> str:
        """The key that a renamed row would have by now, had it not been renamed itself."""
        return self._back.key(label, self._forward.key_by_parents(label, canonical.dumps(previous)).text).text

    def here(self, change: Change) -> str:
        """The key that the row has if nobody else has touched it, or would have if it were still here."""
        text = canonical.dumps(change.key)
        if change.operation == Operation.DELETE:
            text = self._forward.key(change.model, text).text
        return self._back.key(change.model, text).text

    def former(self, change: Change) -> str:
        """The key that the row of a chosen rename gets back."""
        return canonical.dumps(list(self.pairs[change.model, self.here(change)]))

    def in_force(self, record: Record) -> Record:
        """A record of the changeset, as it reads by now."""
        record = self._back.record(record)
        own = self._back.key(record.model, record.key_text)
        return replace(record, key=tuple(own.key)) if own.causes else record

    def of_deleted(self, record: Record) -> Record:
        return self.in_force(self._forward.record(record))

    def as_before(self, change: Change, record: Record) -> Record:
        """A record that reads as of now, as it will once the chosen renames are undone."""
        moved = self._further.record(record)
        if change.operation != Operation.RENAME:
            return moved
        key = self.pairs[change.model, self.here(change)]
        return replace(moved, key=key)


def renamed_later(changeset: Changeset) -> Rekeying:
    """The renames that changesets have written after this one."""
    later = Change.objects.filter(operation=Operation.RENAME.value, outcome=Outcome.APPLIED.value)
    later = later.filter(changeset__applied_at__gt=changeset.applied_at).exclude(changeset=changeset)
    rows = later.order_by("changeset__applied_at", "number").values_list("model", "previous_key", "key")
    known = schemas()
    renamed: dict[Renamed, Key] = {}
    first: dict[Renamed, Renamed] = {}
    for label, previous, key in rows:
        if label in known:
            # A row that was renamed several times is known by its first key; one that has that again never was.
            old, new = (label, canonical.dumps(previous)), (label, canonical.dumps(key))
            origin = first.pop(old, old)
            renamed.pop(origin, None)
            if origin != new:
                first[new], renamed[origin] = origin, tuple(key)
    return Rekeying(known, renamed)


def inverse_of(change: Change, names: Names, now: Record | None) -> Record | None:
    """The record that undoes a change; None where that is no row."""
    match Operation(change.operation):
        case Operation.CREATE:
            return None
        case Operation.DELETE:
            return names.as_before(change, names.of_deleted(before_record(change)))
        case Operation.UPDATE | Operation.RENAME:
            before, after = names.in_force(before_record(change)), names.in_force(after_record(change))
            if now is None:
                return names.as_before(change, before)
            altered = set(differing(before, after))
            record = replace(
                now,
                fields={name: (before if name in altered else now).fields[name] for name in now.fields},
                files={name: (before if name in altered else now).files[name] for name in now.files},
                carried={
                    # Whoever has saved the row since has left another moment there.
                    name: before.carried.get(name) if value == after.carried.get(name) else value
                    for name, value in now.carried.items()
                },
            )
            return names.as_before(change, record)
