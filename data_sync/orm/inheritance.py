"""Rows that are spread over several tables (multi-table inheritance), seen by whoever writes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import models

from data_sync.registry.inheritance import parent_links

from .batches import batches
from .schema import ModelSchema
from .tables import table
from .writes import Row

Model = type[models.Model]


def link_to_parents(model: Model, row: models.Model) -> None:
    """Sets the columns of one table that lead to the rows of its parents, as Django does when it saves."""
    for parent, link in model._meta.parents.items():
        if link is not None and link.model is model and getattr(row, link.attname) is None:
            setattr(row, link.attname, getattr(row, parent._meta.pk.attname))


def pks_in_table(schema: ModelSchema, model: Model, rows: Sequence[Row], using: str) -> list[Any]:
    """The primary keys that rows have in one of their tables; of the rows only the primary key need be known."""
    known = keys_in_table(schema.model, model, [row.pk for row in rows], using)
    return [known[row.pk] for row in rows]


def keys_in_table(model: Model, part: Model, pks: Sequence[Any], using: str) -> dict[Any, Any]:
    """By primary key, the one that the rows of a model have in one of their tables."""
    if shares_its_key(model._meta.pk, part):
        return {pk: pk for pk in pks}
    # The second of several parents: its key is another one.
    known: dict[Any, Any] = {}
    for batch in batches(pks):
        known.update(table(model, using).filter(pk__in=batch).values_list("pk", part._meta.pk.name))
    return known


def rows_in_table(schema: ModelSchema, model: Model, pks: Sequence[Any], using: str) -> dict[Any, Any]:
    """By primary keys in one of the tables of a model, those of its rows: the other way round.

    Where both are the same, whether there is such a row is not looked up.
    """
    if shares_its_key(schema.pk, model):
        return {pk: pk for pk in pks}
    found: dict[Any, Any] = {}
    key = model._meta.pk.name
    for batch in batches(pks):
        rows = table(schema.model, using).filter(**{f"{key}__in": batch})
        found.update(rows.values_list(key, "pk"))
    return found


def shares_its_key(pk: Any, model: Model) -> bool:
    """Whether following primary keys from parent to parent leads to a table."""
    while pk.model is not model:
        if not (isinstance(pk, models.OneToOneField) and pk.remote_field.parent_link):
            return False
        pk = pk.remote_field.model._meta.pk
    return True


def fill_inherited(schema: ModelSchema, rows: Iterable[models.Model], using: str) -> None:
    """Gives new rows what their registered parents' rows hold, as whoever looks at the whole row expects."""
    for parent, link in parent_links(schema.model).items():
        by_pk = {getattr(row, link.attname): row for row in rows}
        for batch in batches(by_pk):
            for stored in table(parent, using).filter(pk__in=batch):
                for field in parent._meta.concrete_fields:
                    setattr(by_pk[stored.pk], field.attname, getattr(stored, field.attname))
