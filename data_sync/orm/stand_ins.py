"""Values that stand in, during a rehearsal, for those that only an apply can give."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence

from django.db import models
from django.db.models.signals import pre_save

from data_sync.registry.unique_sets import unique_sets

from .free_values import can_be_free, free_values
from .schema import ModelSchema
from .values import Field


def fill_stand_ins(schema: ModelSchema, rows: Sequence[models.Model], given: Collection[str], using: str) -> None:
    """Gives new rows values that nobody has, in unique columns that `save()`, a receiver of `pre_save` or the copying
    of a file would fill: left at their default, those rows would be in each other's way."""
    meets = {name for unique in unique_sets(schema.model) for name in unique.names}
    is_altered = schema.registration.save == "model" or pre_save.has_listeners(schema.model)
    for field in schema.model._meta.concrete_fields:
        if field.name in given or field.name not in meets or field.primary_key:
            continue
        if isinstance(field, models.FileField):
            values = [_file_name(field) for _ in rows]
        elif is_altered and can_be_free(field):
            values = free_values(field, len(rows), using)
        else:
            continue
        for row, value in zip(rows, values, strict=False):
            setattr(row, field.attname, value)


def _file_name(field: Field) -> str:
    return secrets.token_hex(16)[: field.max_length]
