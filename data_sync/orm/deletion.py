"""Deletes of rows with what goes along: exactly that which was followed, compared with what was shown, and passed here.

Django's own `Collector` is not asked. It follows for itself, also to rows whose turn is later, and takes their parents'
rows, and what refers to those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.db import ProgrammingError, connections, models
from django.db.models.deletion import Collector
from django.db.models.signals import post_delete, pre_delete

from .among import among
from .batches import batches
from .cascades import STAYING, Cascade, Reach, Reaches, Row
from .going import Going
from .tables import table

Instances = dict[type[models.Model], list[models.Model]]


IsDoomed = Callable[[Row], bool]
"""Says whether a row is to be deleted by a change of its own, now or later."""


def delete_rows(
    reaches: Reaches,
    using: str,
    is_doomed: IsDoomed = lambda row: False,
    *,
    silently: bool = False,
) -> None:
    """Deletes rows with all that they reach, and sends the signals that Django sends for it, unless `silently`.

    A registered parent's row stays, and so do rows that stand apart: they are deleted by changes of their own, or not.
    Until then they may refer to nothing, where the database does not look before the end of the transaction.
    """
    going = Going(reaches, using)
    instances = {} if silently else _listened_to(going)
    for model, of_model in instances.items():
        for instance in of_model:
            pre_delete.send(sender=model, instance=instance, using=using, origin=None)
    _write_what_stays(reaches.values(), using)
    if not connections[using].features.can_defer_constraint_checks:
        _untie(going, reaches.values(), is_doomed, using)
    for column in going.links:
        for batch in batches(going.keys[column.remote_field.model]):
            _delete(table(column.model, using).filter(among(column.attname, batch)), using)
    for model in going.keys:
        for rows in going.rows(model):
            _delete(rows, using)
        for instance in instances.get(model, ()):
            post_delete.send(sender=model, instance=instance, using=using, origin=None)


def _listened_to(going: Going) -> Instances:
    """The rows that somebody wants to hear of, as they are before."""
    return {
        model: [instance for rows in going.rows(model) for instance in rows]
        for model in going.keys
        if not model._meta.auto_created and (pre_delete.has_listeners(model) or post_delete.has_listeners(model))
    }


def _delete(rows: Any, using: str) -> None:
    rows._raw_delete(using=using)


# What stays


def _write_what_stays(reaches: Iterable[Reach], using: str) -> None:
    """The rows that are not deleted, but no longer refer to what is."""
    cascades = (cascade for reach in reaches for cascade in reach.cascades)
    written = _by_column(cascade for cascade in cascades if cascade.effect in STAYING)
    for (model, name), pks in written.items():
        column: Any = model._meta.get_field(name)
        on_delete = column.remote_field.on_delete
        if getattr(on_delete, "__name__", "").startswith("DB_"):
            continue  # The database does it.
        for batch in batches(pks):
            rows = table(model, using).filter(pk__in=batch)
            collector: Any = Collector(using)
            on_delete(collector, column, rows, using)
            if collector.data or collector.fast_deletes or collector.restricted_objects:
                raise ProgrammingError(f"on_delete of {column} would delete rows that nobody was shown.")
            for field, value in collector.field_updates:
                rows.update(**{field.name: value})


def _by_column(cascades: Iterable[Cascade]) -> dict[tuple[type[models.Model], str], list[Any]]:
    found: dict[tuple[type[models.Model], str], dict[Any, None]] = {}
    for cascade in cascades:
        found.setdefault((cascade.model, cascade.column), {})[cascade.pk] = None
    return {which: list(pks) for which, pks in found.items()}


# Databases that look at each row at once


def _untie(going: Going, reaches: Iterable[Reach], is_doomed: IsDoomed, using: str) -> None:
    """Has rows that are to be deleted, now or later, refer to nothing that goes before them.

    What must refer to something refers to a row that stays until then. Where there is none, the database will refuse.
    """

    def let_go(model: type[models.Model], column: Any, pks: list[Any]) -> None:
        stays = None if column.null or column.unique else going.one_that_stays(column, is_doomed)
        if column.null or stays is not None:
            for batch in batches(pks):
                table(model, using).filter(pk__in=batch).update(**{column.attname: stays})

    for column, pks in going.tied():
        let_go(column.model, column, pks)
    for (model, name), pks in _by_column(cascade for reach in reaches for cascade in reach.apart).items():
        field: Any = model._meta.get_field(name)
        if field.remote_field is not None and not field.remote_field.parent_link:
            let_go(model, field, pks)
