"""Whole tables, past every manager of the host project."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import models

from .among import among
from .batches import batches


def table(model: type[models.Model], using: str) -> models.QuerySet[Any]:
    """Every row of a model's table. Any manager, the base manager too, may hide some."""
    return models.QuerySet(model, using=using)


def lock(model: type[models.Model], pks: Iterable[Any], using: str) -> None:
    """Locks rows until the transaction ends, in the order of their keys; SQLite has locked all already.

    A row of a multi-table child is locked in the tables of all its parents, too: others may write its columns there,
    or refer to it by them. Parents come first, as in `save()`: the other way round each could wait for the other.
    """
    concrete = model._meta.concrete_model or model
    links = [(parent, link) for parent, link in concrete._meta.parents.items() if link and link.model is concrete]
    for batch in batches(pks):
        for parent, link in links:
            of_parent = batch
            if not link.primary_key:
                of_parent = list(table(concrete, using).filter(pk__in=batch).values_list(link.attname, flat=True))
            lock(parent, of_parent, using)
        rows = table(concrete, using).select_for_update().filter(among("pk", batch)).order_by("pk")
        for _ in rows.values_list("pk"):
            pass
