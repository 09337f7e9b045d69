"""Models in words for the review: names of fields, and what kind of value each holds. No queries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import models
from django.utils.text import capfirst

from data_sync.core.errors import RegistrationError
from data_sync.orm.resolution import schemas
from data_sync.orm.schema import Link, ModelSchema, Reference

from .names import model_name
from .presentation import FieldShape, ModelShape


def shapes() -> dict[str, ModelShape]:
    """Every registered model's shape, by label."""
    try:
        return {label: _shape(schema) for label, schema in schemas().items()}
    except RegistrationError:
        # A changeset outlives the registrations it was made with, and must stay readable.
        return {}


def shape_of(label: str, known: dict[str, ModelShape]) -> ModelShape:
    return known.get(label) or ModelShape(label=label, name=model_name(label))


def _shape(schema: ModelSchema) -> ModelShape:
    return ModelShape(label=schema.label, name=model_name(schema.label), fields=dict(_fields(schema)))


def _fields(schema: ModelSchema) -> Iterator[tuple[str, FieldShape]]:
    values = [(value.name, value.field) for value in (*schema.values, *schema.carried)]
    relations: list[Reference | Link] = [*schema.references, *schema.links]
    order = {field.name: place for place, field in enumerate(schema.model._meta.get_fields())}
    named: dict[str, FieldShape] = {
        name: FieldShape(label=_label(field), kind="json" if isinstance(field, models.JSONField) else "value")
        for name, field in values
    }
    for relation in relations:
        named[relation.name] = FieldShape(
            label=_label(relation.field),
            kind="reference" if isinstance(relation, Reference) else "links",
            target=relation.target._meta.label_lower,
        )
    for generic in schema.generics:
        named[generic.name] = FieldShape(label=capfirst(generic.name.replace("_", " ")), kind="generic")
    for file in schema.files:
        named[file.name] = FieldShape(label=_label(file.field), kind="file")
    yield from sorted(named.items(), key=lambda item: order.get(item[0], len(order)))


def _label(field: Any) -> str:
    return capfirst(str(field.verbose_name))
