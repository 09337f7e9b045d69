"""What the deletes of a changeset would take along, need first, or are forbidden by."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db import models

from data_sync import registry
from data_sync.core.equality import same
from data_sync.core.states import Operation
from data_sync.orm.cascades import Cascade, Row, reach_of
from data_sync.orm.limits import Problem, problem
from data_sync.orm.tables import table

from .comparison import Comparison, Numbered

LABELLED = 100
"""How many rows a delete takes along are shown by name; more are shown by primary key."""


class Deletions:
    """The reach of every delete of a comparison, computed together: the deletes stand for each other.

    A rename is looked at as well, for what it would take along if the reviewer had the row deleted and made anew.
    """

    def __init__(self, comparison: Comparison, using: str) -> None:
        self._using = using
        self._comparison = comparison
        self._reaches = reach_of([row for row, _ in comparison.rows(Operation.DELETE)], using, self._moves_away)
        renamed = [row for row, _ in comparison.rows(Operation.RENAME)]
        self._replaced = reach_of(renamed, using, self._moves_away, alone=True)

    def _moves_away(self, cascade: Cascade) -> bool:
        """Whether an update among the changes gives the row another value in the referring column."""
        change = self._change(cascade)
        if change is None or change.operation not in (Operation.UPDATE, Operation.RENAME):
            return False
        sides = self._comparison.sides_of(change)
        assert sides.before is not None and sides.after is not None
        return not same(sides.before.fields.get(cascade.column), sides.after.fields.get(cascade.column))

    def _change(self, cascade: Cascade) -> Numbered | None:
        return self._comparison.change_of_row(cascade.model._meta.label_lower, cascade.pk)

    def cascades(self, row: Row) -> list[dict[str, Any]]:
        """Rows that are no changes of their own and that the delete would delete, null or unlink."""
        return self._plain(self._reaches[row].cascades)

    def cascades_of_replacement(self, row: Row) -> list[dict[str, Any]]:
        """The same for a renamed row, and what forbids its delete as well."""
        reach = self._replaced[row]
        return self._plain([*reach.cascades, *reach.obstacles])

    def _plain(self, cascades: list[Cascade]) -> list[dict[str, Any]]:
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
        changes = (self._change(cascade) for cascade in self._reaches[row].apart)
        return {change.number for change in changes if change is not None}

    def problems(self, row: Row) -> list[Problem]:
        """Rows that refer to this one, that no change deletes or moves, and that forbid the delete."""
        reach = self._reaches[row]
        obstacles = Counter((cascade.model, cascade.column) for cascade in reach.obstacles)
        kept = Counter(
            (cascade.model, cascade.column)
            for cascade in reach.cascades
            if cascade.effect == "delete" and _is_kept(cascade.model)
        )
        return [
            *(_protected(*which, count, "which forbids the delete") for which, count in obstacles.items()),
            *(_protected(*which, count, 'and are registered with deletes="never"') for which, count in kept.items()),
        ]

    def _labels(self, cascades: list[Cascade]) -> dict[Row, str]:
        """What people call these rows: their `str()`."""
        by_model: dict[type[models.Model], list[Any]] = {}
        for cascade in cascades:
            by_model.setdefault(cascade.model, []).append(cascade.pk)
        return {
            (model, row.pk): _label(row)
            for model, pks in by_model.items()
            for row in table(model, self._using).filter(pk__in=pks)
        }


def _label(row: models.Model) -> str:
    """A row's `str()`, which is the project's own code; "" where it fails."""
    try:
        return str(row)[:200]
    except Exception:
        return ""


def _is_kept(model: type[models.Model]) -> bool:
    registration = registry.registration_of(model)
    return registration is not None and registration.deletes == "never"


def _protected(model: type[models.Model], column: str, count: int, why: str) -> Problem:
    rows = "row" if count == 1 else "rows"
    return problem(
        "protected",
        column,
        f"{count} {rows} of {model._meta.label_lower} here refer to it by {column}, {why}. Move or remove them first.",
    )
