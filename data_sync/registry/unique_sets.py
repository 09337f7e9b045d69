"""What the database keeps unique in the tables of a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models import F, Q
from django.db.models.expressions import RawSQL

from .inheritance import is_inner_link, is_own, tables_of


@dataclass(frozen=True, slots=True, kw_only=True)
class UniqueSet:
    """Fields of which no two rows have the same values.

    Only rows that meet `condition` count, and rows with a null only where `nulls_distinct` is false. `exact` is
    false where the values of expressions are unique: rows can meet on those although the values of the fields
    differ. `expressions` are then what is unique, beside the fields that stand by themselves.
    """

    names: tuple[str, ...]
    condition: Q | None = None
    nulls_distinct: bool = True
    expressions: tuple[Any, ...] = ()

    @property
    def exact(self) -> bool:
        return not self.expressions


def unique_sets(model: type[models.Model]) -> list[UniqueSet]:
    """Every unique field, `unique_together` and `UniqueConstraint` on the tables that hold a row's own part.

    Sets that no column is in are left out, and so are raw expressions, of which nothing can be told.
    """
    return list(dict.fromkeys(_unique_sets(model)))


def _unique_sets(model: type[models.Model]) -> Iterator[UniqueSet]:
    for field in model._meta.concrete_fields:
        if field.unique and is_own(model, field) and not is_inner_link(model, field):
            yield UniqueSet(names=(field.name,))
    for table in tables_of(model):
        for names in table._meta.unique_together:
            yield from _of_fields(table, names)
        for constraint in table._meta.constraints:
            if isinstance(constraint, models.UniqueConstraint):
                yield from _of_fields(
                    table,
                    [*constraint.fields, *_names_in(constraint.expressions)],
                    condition=constraint.condition,
                    nulls_distinct=constraint.nulls_distinct is not False,
                    expressions=tuple(constraint.expressions),
                )


def _of_fields(table: type[models.Model], names: Iterable[str], **more: Any) -> Iterator[UniqueSet]:
    try:
        found = tuple(dict.fromkeys(table._meta.get_field(name).name for name in names))
    except FieldDoesNotExist:
        return  # Django's own checks say so.
    if found:
        yield UniqueSet(names=found, **more)


def _names_in(expressions: Iterable[Any]) -> Iterator[str]:
    """The fields that expressions are made of; for raw SQL a name that no field has."""
    for expression in expressions:
        nodes = [expression] if isinstance(expression, F) else list(expression.flatten())
        if any(isinstance(node, RawSQL) for node in nodes):
            yield ""
        yield from (node.name.split("__")[0] for node in nodes if isinstance(node, F))  # type: ignore[attr-defined]
