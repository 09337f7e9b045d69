"""Deletes of rows with everything that Django takes along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections
from django.db.models.deletion import Collector

from data_sync.registry.inheritance import parent_links

from .inheritance import pks_in_table
from .schema import ModelSchema
from .silent_deletes import SilentCollector
from .tables import table
from .writes import Bare, self_references


def delete_rows(schema: ModelSchema, pks: Sequence[Any], using: str, *, silently: bool = False) -> None:
    """Deletes rows, with what Django's collector takes along and its signals, unless `silently`.

    A registered parent's row stays: it is deleted by a change of its own, or not.
    """
    _untie(schema, pks, using)
    rows = [Bare(pk) for pk in pks]
    keeps_parents = bool(parent_links(schema.model))
    # With a registered parent among them the parents do not go by themselves; those that are this row's must.
    tables = reversed(schema.tables) if keeps_parents else schema.tables[-1:]
    of_tables = [(model, pks_in_table(schema, model, rows, using)) for model in tables]
    for model, of_table in of_tables:
        collector = SilentCollector(using) if silently else Collector(using)
        collector.collect(table(model, using).filter(pk__in=of_table), keep_parents=keeps_parents)
        collector.delete()


def _untie(schema: ModelSchema, pks: Sequence[Any], using: str) -> None:
    """Where references are looked at row by row, a row that must refer to itself, or to one that goes with it,
    could never be deleted: it refers to one that stays before."""
    if connections[using].features.can_defer_constraint_checks:
        return
    every = table(schema.model, using)
    for reference in self_references(schema):
        column = reference.field.target_field.attname
        stays = None if reference.field.null else every.exclude(pk__in=pks).values_list(column, flat=True).first()
        if stays is not None:
            tied = every.filter(pk__in=pks, **{f"{reference.name}__in": pks})
            tied.update(**{reference.field.attname: stays})
