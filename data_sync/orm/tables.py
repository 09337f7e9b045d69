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
    """Locks rows until the transaction ends, in the order of their keys; SQLite has locked all already."""
    for batch in batches(pks):
        rows = table(model, using).select_for_update().filter(pk__in=batch).order_by("pk")
        for _ in rows.values_list("pk"):
            pass
