"""Check constraints that would surely refuse a row: known before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import connections, models
from django.db.models import F, Q

from data_sync.core.records import Record

from .collation import folds
from .conditions import SOMETHING, Held, forbids, held_by, names_in
from .limits import Problem, problem
from .schema import ModelSchema
from .writes import changed

_ORDER = ("gt", "gte", "lt", "lte", "range")


def check_problems(schema: ModelSchema, before: Record | None, after: Record, using: str) -> Iterator[Problem]:
    """The constraints that forbid what a record changes. Where only the database can tell, it is left to do so."""
    checks = _checks(schema) if connections[using].features.supports_table_check_constraints else []
    differing = changed(before, after) if checks else set()
    for name, condition in checks:
        asked = list(dict.fromkeys(names_in(condition)))
        concerned = [field for field in asked if field in differing]
        if concerned and forbids(condition, _surely_held(schema, condition, after, using)):
            yield problem(
                "check",
                concerned[0],
                f'the constraint "{name}" of the table here forbids this {" and ".join(asked)}. '
                "Change it at the source, or the constraint here.",
            )


def _checks(schema: ModelSchema) -> list[tuple[str, Q]]:
    """The conditions of the check constraints on a row's tables, by name."""
    constraints = [constraint for model in schema.tables for constraint in model._meta.constraints]
    return [
        (one.name, one.condition)
        for one in constraints
        if isinstance(one, models.CheckConstraint) and isinstance(one.condition, Q)
    ]


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
