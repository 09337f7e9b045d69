"""What differs between two complete listings of the same models, numbered in the order it would be written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data_sync.core.compare import Difference, compare
from data_sync.core.errors import MalformedStream
from data_sync.core.listing import Listing
from data_sync.core.records import FileValue, Record, check_sizes, key_text, new_files
from data_sync.core.states import Operation
from data_sync.orm.cascades import Row
from data_sync.orm.limits import validate
from data_sync.orm.resolution import schemas
from data_sync.orm.rows import PK
from data_sync.orm.schema import ModelSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbered:
    """A difference with its place in the changeset."""

    number: int
    schema: ModelSchema
    difference: Difference

    @property
    def operation(self) -> Operation:
        return self.difference.operation

    @property
    def key_text(self) -> str:
        """The canonical text of the natural key."""
        return self.difference.key_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """A difference with its records: `before` None for a create, `after` None for a delete."""

    entry: Numbered
    before: Record | None
    after: Record | None

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
    """Everything that differs: writes in dependency order, then deletes in reverse.

    `kept` counts, per model, the local rows that the source lacks and that are registered to stay.
    """

    def __init__(self, here: Listing, there: Listing) -> None:
        self.here = here
        self.there = there
        self.schemas = {label: schemas()[label] for label in here.models}
        self.kept: dict[str, int] = dict.fromkeys(here.models, 0)
        self.numbered = self._number()
        self._by_key = {(entry.schema.label, entry.key_text): entry for entry in self.numbered}

    def _number(self) -> list[Numbered]:
        writes: list[tuple[ModelSchema, Difference]] = []
        deletes: list[tuple[ModelSchema, Difference]] = []
        for label, schema in self.schemas.items():
            gone = []
            for difference in compare(self.here, self.there, label):
                if difference.operation != Operation.DELETE:
                    writes.append((schema, difference))
                elif schema.registration.deletes == "never":
                    self.kept[label] += 1
                else:
                    gone.append((schema, difference))
            deletes[:0] = gone
        return [
            Numbered(number=number, schema=schema, difference=difference)
            for number, (schema, difference) in enumerate([*writes, *deletes], start=1)
        ]

    def compared(self, label: str) -> int:
        """How many keys of a model were compared: those here, and those only at the source."""
        creates = sum(entry.schema.label == label and entry.operation == Operation.CREATE for entry in self.numbered)
        return self.here.counts[label] + creates

    def change_of(self, label: str, text: str) -> Numbered | None:
        """The difference at a natural key, given as canonical text."""
        return self._by_key.get((label, text))

    def is_here(self, label: str, text: str) -> bool:
        """Whether the local listing has a row with this key; never for models that were not compared."""
        return label in self.schemas and self.here.contains(label, text)

    def sides(self, entries: Sequence[Numbered]) -> list[Sides]:
        return [self.sides_of(entry) for entry in entries]

    def sides_of(self, entry: Numbered) -> Sides:
        """Reads both records. Raises `MalformedStream` if the source's is not one of its model."""
        here, there = entry.difference.here, entry.difference.there
        before = None if here is None else self.here.record(here)
        after = None if there is None else self.there.record(there)
        if after is not None:
            validate(entry.schema, after)
            check_sizes(before, after)
        for record in (before, after):
            if record is not None and record.key_text != entry.key_text:
                raise MalformedStream(
                    f"The keys {record.key_text} and {entry.key_text} of {entry.schema.label} "
                    "cannot be told apart. Change one of them."
                )
        return Sides(entry=entry, before=before, after=after)

    def wanted_files(self) -> Iterator[tuple[str, FileValue]]:
        """Each file whose bytes are needed, with words that say whose it is."""
        for entry in self.numbered:
            if entry.schema.files and entry.operation != Operation.DELETE:
                sides = self.sides_of(entry)
                for name, file in new_files(sides.before, sides.after).items():
                    yield f"{entry.schema.label} {key_text(sides.record.key)}, {name}", file
