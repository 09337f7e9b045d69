"""Check constraints that would surely refuse a row: known before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import connections, models
from django.db.models import F, Q

from data_sync.core.equality import same
from data_sync.core.records import Record

from .collation import folds
from .conditions import SOMETHING, Held, forbids, held_by, names_in
from .limits import Problem, problem
from .schema import ModelSchema

_ORDER = ("gt", "gte", "lt", "lte", "range")


def check_problems(schema: ModelSchema, before: Record | None, after: Record, using: str) -> Iterator[Problem]:
    """The constraints that forbid what a record changes. Where only the database can tell, it is left to do so."""
    if not connections[using].features.supports_table_check_constraints:
        return
    for model in schema.tables:
        for constraint in model._meta.constraints:
            if isinstance(constraint, models.CheckConstraint) and isinstance(constraint.condition, Q):
                names = list(dict.fromkeys(names_in(constraint.condition)))
                concerned = [name for name in names if _differs(before, after, name)]
                if concerned and forbids(
                    constraint.condition, _surely_held(schema, constraint.condition, after, using)
                ):
                    values = " and ".join(names)
                    yield problem(
                        "check",
                        concerned[0],
                        f'the constraint "{constraint.name}" of the table here forbids this {values}. '
                        "Change it at the source, or the constraint here.",
                    )


def _differs(before: Record | None, after: Record, name: str) -> bool:
    if name not in after.fields:
        return False
    return before is None or not same(before.fields[name], after.fields[name])


def _surely_held(schema: ModelSchema, condition: Q, record: Record, using: str) -> Held:
    """What the row holds, where Python is sure to compare as the database does."""
    held, ordered, refers = held_by(schema, record), set(_ordered(condition)), _refers(condition)

    def surely_held(name: str) -> Any:
        value = held(name)
        field: Any = schema.model._meta.get_field(name)
        is_own_kind = not type(field).__module__.startswith("django.db.models.")
        is_collated = isinstance(value, str) and (name in ordered or folds(field, using))
        return SOMETHING if is_own_kind or is_collated or (isinstance(value, float) and refers) else value

    return surely_held


def _ordered(condition: Q) -> Iterator[str]:
    """The fields that a condition compares by more than equality, and those that it compares them with."""
    for child in condition.children:
        if isinstance(child, Q):
            yield from _ordered(child)
        elif isinstance(child, tuple) and child[0].rpartition("__")[2] in _ORDER:
            yield from names_in(Q(child))


def _refers(condition: Q) -> bool:
    return any(isinstance(node, F) for node in condition.flatten())
