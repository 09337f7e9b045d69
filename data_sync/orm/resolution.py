"""From registrations to schemas: every word of a registration checked against its model."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import models

from data_sync import registry
from data_sync.core.errors import RegistrationError
from data_sync.core.ordering import CycleError, in_dependency_order
from data_sync.registry import Registration

from .schema import File, KeyPart, Link, ModelSchema, Reference, Value
from .sensitive import sensitive_reasons
from .values import Field, codec_of


def schemas() -> dict[str, ModelSchema]:
    """Every registered model's schema by label, referenced models before those that refer to them.

    Raises `RegistrationError` where the system checks would.
    """
    return _schemas(registry.registrations())


def schema_of(model: type[models.Model]) -> ModelSchema | None:
    """The schema of a registered model."""
    registration = registry.registration_of(model)
    return None if registration is None else schemas()[registration.label]


def target_schema(relation: Reference | Link) -> ModelSchema:
    """The schema of the model that a relation refers to."""
    schema = schema_of(relation.target)
    if schema is None:
        raise RegistrationError(f"{relation.target._meta.label} is no longer registered.")
    return schema


@lru_cache(maxsize=4)
def _schemas(registrations: tuple[Registration, ...]) -> dict[str, ModelSchema]:
    return in_order({registration.label: resolve(registration) for registration in registrations})


def in_order(resolved: dict[str, ModelSchema]) -> dict[str, ModelSchema]:
    """The schemas, each after those it refers to. Raises `RegistrationError` for a cycle of required references."""
    needs = {label: required_targets(schema) for label, schema in resolved.items()}
    try:
        order = in_dependency_order(resolved, needs)
    except CycleError as error:
        raise RegistrationError(
            f"These models need each other: {error}. Make one of the references nullable.", "cycle"
        ) from None
    optional = {label: needs[label] + optional_targets(resolved[label]) for label in order}
    try:
        order = in_dependency_order(order, optional)
    except CycleError:
        pass  # Nullable references close a cycle: they are written in a second phase.
    return {label: resolved[label] for label in order}


def required_targets(schema: ModelSchema) -> list[str]:
    """Labels of the models that a row cannot exist without, itself left out."""
    return [
        reference.target._meta.label_lower
        for reference in schema.references
        if not reference.field.null and reference.target is not schema.model
    ]


def optional_targets(schema: ModelSchema) -> list[str]:
    return [
        relation.target._meta.label_lower
        for relation in schema.relations
        if (relation.field.null or relation in schema.links) and relation.target is not schema.model
    ]


def resolve(registration: Registration) -> ModelSchema:
    """Raises `RegistrationError` with a sentence that names the model, the field and the remedy."""
    reasons = sensitive_reasons(registration)
    if reasons:
        raise reasons[0]
    model = registration.model
    if model._meta.abstract:
        raise RegistrationError(
            f"{model._meta.label} is abstract and has no rows; register the models made from it.", "abstract"
        )
    if isinstance(model._meta.pk, models.CompositePrimaryKey):
        raise RegistrationError(f"{model._meta.label}: composite primary keys are not supported.", "composite_key")
    if any(parent for parent in model._meta.parents.values()):
        raise RegistrationError(f"{model._meta.label}: multi-table inheritance is not supported.", "inheritance")
    key = tuple(_key_part(registration, path) for path in registration.natural_key)
    values: list[Value] = []
    carried: list[Value] = []
    references: list[Reference] = []
    links: list[Link] = []
    key_names = {part.path[0] for part in key}
    for field in _selected(registration, key_names):
        match field:
            case models.ManyToManyField():
                links.append(_link(model, field))
            case models.ForeignKey():
                references.append(Reference(name=field.name, field=field, target=_target(model, field)))
            case _:
                value = Value(name=field.name, field=field, codec=codec_of(field))
                (carried if _is_automatic(field) and field.name not in key_names else values).append(value)
    return ModelSchema(
        registration=registration,
        model=model,
        key=key,
        values=tuple(values),
        references=tuple(references),
        links=tuple(links),
        files=tuple(_file(model, name) for name in registration.file_fields),
        carried=tuple(carried),
    )


def _selected(registration: Registration, key_names: set[str]) -> Iterator[Field]:
    meta = registration.model._meta
    named = registration.fields
    for name in (*(named or ()), *registration.exclude):
        _field(registration.model, name)
    for field in (*meta.concrete_fields, *meta.many_to_many):
        if field.name in key_names:
            yield field
        elif field.name in registration.exclude or getattr(field, "generated", False):
            continue
        elif isinstance(field, models.FileField):
            if named is not None and field.name in named and field.name not in registration.file_fields:
                raise RegistrationError(
                    f"{meta.label}.{field.name} is a file: name it in file_fields.", "file_not_named"
                )
        elif named is None:
            plain_link = not isinstance(field, models.ManyToManyField) or _is_plain(field)
            if not field.primary_key and plain_link:
                yield field
        elif field.name in named:
            yield field


def _field(model: type[models.Model], name: str) -> Field:
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        field = None
    # get_field() also takes column names such as country_id, which nothing else here would recognise.
    if not isinstance(field, models.Field) or field.name != name:
        known = ", ".join(sorted(f.name for f in (*model._meta.concrete_fields, *model._meta.many_to_many)))
        raise RegistrationError(f"{model._meta.label} has no field {name!r}. It has: {known}.", "unknown_field")
    return field


def _key_part(registration: Registration, dotted: str) -> KeyPart:
    model: type[models.Model] = registration.model
    path = tuple(dotted.split("."))
    for name in path[:-1]:
        field = _field(model, name)
        if not isinstance(field, models.ForeignKey):
            raise RegistrationError(
                f"{registration.model._meta.label}: natural_key {dotted!r} goes through {name!r}, "
                "which is not a foreign key.",
                "key_path",
            )
        model = _related_model(field)
    leaf = _field(model, path[-1])
    if isinstance(leaf, models.ForeignKey | models.ManyToManyField | models.FileField):
        raise RegistrationError(
            f"{registration.model._meta.label}: natural_key {dotted!r} ends in a {type(leaf).__name__}; "
            "go on with a dot to a plain field of it.",
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


def _related_model(field: Any) -> type[models.Model]:
    if isinstance(field.related_model, str):
        raise RegistrationError(
            f"{field} refers to {field.related_model}, which is not installed.", "unregistered_target"
        )
    target: type[models.Model] = field.related_model
    return target


def _target(model: type[models.Model], field: Any) -> type[models.Model]:
    target = _related_model(field)
    registration = registry.registration_of(target)
    if registration is None:
        raise RegistrationError(
            f"{model._meta.label}.{field.name} refers to {target._meta.label}, whose rows cannot be identified: "
            "register that model with a natural key, or exclude the field.",
            "unregistered_target",
        )
    return registration.model


def _is_plain(field: Any) -> bool:
    return bool(field.remote_field.through._meta.auto_created)


def _link(model: type[models.Model], field: models.ManyToManyField[Any, Any]) -> Link:
    if not _is_plain(field):
        raise RegistrationError(
            f"{model._meta.label}.{field.name} has its own through model, which is not supported; exclude the field.",
            "through_model",
        )
    through: Any = field.remote_field.through
    return Link(
        name=field.name,
        field=field,
        target=_target(model, field),
        through=through,
        source_column=field.m2m_field_name() + "_id",
        target_column=field.m2m_reverse_field_name() + "_id",
    )


def _file(model: type[models.Model], name: str) -> File:
    field = _field(model, name)
    if not isinstance(field, models.FileField):
        raise RegistrationError(f"{model._meta.label}.{name} is in file_fields, but is no file field.", "not_a_file")
    return File(name=name, field=field)


def _is_automatic(field: Field) -> bool:
    return bool(getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False))
