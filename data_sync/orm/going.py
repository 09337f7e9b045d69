"""Which rows of which tables a delete takes, in the order in which the database lets them go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.db import models

from data_sync import registry
from data_sync.core.ordering import CycleError, in_dependency_order
from data_sync.registry.inheritance import tables_of

from .among import among
from .batches import batches
from .cascades import Reaches, Row
from .inheritance import keys_in_table
from .referring import rows_known_as
from .tables import table

Model = type[models.Model]


class Going:
    """The rows that go with some roots, each in all its own tables: those that the reaches name, and no other.

    `keys` has primary keys by table, children first; `links` the columns by which rows of plain many-to-many tables,
    which are part of the rows that go, refer to those.
    """

    def __init__(self, reaches: Reaches, using: str) -> None:
        self._using = using
        rows: dict[Model, dict[Any, None]] = {}
        for (model, pk), reach in reaches.items():
            rows.setdefault(model, {})[pk] = None
            for cascade in reach.cascades:
                if cascade.effect in ("delete", "unlink"):
                    rows.setdefault(cascade.model, {})[cascade.pk] = None
        keys: dict[Model, dict[Any, None]] = {}
        for model, pks in rows.items():
            for part in tables_of(model):
                parts = keys_in_table(model, part, list(pks), using)
                keys.setdefault(part, {}).update(dict.fromkeys(parts.values()))
        self.keys = {model: list(keys[model]) for model in children_first(keys)}
        self.links = [link for model in self.keys for link in own_links(model)]

    def rows(self, model: Model) -> Iterator[models.QuerySet[Any]]:
        """Those of one table, in batches."""
        for batch in batches(self.keys[model]):
            yield table(model, self._using).filter(among("pk", batch))

    def tied(self) -> Iterator[tuple[Any, list[Any]]]:
        """Columns by which rows refer to others that do not go later, with the primary keys of these rows."""
        before: set[Model] = set()
        for model in self.keys:
            before.add(model)
            for column in _references(model):
                if table_of(column) in before and not column.remote_field.parent_link:
                    values = self._values(column)
                    held = (row for rows in self.rows(model) for row in rows.values_list("pk", column.attname))
                    pks = [pk for pk, value in held if value in values]
                    if pks:
                        yield column, pks

    def _values(self, column: Any) -> set[Any]:
        """What a reference to one of the rows that go holds."""
        target, name = table_of(column), column.target_field.attname
        if column.target_field.primary_key:
            return set(self.keys[target])
        return {value for rows in self.rows(target) for value in rows.values_list(name, flat=True)}

    def one_that_stays(self, column: Any, is_doomed: Callable[[Row], bool]) -> Any | None:
        """What a reference to a row holds that goes neither now nor, being doomed, later; None if there is none."""
        target = table_of(column)
        going = set(self.keys.get(target, ()))
        rows = table(target, self._using).order_by("pk").values_list("pk", column.target_field.attname)
        for some in batches(rows.iterator(chunk_size=2000)):
            known = rows_known_as(target, [pk for pk, _ in some], self._using)
            for pk, value in some:
                if pk not in going and not is_doomed(known[pk]):
                    return value
        return None


def _references(model: Model) -> list[Any]:
    """The foreign keys among the columns of one table, links to parents' tables too."""
    return [field for field in model._meta.local_fields if isinstance(field, models.ForeignKey)]


def table_of(column: Any) -> Model:
    """The table that a foreign key leads to."""
    model: Model = column.remote_field.model._meta.concrete_model
    return model


def children_first(tables: Iterable[Model]) -> list[Model]:
    """Each before those that it must refer to. In a cycle of such, which only local tables can have, as they come."""
    known = list(tables)
    needs = {
        model: [table_of(column) for column in _references(model) if not column.null and table_of(column) is not model]
        for model in known
    }
    try:
        return list(reversed(in_dependency_order(known, needs)))
    except CycleError:
        return known


def own_links(model: Model) -> Iterator[Any]:
    """Of the many-to-many fields that a table's model declares: the columns that refer to it, in plain tables."""
    for field in model._meta.local_many_to_many:
        through: Any = field.remote_field.through
        if through._meta.auto_created and registry.registration_of(through) is None:
            yield through._meta.get_field(field.m2m_field_name())
