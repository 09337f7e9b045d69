"""What the deletes of a changeset would take along, need first, or are forbidden by."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db import models

from data_sync.core.states import Operation
from data_sync.orm.cascades import Cascade, Row, reach_of
from data_sync.orm.limits import Problem, problem

from .comparison import Comparison, Sides

LABELLED = 100
"""How many rows a delete takes along are shown by name; more are shown by primary key."""


class Deletions:
    """The reach of every delete of a comparison, computed together: the deletes stand for each other."""

    def __init__(self, comparison: Comparison, using: str) -> None:
        self._using = using
        self._changed: dict[Row, Sides] = {}
        deletes = [item for item in comparison.numbered if item.operation == Operation.DELETE]
        if deletes:
            for sides in map(comparison.sides_of, comparison.numbered):
                if sides.row is not None:
                    self._changed[sides.row] = sides
        roots = [row for row, sides in self._changed.items() if sides.after is None]
        self._reaches = reach_of(roots, using, self._moves_away)

    def _moves_away(self, cascade: Cascade) -> bool:
        """Whether an update among the changes gives the row another value in the referring column."""
        sides = self._changed.get((cascade.model, cascade.pk))
        if sides is None or sides.before is None or sides.after is None:
            return False
        return sides.before.fields.get(cascade.column) != sides.after.fields.get(cascade.column)

    def cascades(self, row: Row) -> list[dict[str, Any]]:
        """Rows that are no changes of their own and that the delete would delete, null or unlink."""
        cascades = self._reaches[row].cascades
        labels = self._labels(cascades[:LABELLED])
        return [
            {
                "model": cascade.model._meta.label_lower,
                "pk": str(cascade.pk),
                "label": labels.get((cascade.model, cascade.pk), ""),
                "effect": cascade.effect,
                "column": cascade.column,
            }
            for cascade in cascades
        ]

    def requires(self, row: Row) -> set[int]:
        """Numbers of the changes that delete, or move away, the rows that refer to this one."""
        return {self._changed[(cascade.model, cascade.pk)].item.number for cascade in self._reaches[row].apart}

    def problems(self, row: Row) -> list[Problem]:
        """Rows that refer to this one, that no change deletes or moves, and that forbid the delete."""
        counts = Counter((cascade.model, cascade.column) for cascade in self._reaches[row].obstacles)
        return [
            problem(
                "protected",
                column,
                f"{count} {'row' if count == 1 else 'rows'} of {model._meta.label_lower} here refer to it by {column}, "
                "which forbids the delete. Move or remove them first.",
            )
            for (model, column), count in counts.items()
        ]

    def _labels(self, cascades: list[Cascade]) -> dict[Row, str]:
        """What people call these rows: their `str()`."""
        by_model: dict[type[models.Model], list[Any]] = {}
        for cascade in cascades:
            by_model.setdefault(cascade.model, []).append(cascade.pk)
        return {
            (model, row.pk): str(row)[:200]
            for model, pks in by_model.items()
            for row in model._base_manager.using(self._using).filter(pk__in=pks)
        }
