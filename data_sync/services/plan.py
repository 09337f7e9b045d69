"""What is to be written and deleted for a changeset, read from its changes a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, models
from django.db.models import QuerySet

from data_sync.core import canonical
from data_sync.core.errors import ChangeFailed
from data_sync.core.listing import key_hash
from data_sync.core.numbers import Numbers
from data_sync.core.records import Key, Record
from data_sync.core.states import Decision, Operation, Outcome
from data_sync.models import Change, Changeset
from data_sync.models.fields import as_stored
from data_sync.orm.batches import batches
from data_sync.orm.inheritance import rows_in_table
from data_sync.orm.parking import Leaving
from data_sync.orm.rekeying import Rekeying, Renamed
from data_sync.orm.writes import Write

from .content import after_record, agreed_record, before_record, compared_schemas
from .entries import Entry, entries_of, entry_columns
from .planned_writes import TEXTS, write_of
from .redaction import redaction_of
from .shown import Shown
from .written import Written

BATCH = 1200
REMEMBERED = 20_000
"""So many entries are kept in memory; a plan of more reads them again for each of its steps."""
IsDone = Callable[[int], bool]
"""Says whether a change has been carried out already: another row may have its row's primary key by then."""

WRITTEN = (Operation.CREATE, Operation.UPDATE, Operation.RENAME)


