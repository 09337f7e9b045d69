"""Deletes that no order makes possible: rows that must refer to each other, where each is looked at by itself."""

from __future__ import annotations

from functools import lru_cache

from django.db import connections

from data_sync.core.states import Operation
from data_sync.orm.limits import Problem, problem
from data_sync.orm.references import targets_of
from data_sync.orm.schema import ModelSchema, Reference
from data_sync.orm.tables import table
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
        self._leaves_some = lru_cache(maxsize=None)(self._leaves_any)

    def problems(self, sides: Sides) -> list[Problem]:
        """Why the row of a delete cannot go."""
        if connections[self._using].features.can_defer_constraint_checks:
            return []
        return [
            problem(
                "self_reference",
                reference.name,
                f"{reference.name} must not be null, and leads from this row back to it, over rows that go as well: "
                "this database would have to delete each of them before the others. Make the column nullable, or "
                "reject this delete.",
            )
            for reference in self_references(sides.entry.schema)
            if not reference.field.null and self._is_stuck(sides, reference)
        ]

    def _is_stuck(self, sides: Sides, reference: Reference) -> bool:
        # Elsewhere, an apply has the rows refer to one that stays.
        can_let_go = not reference.field.unique and self._leaves_some(sides.entry.schema.label)
        return not can_let_go and self._is_on_one(sides, reference.name)

    def _leaves_any(self, label: str) -> bool:
        """Whether the model has a row that is not deleted, or gets one before the deletes."""
        comparison = self._comparison
        if comparison.count(label, Operation.CREATE):
            return True
        rows = table(comparison.schemas[label].model, self._using).count()
        return rows > comparison.count(label, Operation.DELETE)

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
