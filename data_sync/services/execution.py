"""One apply inside its transaction: check every row, write, read back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from data_sync.core import canonical
from data_sync.core.equality import same
from data_sync.core.errors import ChangeFailed, StaleChangeset
from data_sync.core.records import Record, RecordText
from data_sync.core.states import Decision, Operation, Outcome
from data_sync.models import Change, Changeset
from data_sync.orm.cascades import Cascade, Reach, reach_of
from data_sync.orm.references import RowsOfKeys, batches
from data_sync.orm.rows import RowReader
from data_sync.orm.schema import ModelSchema, schemas
from data_sync.orm.write import Write, Writer, delete_levels

from .content import after_record, before_record

USING = "default"
Shown = frozenset[tuple[str, str, str, str]]


@dataclass(slots=True, kw_only=True)
class Delete:
    """A row to delete, with the cascades that the reviewer was shown: model, pk, effect, column."""

    number: int
    pk: Any
    before: Record
    shown: Shown


class Execution:
    """The accepted changes of a changeset, by model in dependency order.

    `unchanged` lists the changes whose row is already as it would be; they are left alone.
    """

    def __init__(self, changeset: Changeset, files: dict[tuple[int, str], str]) -> None:
        self._schemas = schemas()
        self._writes: dict[str, list[Write]] = {label: [] for label in self._schemas}
        self._deletes: dict[str, list[Delete]] = {label: [] for label in self._schemas}
        self._digests: dict[int, tuple[str, str]] = {}
        self.unchanged: list[int] = []
        accepted = changeset.changes.filter(decision=Decision.ACCEPTED.value).order_by("number")
        for change in accepted.iterator(chunk_size=500):
            self._take(change, files)

    def _take(self, change: Change, files: dict[tuple[int, str], str]) -> None:
        schema = self._schemas.get(change.model)
        if schema is None:
            raise ChangeFailed({change.number: f"{change.model} is no longer registered here."})
        if change.problems:
            raise ChangeFailed({change.number: " ".join(problem["message"] for problem in change.problems)})
        self._digests[change.number] = (change.before_digest, change.after_digest)
        pk = None if change.local_pk is None else schema.pk.to_python(change.local_pk)
        if change.operation == Operation.DELETE:
            shown = frozenset((c["model"], c["pk"], c["effect"], c["column"]) for c in change.cascades)
            self._deletes[schema.label].append(
                Delete(number=change.number, pk=pk, before=before_record(change), shown=shown)
            )
            return
        after = after_record(change)
        names = {
            file.name: "" if after.files[file.name] is None else files.get((change.number, file.name))
            for file in schema.files
        }
        before = None if change.operation == Operation.CREATE else before_record(change)
        self._writes[schema.label].append(
            Write(
                number=change.number,
                after=after,
                before=before,
                pk=pk,
                files={
                    name: stored
                    for name, stored in names.items()
                    if stored is not None and (before is None or stored or before.files[name] is not None)
                },
            )
        )

    def counts(self) -> dict[str, int]:
        total = sum(map(len, self._writes.values())) + sum(map(len, self._deletes.values()))
        return {
            Outcome.APPLIED.value: total,
            Outcome.UNCHANGED.value: len(self.unchanged),
        }

    # Check

    def check(self) -> None:
        """Locks the rows and compares each with what the reviewer saw. Raises `StaleChangeset`, with every
        change that no longer fits; takes those whose work is done already off the list."""
        stale: dict[int, str] = {}
        for label, schema in self._schemas.items():
            reader = RowReader(schema, USING)
            updates = [write for write in self._writes[label] if write.before is not None]
            self._lock(schema, [write.pk for write in updates] + [delete.pk for delete in self._deletes[label]])
            stale |= self._check_known(reader, updates)
            stale |= self._check_known(reader, self._deletes[label])
            stale |= self._check_creates(reader, [write for write in self._writes[label] if write.before is None])
            done = set(self.unchanged)
            self._writes[label] = [write for write in self._writes[label] if write.number not in done]
            self._deletes[label] = [delete for delete in self._deletes[label] if delete.number not in done]
        if stale:
            raise StaleChangeset(stale)

    def _lock(self, schema: ModelSchema, pks: list[Any]) -> None:
        for batch in batches(pks):
            rows = schema.every_row(USING).select_for_update().filter(pk__in=batch).order_by("pk")
            for _ in rows.values_list("pk"):
                pass

    def _check_known(self, reader: RowReader, group: Sequence[Write | Delete]) -> dict[int, str]:
        """Updates and deletes: the row must be as it was at the pull."""
        stale = {}
        for batch in batches(group):
            now = reader.by_pk([item.pk for item in batch])
            for item in batch:
                before, after = self._digests[item.number]
                record = now.get(item.pk)
                if record is None:
                    if isinstance(item, Delete):
                        self.unchanged.append(item.number)
                    else:
                        stale[item.number] = f"{_name(item.after)} is gone since the pull. Pull again."
                    continue
                digest = record.digest()
                if isinstance(item, Write) and digest == after:
                    self.unchanged.append(item.number)
                elif digest != before:
                    expected = item.before
                    assert expected is not None
                    names = ", ".join(_differing(expected, record.record()))
                    stale[item.number] = f"{_name(expected)} was changed here since the pull: {names}. Pull again."
        return stale

    def _check_creates(self, reader: RowReader, creates: list[Write]) -> dict[int, str]:
        """Creates: no row may have the key, unless it is just as the change would make it."""
        stale = {}
        for batch in batches(creates):
            rows = RowsOfKeys(reader.schema, "pk", USING)
            texts = {write.number: canonical.dumps(list(write.after.key)) for write in batch}
            rows.load(texts.values())
            taken = {write.number: rows.get(texts[write.number]) for write in batch}
            now = reader.by_pk([pk for pk in taken.values() if pk is not None])
            for write in batch:
                pk = taken[write.number]
                if pk is None:
                    continue
                if now[pk].digest() == self._digests[write.number][1]:
                    self.unchanged.append(write.number)
                else:
                    stale[write.number] = f"{_name(write.after)} has been added here since the pull. Pull again."
        return stale

    # Write

    def write(self) -> None:
        """Creates and updates in dependency order, then second phase, then deletes, children first."""
        writer = Writer(USING)
        for label, schema in self._schemas.items():
            writer.create(schema, [write for write in self._writes[label] if write.before is None])
            writer.update(schema, [write for write in self._writes[label] if write.before is not None])
        writer.finish(self._writes, self._schemas)
        self._check_reach()
        for label, schema in reversed(self._schemas.items()):
            deletes = {delete.pk: delete for delete in self._deletes[label]}
            records = {pk: delete.before for pk, delete in deletes.items()}
            for level in delete_levels(schema, records):
                writer.delete(schema, {pk: deletes[pk].number for pk in level})

    def _check_reach(self) -> None:
        """Computes once more what the deletes take along: one row more than was shown, and nothing is written."""
        roots = {
            (schema.model, delete.pk): delete
            for label, schema in self._schemas.items()
            for delete in self._deletes[label]
        }
        stale = {}
        for root, reach in reach_of(roots, USING).items():
            reason = _beyond(reach, roots[root].shown)
            if reason:
                stale[roots[root].number] = f"{_name(roots[root].before)}: {reason} Pull again."
        if stale:
            raise StaleChangeset(stale)

    # Read back

    def read_back(self) -> None:
        """Reads every written row again. Raises `ChangeFailed` where the database holds something else."""
        failed: dict[int, str] = {}
        for label, schema in self._schemas.items():
            reader = RowReader(schema, USING)
            for batch in batches(self._writes[label]):
                pks = [write.pk for write in batch]
                now = reader.by_pk(pks)
                in_scope = set(schema.rows(USING).filter(pk__in=pks).values_list("pk", flat=True))
                for write in batch:
                    reason = self._mismatch(write, now.get(write.pk), write.pk in in_scope)
                    if reason:
                        failed[write.number] = f"{_name(write.after)}: {reason}"
            creates = [write for write in self._writes[label] if write.before is None and write.number not in failed]
            failed |= self._duplicates(schema, creates)
        if failed:
            raise ChangeFailed(failed)

    def _mismatch(self, write: Write, record: RecordText | None, in_scope: bool) -> str:
        if record is None:
            return "the row was written, but is not there when read again; does a signal receiver remove it?"
        if record.digest() != self._digests[write.number][1]:
            names = ", ".join(_differing(write.after, record.record()))
            return (
                f"the database gave back another value than was written for {names}; it cannot hold this one exactly."
            )
        if not in_scope:
            return "it would lie outside of the registration's queryset here."
        return ""

    def _duplicates(self, schema: ModelSchema, creates: list[Write]) -> dict[int, str]:
        failed = {}
        for batch in batches(creates):
            rows = RowsOfKeys(schema, "pk", USING)
            texts = {write.number: canonical.dumps(list(write.after.key)) for write in batch}
            rows.load(texts.values())
            for write in batch:
                if rows.count(texts[write.number]) != 1:
                    failed[write.number] = f"{_name(write.after)}: another row was given this natural key meanwhile."
        return failed

    def touched(self) -> Iterator[tuple[ModelSchema, Operation, Any, Record, list[str]]]:
        """Every row written or deleted: model, operation, primary key, record and the fields that differ."""
        for label, schema in self._schemas.items():
            for write in self._writes[label]:
                if write.before is None:
                    yield schema, Operation.CREATE, write.pk, write.after, []
                else:
                    yield (
                        schema,
                        Operation.UPDATE,
                        write.pk,
                        write.after,
                        _differing(write.before, write.after),
                    )
            for delete in self._deletes[label]:
                yield schema, Operation.DELETE, delete.pk, delete.before, []


def _name(record: Record) -> str:
    return f"{record.model} {canonical.dumps(list(record.key))}"


def _differing(one: Record, other: Record) -> list[str]:
    """Names of the fields and files in which two records of a row differ."""
    names = [name for name, value in one.fields.items() if not same(value, other.fields.get(name))]
    for name, file in one.files.items():
        theirs = other.files.get(name)
        if (file and (file.checksum, file.size)) != (theirs and (theirs.checksum, theirs.size)):
            names.append(name)
    return names


def _beyond(reach: Reach, shown: Shown) -> str:
    """What a delete would reach beyond what was shown, in words; "" if nothing."""

    def seen(cascade: Cascade) -> tuple[str, str, str, str]:
        return cascade.model._meta.label_lower, str(cascade.pk), cascade.effect, cascade.column

    more = [cascade for cascade in reach.cascades if seen(cascade) not in shown] + reach.obstacles
    if not more:
        return ""
    first = f"{more[0].model._meta.label_lower} {more[0].pk}"
    others = f" and {len(more) - 1} more" if len(more) > 1 else ""
    return f"deleting it would now also reach {first}{others}, which was not shown."
