"""What is to be written to one row, and in which order rows of one model come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from data_sync.core import canonical
from data_sync.core.equality import same
from data_sync.core.ordering import CycleError, in_dependency_order
from data_sync.core.records import Record

from .schema import ModelSchema


@dataclass(kw_only=True)
class Write:
    """A create (`pk` None until written) or update of one row. `files` are names in the field's storage."""

    number: int
    after: Record
    before: Record | None = None
    pk: Any = None
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def key_text(self) -> str:
        return self.after.key_text

    @property
    def name(self) -> str:
        return self.after.name

    @cached_property
    def changed(self) -> set[str]:
        """Names of the fields that differ; all of them for a create."""
        if self.before is None:
            return set(self.after.fields)
        return {name for name, value in self.after.fields.items() if not same(value, self.before.fields[name])}


def levels(schema: ModelSchema, writes: Sequence[Write]) -> list[list[Write]]:
    """The writes such that a row comes after those of its own model that it refers to."""
    selves = [reference for reference in schema.references if reference.target is schema.model]
    if not selves:
        return [list(writes)]
    by_key = {write.key_text: write for write in writes}
    needs = {
        text: [
            other
            for reference in selves
            if write.after.fields[reference.name] is not None
            and (other := canonical.dumps(write.after.fields[reference.name])) in by_key
        ]
        for text, write in by_key.items()
    }
    try:
        order = in_dependency_order(by_key, needs)
    except CycleError:
        return [list(writes)]  # A cycle through a nullable reference: closed in the second phase.
    depth: dict[str, int] = {}
    found: list[list[Write]] = []
    for text in order:
        depth[text] = max((depth[need] + 1 for need in needs[text] if need != text), default=0)
        while len(found) <= depth[text]:
            found.append([])
        found[depth[text]].append(by_key[text])
    return found


def delete_levels(schema: ModelSchema, deletes: Mapping[Any, Record]) -> list[list[Any]]:
    """Primary keys of rows to delete, such that a row comes before those of its own model it refers to."""
    writes = [Write(number=0, after=record, pk=pk) for pk, record in deletes.items()]
    return [[write.pk for write in level] for level in reversed(levels(schema, writes))]
