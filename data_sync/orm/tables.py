"""Whole tables, past every manager of the host project."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import models

from .batches import batches


def table(model: type[models.Model], using: str) -> models.QuerySet[Any]:
    """Every row of a model's table. Any manager, the base manager too, may hide some."""
    return models.QuerySet(model, using=using)


def lock(model: type[models.Model], pks: Iterable[Any], using: str) -> None:
    """Locks rows until the transaction ends, in the order of their keys; SQLite has locked all already.

    A row of a multi-table child is locked in the tables of its parents, too.
    """
    parents = [(parent, link) for parent, link in model._meta.parents.items() if link is not None]
    for batch in batches(pks):
        rows = table(model, using).select_for_update().filter(pk__in=batch).order_by("pk")
        found = list(rows.values_list("pk", *(link.attname for _, link in parents)))
        for place, (parent, _) in enumerate(parents, start=1):
            lock(parent, [row[place] for row in found], using)
