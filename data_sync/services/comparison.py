"""What differs between both sides, numbered in the order it would be written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from data_sync.core import canonical
from data_sync.core.errors import MalformedStream
from data_sync.core.numbered import Entry, NumberedDifferences
from data_sync.core.records import FileValue, Key, Record, check_sizes, key_text, new_files
from data_sync.core.spool import RecordSpool
from data_sync.core.states import Operation
from data_sync.orm.cascades import Row
from data_sync.orm.limits import validate
from data_sync.orm.rekeying import Rekeying, Renamed
from data_sync.orm.rows import PK
from data_sync.orm.schema import ModelSchema

from .redaction import new_redaction

CACHED = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbered:
    """A difference with its place in the changeset.

    `key_text` is the canonical text of the natural key; a rename has the new one there and the old one in
    `previous_key_text`. `here_key_text` is the key that the row has here, or had if it was deleted: another one below a
    renamed row. Digests are first 16 bytes: `base` the one that both sides last agreed on, `here_digest` that of the
    local row as it is, before anything it refers to is renamed.
    """

    number: int
    schema: ModelSchema
    operation: Operation
    key_text: str
    previous_key_text: str | None
    here_key_text: str
    base: bytes | None
    here_digest: bytes | None
    here_at: int | None
    there_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """A difference with its records: `before` None for a create, `after` None for a delete.

    Where the row refers to renamed rows, `before` has their new keys, and `rekeyed_by` says which renames those are.
    The `before` of a rename has the row's own key as it is.
    """

    entry: Numbered
    before: Record | None
    after: Record | None
    rekeyed_by: frozenset[Renamed] = frozenset()

    @property
    def record(self) -> Record:
        """The record that names the row: the newer one."""
        record = self.after or self.before
        assert record is not None
        return record

    @property
    def row(self) -> Row | None:
        """The local row."""
        if self.before is None:
            return None
        schema = self.entry.schema
        return schema.model, schema.pk.to_python(self.before.carried[PK])


class Comparison:
    """Everything that differs: writes in dependency order, then deletes in reverse. Held in files, read in batches.

    `here` and `there` have the number of rows of each model on either side; `kept` the number of local rows that the
    source lacks and that are registered to stay. Writes are known by the keys that rows will have: `rekeying` tells
    which keys those rows have now that are no differences. `redaction` makes the digests that are stored and shown;
    those of listings and baselines, which stay between the two sides and in the database, are plain ones.
    """

    def __init__(
        self,
        schemas: Mapping[str, ModelSchema],
        differences: NumberedDifferences,
        spools: tuple[RecordSpool, RecordSpool],
        listed: tuple[Mapping[str, int], Mapping[str, int]],
        renamed: Mapping[Renamed, Key],
        kept: Mapping[str, int],
    ) -> None:
        self.schemas = dict(schemas)
        self.here, self.there = listed
        self.kept = kept
        self._labels = list(self.schemas)
        self._places = {label: place for place, label in enumerate(self._labels)}
        self.differences = differences
        self._spools = spools
        self.rekeying = Rekeying(schemas, renamed)
        self._counts = differences.counts()
        concerned = {self._labels[place] for place, _ in self._counts}
        self.redaction = new_redaction({label: schema for label, schema in schemas.items() if label in concerned})
        self.total = len(differences)
        # One row refers to what many others refer to.
        self.change_of = lru_cache(CACHED)(self._change_of)
        self.change_of_row = lru_cache(CACHED)(self._change_of_row)
        self._rename_of = lru_cache(CACHED)(self._change_of_previous)

    def count(self, label: str, operation: Operation) -> int:
        return self._counts.get((self._places[label], operation.value), 0)

    def compared(self, label: str) -> int:
        """How many keys of a model were compared: those here, and those only at the source."""
        return self.here[label] + self.count(label, Operation.CREATE)

    def entries(self, *operations: Operation) -> Iterator[list[Numbered]]:
        """All, or those of some operations, in number order, in batches."""
        for batch in self.differences.entries(*operations):
            yield [self._numbered(entry) for entry in batch]

    def _change_of(self, label: str, text: str) -> Numbered | None:
        """The difference at a natural key, given as canonical text: of a rename the new one."""
        if label not in self._places:
            return None
        return self._one(self.differences.by_key(self._places[label], [text]))

    def _change_of_row(self, label: str, pk: Any) -> Numbered | None:
        """The difference of a local row."""
        if label not in self._places:
            return None
        text = canonical.dumps(pk if isinstance(pk, int) else str(pk))
        return self._one(self.differences.by_pk(self._places[label], [text]))

    def renames(self, causes: Iterable[Renamed]) -> set[int]:
        """The numbers of the changes that rename these rows."""
        found = (self._rename_of(label, text) for label, text in causes)
        return {rename.number for rename in found if rename is not None}

    def _change_of_previous(self, label: str, text: str) -> Numbered | None:
        return self._one(self.differences.by_previous_key(self._places[label], [text]))

    def _one(self, found: Mapping[str, Entry]) -> Numbered | None:
        return next((self._numbered(entry) for entry in found.values()), None)

    def _numbered(self, entry: Entry) -> Numbered:
        return Numbered(
            number=entry.number,
            schema=self.schemas[self._labels[entry.model]],
            operation=Operation(entry.operation),
            key_text=entry.key,
            previous_key_text=entry.previous_key if entry.operation == Operation.RENAME else None,
            here_key_text=entry.previous_key or entry.key,
            base=entry.base,
            here_digest=entry.here_digest,
            here_at=entry.here_at,
            there_at=entry.there_at,
        )

    def sides(self, entries: Iterable[Numbered]) -> list[Sides]:
        return [self.sides_of(entry) for entry in entries]

    def sides_of(self, entry: Numbered) -> Sides:
        """Reads both records. Raises `MalformedStream` if the source's is not one of its model."""
        here, there = self._spools
        before = None if entry.here_at is None else here.record(entry.here_at)
        after = None if entry.there_at is None else there.record(entry.there_at)
        rekeyed_by: frozenset[Renamed] = frozenset()
        if before is not None:
            before, rekeyed_by = self._rekeyed(before, entry)
        if after is not None:
            validate(entry.schema, after)
            check_sizes(before, after)
        for record, text in ((before, entry.previous_key_text or entry.key_text), (after, entry.key_text)):
            if record is not None and record.key_text != text and (record is after or not rekeyed_by):
                raise MalformedStream(
                    f"The keys {record.key_text} and {text} of {entry.schema.label} cannot be told apart. "
                    "Change one of them."
                )
        return Sides(entry=entry, before=before, after=after, rekeyed_by=rekeyed_by)

    def _rekeyed(self, record: Record, entry: Numbered) -> tuple[Record, frozenset[Renamed]]:
        if entry.operation == Operation.DELETE:
            return record, frozenset()  # It goes whatever becomes of what it refers to.
        rekeyed, causes = self.rekeying.with_causes(record)
        # The key that a renamed row has is shown, and looked for at the apply.
        return (replace(rekeyed, key=record.key) if entry.operation == Operation.RENAME else rekeyed), causes

    def wanted_files(self) -> Iterator[tuple[str, FileValue]]:
        """Each file whose bytes are needed, with words that say whose it is."""
        for batch in self.entries(Operation.CREATE, Operation.UPDATE, Operation.RENAME):
            for entry in batch:
                if entry.schema.files:
                    sides = self.sides_of(entry)
                    for name, file in new_files(sides.before, sides.after).items():
                        yield f"{entry.schema.label} {key_text(sides.record.key)}, {name}", file
