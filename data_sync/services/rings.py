"""Deletes that no order makes possible: rows that must refer to each other, where each is looked at by itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from django.db import connections

from data_sync.core.states import Operation
from data_sync.orm.limits import Problem, problem
from data_sync.orm.references import targets_of
from data_sync.orm.schema import ModelSchema, Reference
from data_sync.orm.tables import table
from data_sync.orm.uniqueness import unique_sets
from data_sync.orm.writes import self_references

from .comparison import Comparison, Numbered, Sides

_SEEN, _ON_RING = 1, 2


class Rings:
    """Which rows that go need themselves, over others that go, and cannot refer to one that stays.

    None where the database looks at references when the transaction ends. Lives as long as the comparison, so that each
    row is followed once for each such reference. Keeps a byte for each change and reference.
    """

    def __init__(self, comparison: Comparison, using: str) -> None:
        self._comparison = comparison
        self._using = using
        self._marks: dict[tuple[str, str], bytearray] = {}
        self._needs = lru_cache(maxsize=None)(self._needs_of)

    def problems(self, sides: Sides) -> list[Problem]:
        """Why the row of a delete cannot go."""
        return [
            problem(
                "self_reference",
                reference.name,
                f"{reference.name} must not be null, and leads from this row back to it, over rows that go as well: "
                "this database would have to delete each of them before the others. Make the column nullable, or "
                "reject this delete.",
            )
            for reference, needs in self._rings(sides)
            if needs is None
        ]

    def requires(self, sides: Sides) -> set[int]:
        """The number of a create, where the row of a delete can only refer to a new one until it goes."""
        return {number for _, needs in self._rings(sides) for number in needs or ()}

    def _rings(self, sides: Sides) -> Iterator[tuple[Reference, frozenset[int] | None]]:
        """The references by which a row that goes needs itself, with what they need to let go of it."""
        if connections[self._using].features.can_defer_constraint_checks:
            return
        schema = sides.entry.schema
        for reference in self_references(schema):
            needs = None if reference.field.null else self._needs(schema.label, reference.name)
            if not reference.field.null and needs != frozenset() and self._is_on_one(sides, reference.name):
                yield reference, needs

    def _needs_of(self, label: str, name: str) -> frozenset[int] | None:
        """What has to be written for a reference to lead to a row that stays: nothing, or one create.

        None if there is no such row, or if the column is one of a unique set: a value of another row can be taken.
        """
        comparison = self._comparison
        schema = comparison.schemas[label]
        if any(name in unique.names for unique in unique_sets(schema.model)):
            return None
        if table(schema.model, self._using).count() > comparison.count(label, Operation.DELETE):
            return frozenset()
        creates = (entry for batch in comparison.entries(Operation.CREATE) for entry in batch)
        return next((frozenset({entry.number}) for entry in creates if entry.schema.label == label), None)

    def _is_on_one(self, sides: Sides, name: str) -> bool:
        entry = sides.entry
        member = (entry.schema.label, name)
        if member not in self._marks:
            self._marks[member] = bytearray(self._comparison.total + 1)
        marks = self._marks[member]
        if not marks[entry.number]:
            self._follow(sides, name, marks)
        return marks[entry.number] == _ON_RING

    def _follow(self, sides: Sides, name: str, marks: bytearray) -> None:
        path: list[int] = []
        at: Numbered | None = sides.entry
        while at is not None and not marks[at.number]:
            marks[at.number] = _SEEN
            path.append(at.number)
            at = self._next(self._comparison.sides_of(at), name)
        if at is not None and at.number in path:
            for number in path[path.index(at.number) :]:
                marks[number] = _ON_RING

    def _next(self, sides: Sides, name: str) -> Numbered | None:
        """The delete of the row that a row refers to."""
        schema: ModelSchema = sides.entry.schema
        assert sides.before is not None
        for member, target, text in targets_of(schema, sides.before):
            if member == name:
                other = self._comparison.change_of(target.label, text)
                return other if other is not None and other.operation == Operation.DELETE else None
        return None