class Plan:
    """The chosen changes of a changeset, which are the accepted ones unless `numbers` says otherwise.

    Models come in dependency order; `concerned` are those that have changes. `redaction` makes the changeset's digests.
    In memory are a few bytes a change; records are read when they are needed. `done` has the numbers of changes whose
    row is already as it would be, `dropped` those and what a rehearsal has given up: neither is given by `entries`
    again.
    """

    def __init__(
        self, changeset: Changeset, files: Mapping[tuple[int, str], str], numbers: Collection[int] | None = None
    ) -> None:
        self.changeset = changeset
        self._files = files
        self._numbers = None if numbers is None else Numbers(numbers)
        self.schemas = compared_schemas(changeset)
        self.redaction = redaction_of(changeset)
        self.done = Numbers()
        self.dropped = Numbers()
        self.written = Written()
        self._leaving: dict[str, dict[Any, int]] = {}
        self._known: dict[str, list[Entry]] = {}
        self.renamed = self._renamed()
        self.rekeying = Rekeying(self.schemas, self.renamed)
        self._kept_bases: dict[int, str | None] = {}
        self._kept_digests = self._digests_of_kept()
        labels = set(self._changes().order_by().values_list("model", flat=True).distinct())
        self._refuse(labels)
        self.concerned = {label: schema for label, schema in self.schemas.items() if label in labels}

    # Which changes

    def _changes(self) -> QuerySet[Change]:
        changes = self.changeset.changes.order_by("number")
        return changes.filter(decision=Decision.ACCEPTED.value) if self._numbers is None else changes

    def _is_chosen(self, number: int) -> bool:
        return (self._numbers is None or number in self._numbers) and number not in self.dropped

    def _renamed(self) -> dict[Renamed, Key]:
        renames = self._changes().filter(operation=Operation.RENAME.value)
        return {
            (label, canonical.dumps(previous)): tuple(key)
            for number, label, previous, key in renames.values_list("number", "model", "previous_key", "key")
            if self._is_chosen(number)
        }

    def _digests_of_kept(self) -> dict[int, str]:
        """Of updates that keep some fields: not what came in, but what the row is to be. Never taken from storage."""
        digests = {}
        for change in self._changes().exclude(kept={}).iterator(chunk_size=500):
            if self._is_chosen(change.number):
                digests[change.number] = self.redaction.digest(after_record(change))
                agreed = agreed_record(change)
                # Below a renamed row it is not known under which key it was agreed on.
                is_known = agreed is not None and not self.rekeying.with_causes(agreed)[1]
                self._kept_bases[change.number] = agreed.digest() if agreed is not None and is_known else None
        return digests

    def _refuse(self, labels: Collection[str]) -> None:
        """Raises `ChangeFailed` for changes, of these models, that nobody should have been able to choose."""
        for label in sorted(labels):
            changes = self._changes().filter(model=label)
            reason = self._outdated(label, changes)
            if reason:
                numbers = changes.values_list("number", flat=True)
                raise ChangeFailed({number: reason for number in numbers if self._is_chosen(number)})
        problems = self._changes().exclude(problems=[]).values_list("number", "problems")
        reasons = {
            number: " ".join(problem["message"] for problem in of_change)
            for number, of_change in problems
            if self._is_chosen(number)
        }
        if reasons:
            raise ChangeFailed(reasons)

    def _outdated(self, label: str, changes: QuerySet[Change]) -> str:
        """Why what was pulled of a model can no longer be written; "" where it can. All its records have one shape."""
        if label not in self.schemas:
            return f"{label} is no longer registered here."
        record = next(value for value in changes.values_list("before", "after")[0] if value is not None)
        unlike = sorted(record.keys() ^ set(self.schemas[label].field_names))
        return f"{label} has got other fields since the pull ({', '.join(unlike)}). Pull again." if unlike else ""

    def entries(self, label: str, *operations: Operation, and_done: bool = False) -> Iterator[list[Entry]]:
        """The changes of one model in number order, of all or some operations, in batches."""
        if label not in self.concerned:
            return
        for batch in batches(self._known[label], BATCH) if label in self._known else self._read(label, operations):
            chosen = [
                self._with_pk(entry)
                for entry in batch
                if (not operations or entry.operation in operations)
                and (self._is_chosen(entry.number) or (and_done and entry.number in self.done))
            ]
            if chosen:
                yield chosen

    def _read(self, label: str, operations: Sequence[Operation]) -> Iterator[list[Entry]]:
        """The same from the database. Where there are few, all are remembered once they were asked for."""
        changes = self._changes().filter(model=label)
        if operations:
            changes = changes.filter(operation__in=[operation.value for operation in operations])
        read: list[Entry] | None = None if operations else []
        last = 0
        while True:
            rows = list(changes.filter(number__gt=last).values_list(*entry_columns())[:BATCH])
            batch = entries_of(self.schemas[label], rows, self._kept_digests)
            if read is not None:
                read = [*read, *batch] if len(read) + len(batch) <= REMEMBERED else None
            if len(rows) < BATCH:
                if read is not None and sum(map(len, self._known.values())) + len(read) <= REMEMBERED:
                    self._known[label] = read
                yield batch
                return
            yield batch
            last = rows[-1][0]

    def _with_pk(self, entry: Entry) -> Entry:
        if entry.pk is not None and not entry.is_replaced:
            return entry
        is_made = self.written.has_key(entry.number)
        return entry._replace(pk=self.written.key(entry.number)) if is_made else entry

    def of_numbers(self, label: str, numbers: Collection[int]) -> list[Entry]:
        """The entries with these numbers."""
        rows = self._changes().filter(model=label, number__in=numbers).values_list(*entry_columns())
        entries = entries_of(self.schemas[label], rows, self._kept_digests)
        return [self._with_pk(entry) for entry in entries if self._is_chosen(entry.number)]

    # Records

    def writes(self, entries: Sequence[Entry]) -> list[Write]:
        """What is to be written for some changes of one model, with their records."""
        by_number = {entry.number: entry for entry in entries}
        rows = self.changeset.changes.filter(number__in=list(by_number)).order_by("number")
        texts = rows.values_list("number", *map(as_stored, TEXTS))
        return [write_of(by_number[number], of_row, self._files) for number, *of_row in texts]

    def before(self, numbers: Sequence[int]) -> dict[int, Record]:
        """The records that updates, renames and deletes start from."""
        return {change.number: before_record(change) for change in self.changeset.changes.filter(number__in=numbers)}

    def after(self, numbers: Sequence[int]) -> dict[int, Record]:
        return {change.number: after_record(change) for change in self.changeset.changes.filter(number__in=numbers)}

    def shown(self, numbers: Iterable[int]) -> dict[int, Shown]:
        """The cascades that the reviewer was shown of deletes."""
        return {
            number: frozenset((c["model"], c["pk"], c["effect"], c["column"]) for c in cascades)
            for some in batches(numbers)
            for number, cascades in self.changeset.changes.filter(number__in=some).values_list("number", "cascades")
        }

    def leaving(self, table: type[models.Model], pks: Collection[Any], is_done: IsDone) -> Iterator[Leaving]:
        """Which rows, by primary key in a table, changes of the plan have still to alter or delete."""
        for label, schema in self.schemas.items():
            if table not in schema.tables:
                continue
            entries = self._still_to_do(
                label, rows_in_table(schema, table, list(pks), DEFAULT_DB_ALIAS).values(), is_done
            )
            doomed = {entry.number: entry.pk for entry in entries if entry.operation == Operation.DELETE}
            for number, record in self.before(list(doomed)).items() if doomed else ():
                yield Leaving(schema=schema, pk=doomed[number], number=number, before=record, after=None)
            for write in self.writes([entry for entry in entries if entry.operation != Operation.DELETE]):
                if write.before is not None:
                    yield Leaving(
                        schema=schema, pk=write.pk, number=write.number, before=write.before, after=write.after
                    )

    def doomed(self, label: str, pks: Collection[Any], is_done: IsDone) -> dict[Any, int]:
        """The numbers of the changes that have still to delete some of these rows, by primary key."""
        entries = self._still_to_do(label, pks, is_done)
        return {entry.pk: entry.number for entry in entries if entry.operation == Operation.DELETE}

    def _still_to_do(self, label: str, pks: Iterable[Any], is_done: IsDone) -> list[Entry]:
        if label not in self._leaving:
            self._leaving[label] = {
                entry.pk: entry.number
                for batch in self.entries(label, Operation.UPDATE, Operation.RENAME, Operation.DELETE)
                for entry in batch
            }
        known = self._leaving[label]
        numbers = [known[pk] for pk in pks if pk in known and not is_done(known[pk])]
        return [entry for some in batches(numbers) for entry in self.of_numbers(label, some)]

    # What became of them

    def drop(self, number: int) -> None:
        """Leaves a change out from here on."""
        self.dropped.add(number)

    def set_aside(self, number: int) -> None:
        """Leaves out a change whose work is found to be done already."""
        self.done.add(number)
        self.dropped.add(number)

    def agreed(self) -> Iterator[tuple[str, bytes, bytes | None]]:
        """What both sides agree on once the plan is carried out, as `baselines.record_applied` takes it."""
        taken = {(label, canonical.dumps(list(key))) for (label, _), key in self.renamed.items()}
        for label in self.schemas:
            for batch in self.entries(label, and_done=True):
                plain = self._plain_digests(label, batch)
                for entry in batch:
                    is_gone, text = entry.operation == Operation.DELETE, plain.get(entry.number, entry.after_digest)
                    if entry.number in self._kept_digests:
                        base = self._kept_bases[entry.number]
                        if base is None:
                            continue  # Nothing is known of the kept fields: what was agreed on of the row stands.
                        text = base
                    digest = None if is_gone else bytes.fromhex(text.removeprefix("sha256:"))[:16]
                    yield label, key_hash(entry.key_text.encode()), digest
                    if entry.previous_key is not None and (label, entry.previous_key) not in taken:
                        yield label, key_hash(entry.previous_key.encode()), None

    def _plain_digests(self, label: str, batch: Sequence[Entry]) -> dict[int, str]:
        """Of a model with redacted fields, the digests that baselines are made of: no changeset's key is in those."""
        if not self.redaction.of(label):
            return {}
        written = [entry.number for entry in batch if entry.operation != Operation.DELETE]
        return {number: record.digest() for number, record in self.after(written).items()}

    def counts(self) -> dict[str, int]:
        changes = self._changes()
        total = changes.count() if self._numbers is None else len(self._numbers)
        return {Outcome.APPLIED.value: total - len(self.dropped), Outcome.UNCHANGED.value: len(self.done)}
