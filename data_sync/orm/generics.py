"""Generic foreign keys as registrations see them: one field in place of two columns."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db import models

from data_sync.core.errors import RegistrationError
from data_sync.registry import Registration
from data_sync.registry.inheritance import is_own

from .schema import Generic


def generic_keys(model: type[models.Model]) -> list[Any]:
    """The generic foreign keys among a model's own fields."""
    return [
        field
        for field in model._meta.private_fields
        if hasattr(field, "ct_field") and is_own(model, model._meta.get_field(field.ct_field))
    ]


def generics_of(registration: Registration, key_names: Collection[str]) -> tuple[Generic, ...]:
    """The generic foreign keys that records have.

    One is left out where it or one of its columns is excluded, and where `fields` names none of the three. Raises
    `RegistrationError` where a column is in the natural key: what it holds means nothing elsewhere.
    """
    model = registration.model
    found = []
    for field in generic_keys(model):
        names = {field.name, field.ct_field, field.fk_field}
        chosen = registration.fields is None or names & set(registration.fields)
        if names & set(registration.exclude) or not chosen:
            continue
        in_key = sorted(names & set(key_names))
        if in_key:
            raise RegistrationError(
                f"{model._meta.label}: natural_key has {in_key[0]!r}, a column of the generic foreign key "
                f"{field.name!r}. What it holds means another row in another database; name other fields.",
                "key_path",
            )
        type_field: Any = model._meta.get_field(field.ct_field)
        object_field: Any = model._meta.get_field(field.fk_field)
        found.append(Generic(name=field.name, field=field, type_field=type_field, object_field=object_field))
    return tuple(found)
