"""Which stored rows hold unique values that writes are about to take."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from django.db import models
from django.db.models import F

from data_sync.registry.unique_sets import UniqueSet

from .batches import batches
from .collation import folds, weights_of
from .conditions import names_in
from .inheritance import Model
from .schema import ModelSchema
from .tables import table
from .values import Field

Values = tuple[Any, ...]
"""What a row has in the columns of a unique set, as an instance has it."""


def fields_of(schema: ModelSchema, unique: UniqueSet) -> tuple[Field, ...]:
    fields: tuple[Any, ...] = tuple(schema.model._meta.get_field(name) for name in unique.names)
    return fields


def owner_of(schema: ModelSchema, unique: UniqueSet) -> Model:
    """The table that a set is about: the model's own or a parent's, which has rows that are not this model's too."""
    owner = fields_of(schema, unique)[0].model
    return owner._meta.concrete_model or owner


def touches(unique: UniqueSet, columns: Collection[str]) -> bool:
    """Whether other values in these columns can give a row others in a set, or take it in or out of its condition."""
    return not conditional_names(unique).union(unique.names).isdisjoint(columns)


def locks_out(unique: UniqueSet, values: Values) -> bool:
    """Whether a row with these values keeps others from having them too."""
    return None not in values or not unique.nulls_distinct


def conditional_names(unique: UniqueSet) -> set[str]:
    """The fields that the condition of a set asks of."""
    return set() if unique.condition is None else set(names_in(unique.condition))


def holders(
    schema: ModelSchema, unique: UniqueSet, wanted: Sequence[Values], using: str
) -> Iterator[tuple[Any, Values]]:
    """Rows that have one of the wanted combinations, and may have others: what they have, by primary key in `owner_of`.

    The database says what is equal, as its constraint does; compare what comes back, made `alike`.
    """
    fields = fields_of(schema, unique)
    names = [field.attname for field in fields]
    for batch in batches(wanted):
        rows = _having(schema, unique, fields, batch, using)
        for pk, *held in rows.values_list("pk", *names).iterator(chunk_size=2000):
            yield pk, tuple(held)


def _having(
    schema: ModelSchema, unique: UniqueSet, fields: Sequence[Field], batch: Sequence[Values], using: str
) -> models.QuerySet[Any]:
    rows = table(owner_of(schema, unique), using)
    if unique.condition is not None:
        rows = rows.filter(unique.condition)
    if unique.expressions:
        for place, expression in enumerate(map(_bare, unique.expressions)):
            made = [_made_of(expression, fields, values) for values in batch]
            rows = rows.annotate(**{f"_unique_{place}": expression}).filter(**{f"_unique_{place}__in": made})
        return rows
    for place, field in enumerate(fields):
        values = {_hashable(one[place]): one[place] for one in batch}
        if None not in values:
            rows = rows.filter(**{f"{field.attname}__in": list(values.values())})
    return rows


def _bare(expression: Any) -> Any:
    """An expression without what only an index knows: its order, its operator class."""
    while isinstance(expression, models.expressions.OrderBy) or type(expression).__name__ == "OpClass":
        expression = expression.get_source_expressions()[0]
    return expression


def _made_of(expression: Any, fields: Sequence[Field], values: Values) -> Any:
    given: dict[Any, Any] = {
        F(field.name): models.Value(value, field) for field, value in zip(fields, values, strict=True)
    }
    return given.get(expression) or expression.replace_expressions(given)


def alike(fields: Sequence[Field], combinations: Iterable[Values], using: str) -> Iterator[Values]:
    """A form for each combination of values, the same for all that the columns may take for equal."""
    columns = (
        _forms(field, values, using) for field, values in zip(fields, zip(*combinations, strict=True), strict=False)
    )
    return zip(*columns, strict=True)


def _forms(field: Field, values: Sequence[Any], using: str) -> list[Any]:
    if not folds(field, using):
        return list(map(_hashable, values))
    weights = weights_of(field, {value for value in values if isinstance(value, str)}, using)
    return [weights[value] if isinstance(value, str) else _hashable(value) for value in values]


def _hashable(value: Any) -> Any:
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value
