"""New rows that need each other before they are written."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import count

from data_sync.core.states import Operation
from data_sync.orm.references import targets_of
from data_sync.orm.schema import ModelSchema

from .comparison import Comparison, Numbered, Sides


class Circles:
    """Which new rows need themselves, over new rows of their model, by references that must not be null.

    Lives as long as the comparison, so that each row is looked at once. Keeps eight bytes for each change, for models
    that have such references.
    """

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison
        self._marks: dict[str, array[int]] = {}
        """By label and number: the number of one row of the circle that a row is on; of the row itself if on none."""

    def is_on_one(self, sides: Sides, name: str) -> bool:
        """Whether the reference leads from a new row back to itself."""
        entry = sides.entry
        target = self._needs(sides).get(name)
        if target is None:
            return False
        label = entry.schema.label
        if label not in self._marks:
            self._marks[label] = array("q", bytes(8 * (self._comparison.total + 1)))
        marks = self._marks[label]
        if not marks[entry.number]:
            self._mark(sides, marks)
        return marks[entry.number] == marks[target.number]

    def _mark(self, start: Sides, marks: array[int]) -> None:
        """Marks the row, and every one that it needs. Tarjan's strongly connected components, without recursion."""
        order = count()
        first: dict[int, int] = {}
        lowest: dict[int, int] = {}
        path: list[int] = []
        waiting: list[tuple[int, Iterator[Numbered]]] = []

        def come_to(sides: Sides) -> None:
            number = sides.entry.number
            first[number] = lowest[number] = next(order)
            path.append(number)
            waiting.append((number, iter(self._needs(sides).values())))

        come_to(start)
        while waiting:
            number, needed = waiting[-1]
            for other in needed:
                if other.number in first:
                    lowest[number] = min(lowest[number], first[other.number])
                elif not marks[other.number]:
                    come_to(self._comparison.sides_of(other))
                    break
            else:
                waiting.pop()
                if waiting:
                    above = waiting[-1][0]
                    lowest[above] = min(lowest[above], lowest[number])
                if lowest[number] == first[number]:
                    member = 0
                    while member != number:
                        member = path.pop()
                        marks[member] = number
                        del first[member]

    def _needs(self, sides: Sides) -> dict[str, Numbered]:
        """The new rows of its model that a new row cannot be written before, by reference."""
        schema, after = sides.entry.schema, sides.after
        found: dict[str, Numbered] = {}
        if sides.entry.operation == Operation.CREATE and after is not None:
            for name, target, text in targets_of(schema, after):
                if target.model is schema.model and not _may_be_filled_in_later(schema, name):
                    other = self._comparison.change_of(target.label, text)
                    if other is not None and other.operation == Operation.CREATE:
                        found[name] = other
        return found


def _may_be_filled_in_later(schema: ModelSchema, name: str) -> bool:
    """Whether a row can be written before what this member refers to."""
    needed = [*(one.name for one in schema.references if not one.field.null)]
    needed += [generic.name for generic in schema.generics if not generic.null]
    return name not in needed
