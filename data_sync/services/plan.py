"""The accepted changes of a changeset, as what is to be written and deleted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from data_sync.core.equality import same
from data_sync.core.errors import ChangeFailed
from data_sync.core.records import Record
from data_sync.core.states import Decision, Operation, Outcome
from data_sync.models import Change, Changeset
from data_sync.orm.resolution import schemas
from data_sync.orm.schema import ModelSchema
from data_sync.orm.writes import Write

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

    @property
    def key_text(self) -> str:
        return self.before.key_text

    @property
    def name(self) -> str:
        return self.before.name


class Plan:
    """The accepted changes of a changeset, by model in dependency order.

    `unchanged` lists the changes whose row is already as it would be; they are left alone.
    """

    def __init__(self, changeset: Changeset, files: dict[tuple[int, str], str]) -> None:
        self.schemas = schemas()
        self.writes: dict[str, list[Write]] = {label: [] for label in self.schemas}
        self.deletes: dict[str, list[Delete]] = {label: [] for label in self.schemas}
        self.digests: dict[int, tuple[str, str]] = {}
        self.unchanged: list[int] = []
        accepted = changeset.changes.filter(decision=Decision.ACCEPTED.value).order_by("number")
        for change in accepted.defer("diff", "requires").iterator(chunk_size=500):
            self._take(change, files)

    def _take(self, change: Change, files: dict[tuple[int, str], str]) -> None:
        schema = self.schemas.get(change.model)
        if schema is None:
            raise ChangeFailed({change.number: f"{change.model} is no longer registered here."})
        if change.problems:
            raise ChangeFailed({change.number: " ".join(problem["message"] for problem in change.problems)})
        self.digests[change.number] = (change.before_digest, change.after_digest)
        pk = None if change.local_pk is None else schema.pk.to_python(change.local_pk)
        if change.operation == Operation.DELETE:
            shown = frozenset((c["model"], c["pk"], c["effect"], c["column"]) for c in change.cascades)
            self.deletes[schema.label].append(
                Delete(number=change.number, pk=pk, before=before_record(change), shown=shown)
            )
            return
        after = after_record(change)
        names = {
            file.name: "" if after.files[file.name] is None else files.get((change.number, file.name))
            for file in schema.files
        }
        before = None if change.operation == Operation.CREATE else before_record(change)
        self.writes[schema.label].append(
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
        total = sum(map(len, self.writes.values())) + sum(map(len, self.deletes.values()))
        return {
            Outcome.APPLIED.value: total,
            Outcome.UNCHANGED.value: len(self.unchanged),
        }

    def set_aside(self, label: str) -> None:
        """Takes the model's changes that are found to be done already off the lists."""
        done = set(self.unchanged)
        self.writes[label] = [write for write in self.writes[label] if write.number not in done]
        self.deletes[label] = [delete for delete in self.deletes[label] if delete.number not in done]

    def touched(self) -> Iterator[tuple[ModelSchema, Operation, Any, Record, list[str]]]:
        """Every row written or deleted: model, operation, primary key, record and the fields that differ."""
        for label, schema in self.schemas.items():
            for write in self.writes[label]:
                if write.before is None:
                    yield schema, Operation.CREATE, write.pk, write.after, []
                else:
                    names = [name for name in write.after.fields if name in write.changed]
                    yield schema, Operation.UPDATE, write.pk, write.after, [*names, *write.files]
            for delete in self.deletes[label]:
                yield schema, Operation.DELETE, delete.pk, delete.before, []


def differing(one: Record, other: Record) -> list[str]:
    """Names of the fields and files in which two records of a row differ."""
    names = [name for name, value in one.fields.items() if not same(value, other.fields.get(name))]
    for name, file in one.files.items():
        theirs = other.files.get(name)
        if (file and (file.checksum, file.size)) != (theirs and (theirs.checksum, theirs.size)):
            names.append(name)
    return names
