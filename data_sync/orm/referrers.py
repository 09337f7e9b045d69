"""Which registered rows have the keys of some rows in their records, directly or by way of others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from django.db import models

from .batches import batches
from .generic_targets import stored_type_pk
from .referring import forms_of
from .resolution import schemas, target_schema
from .schema import Generic, Link, ModelSchema, Path, Reference
from .tables import table

PAGE = 1200
"""So many primary keys are read at a time."""

Find = Callable[[list[Any]], Iterator[list[Any]]]
"""Gives the primary keys of the rows that refer by one member to rows with these, in pages."""


class Referrers:
    """Finds the rows whose records change with the keys of others, a few queries for each member and batch."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._members: dict[str, list[tuple[ModelSchema, str, Find]]] = {}

    def of(self, schema: ModelSchema, pks: list[Any], way: Path = ()) -> Iterator[tuple[ModelSchema, list[Any]]]:
        """Pages of such rows, in scope or not; one that refers in several ways comes several times.

        A row whose own key may have changed is followed by those that refer to it. `way` has the references
        by which the key of these rows reaches the one that is new: as keys are of finite length, this ends.
        """
        if schema.label not in self._members:
            self._members[schema.label] = list(self._members_to(schema))
        for batch in batches(pks):
            for referring, name, find in self._members[schema.label]:
                longer = (name, *way)
                reaches = any(part.path[: len(longer)] == longer for part in referring.key)
                for page in find(batch):
                    yield referring, page
                    if reaches:
                        yield from self.of(referring, page, longer)

    def _members_to(self, schema: ModelSchema) -> Iterator[tuple[ModelSchema, str, Find]]:
        for referring in schemas().values():
            for reference in referring.references:
                if target_schema(reference).label == schema.label:
                    yield referring, reference.name, partial(self._by_reference, referring, reference)
            for link in referring.links:
                if target_schema(link).label == schema.label:
                    yield referring, link.name, partial(self._by_link, link)
            for generic in referring.generics:
                kind = stored_type_pk(generic, schema, self._using)
                if kind is not None:
                    yield referring, generic.name, partial(self._by_generic, referring, generic, kind)

    def _by_reference(self, referring: ModelSchema, reference: Reference, pks: list[Any]) -> Iterator[list[Any]]:
        column = reference.field.target_field
        values = pks
        if not column.primary_key:
            targets = table(reference.target, self._using).filter(pk__in=pks)
            values = list(targets.values_list(column.attname, flat=True))
        rows = referring.every_row(self._using).filter(**{f"{reference.field.attname}__in": values})
        return _pages(rows, "pk")

    def _by_link(self, link: Link, pks: list[Any]) -> Iterator[list[Any]]:
        rows = table(link.through, self._using).filter(**{f"{link.target_column}__in": pks})
        return _pages(rows, link.source_column)

    def _by_generic(self, referring: ModelSchema, generic: Generic, kind: Any, pks: list[Any]) -> Iterator[list[Any]]:
        column = generic.object_field
        values = [form for pk in pks for form in forms_of(column, pk, self._using)]
        columns = {generic.type_field.attname: kind, f"{column.attname}__in": values}
        return _pages(referring.every_row(self._using).filter(**columns), "pk")


def _pages(rows: models.QuerySet[Any], column: str) -> Iterator[list[Any]]:
    """What some rows have in a column. By primary key: some databases' cursors would read all rows at once."""
    page = list(rows.order_by("pk").values_list("pk", column)[:PAGE])
    while page:
        yield list(dict.fromkeys(value for _, value in page))
        if len(page) < PAGE:
            return
        page = list(rows.filter(pk__gt=page[-1][0]).order_by("pk").values_list("pk", column)[:PAGE])
