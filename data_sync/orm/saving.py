"""Rows written by their model's own `save()`, one at a time: for models registered with `save="model"`."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import Error, models

from data_sync.core.errors import ChangeFailed

from .refusals import raised
from .schema import ModelSchema
from .sequences import GivenKeys
from .writes import Write


def save_rows(schema: ModelSchema, rows: Sequence[tuple[Write, models.Model]], using: str, *, are_new: bool) -> None:
    """Calls `save()` of each row, with all that it does. Raises `ChangeFailed`, naming the row, for what it raises."""
    keys = GivenKeys(type(rows[0][1]), [row for _, row in rows]) if are_new and rows else None
    for write, row in rows:
        try:
            # A new row is inserted or refused: left to itself, save() would update whoever has its primary key.
            row.save(force_insert=are_new, using=using)
        except Error:
            raise
        except Exception as error:  # the project's own code
            reason = f"{write.name}: its save() raised {raised(error, schema.redacted)}"
            raise ChangeFailed({write.number: reason}) from error
    if keys is not None:
        keys.count_past(using)
