"""What is to be written to one row, and in which order rows of one model come."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from data_sync.core.equality import same
from data_sync.core.ordering import CycleError, in_dependency_order
from data_sync.core.records import Record

from .schema import ModelSchema, Reference


@dataclass(kw_only=True)
class Write:
    """A create (`pk` None until written), update or rename of one row. `files` are names in the field's storage.

    `beside` has values of columns that are in no record, by field name: of a new row that has been there before.
    """

    number: int
    after: Record
    before: Record | None = None
    pk: Any = None
    files: Mapping[str, str] = field(default_factory=dict)
    beside: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def key_text(self) -> str:
        return self.after.key_text

    @property
    def name(self) -> str:
        return self.after.name

    @cached_property
    def changed(self) -> set[str]:
        """Names of the fields that differ; all of them for a create."""
        return changed(self.before, self.after)


def changed(before: Record | None, after: Record) -> set[str]:
    """Names of the fields in which two records of a row differ; all of them where it has not been there before."""
    if before is None:
        return set(after.fields)
    names = set()
    for name, value in after.fields.items():
        other = before.fields[name]
        # Most are texts, and equal: they need no call.
        if value is not other and not (value == other if type(value) is str is type(other) else same(value, other)):
            names.add(name)
    return names


class Bare:
    """Stands in for an instance of which only the primary key and what is set on it are known."""

    def __init__(self, pk: Any) -> None:
        self.pk = pk


Row = Any
"""An instance of a model, or a `Bare` in its place."""


def columns_of(schema: ModelSchema, names: Collection[str]) -> list[str]:
    """The columns that these members of a record are stored in, by field name: two for a generic foreign key."""
    columns = [name for name in schema.column_names if name in names]
    for generic in schema.generics:
        if generic.name in names:
            columns += [generic.type_field.name, generic.object_field.name]
    return columns


def self_references(schema: ModelSchema) -> list[Reference]:
    """The references by which rows refer to rows of their own model."""
    return [reference for reference in schema.references if reference.target is schema.model]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A row that refers to rows of its own model: `required` and `optional` are the numbers that those have."""

    required: Sequence[int]
    optional: Sequence[int]


def levels(nodes: Mapping[int, Node]) -> list[list[int]]:
    """The numbers such that a row comes in a later list than those it refers to.

    In a cycle, references that may be null count for nothing: the second phase fills them in.
    """
    for needs in (
        {number: [*node.required, *node.optional] for number, node in nodes.items()},
        {number: list(node.required) for number, node in nodes.items()},
    ):
        try:
            return _levels(in_dependency_order(nodes, needs), needs)
        except CycleError:
            continue
    return [list(nodes)]


def _levels(order: Iterable[int], needs: Mapping[int, Sequence[int]]) -> list[list[int]]:
    depth: dict[int, int] = {}
    found: list[list[int]] = []
    for number in order:
        depth[number] = max((depth[need] + 1 for need in needs[number] if need != number), default=0)
        while len(found) <= depth[number]:
            found.append([])
        found[depth[number]].append(number)
    return found
