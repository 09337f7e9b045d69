"""The words of a natural key, checked against the models that they lead through."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import models

from data_sync.core.errors import RegistrationError
from data_sync.registry import Registration

from .schema import KeyPart
from .values import Field, codec_of


def field_of(model: type[models.Model], name: str) -> Field:
    try:
        field: Any = model._meta.get_field(name)
    except FieldDoesNotExist:
        field = None
    # get_field() also takes column names such as country_id, which nothing else here would recognise, and relations
    # that have no column here.
    has_values = isinstance(field, models.Field) and (field.column is not None or field.many_to_many)
    if field is None or not has_values or field.name != name:
        known = ", ".join(sorted(f.name for f in (*model._meta.concrete_fields, *model._meta.many_to_many)))
        raise RegistrationError(f"{model._meta.label} has no field {name!r}. It has: {known}.", "unknown_field")
    found: Field = field
    return found


def key_part(registration: Registration, dotted: str) -> KeyPart:
    model: type[models.Model] = registration.model
    path = tuple(dotted.split("."))
    for name in path[:-1]:
        field = field_of(model, name)
        if not isinstance(field, models.ForeignKey):
            raise RegistrationError(
                f"{registration.model._meta.label}: natural_key {dotted!r} goes through {name!r}, "
                "which is not a foreign key.",
                "key_path",
            )
        model = related_model(field)
    leaf = field_of(model, path[-1])
    if isinstance(leaf, models.ForeignKey | models.ManyToManyField | models.FileField):
        raise RegistrationError(
            f"{registration.model._meta.label}: natural_key {dotted!r} ends in a {type(leaf).__name__}; "
            "go on with a dot to a plain field of it.",
            "key_path",
        )
    if getattr(leaf, "generated", False):
        raise RegistrationError(
            f"{registration.model._meta.label}: natural_key {dotted!r} is computed by the database, which no apply can "
            "write; take the fields that it is computed from.",
            "key_path",
        )
    codec = codec_of(leaf)
    if codec.expression is not None:
        raise RegistrationError(
            f"{registration.model._meta.label}: natural_key {dotted!r} is a {type(leaf).__name__}, whose values cannot "
            "be told apart in a query; take plain fields for the key.",
            "key_path",
        )
    return KeyPart(path=path, leaf=leaf, codec=codec)


def related_model(field: Any) -> type[models.Model]:
    if isinstance(field.related_model, str):
        raise RegistrationError(
            f"{field} refers to {field.related_model}, which is not installed.", "unregistered_target"
        )
    target: type[models.Model] = field.related_model
    return target
