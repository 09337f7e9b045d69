"""From registrations to schemas: every word of a registration checked against its model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from django.db import models

from data_sync import registry
from data_sync.core.errors import RegistrationError
from data_sync.registry import Registration
from data_sync.registry.inheritance import is_inner_link, is_own, owner, parent_links, shares_primary_key

from .generics import generic_keys, generics_of
from .key_parts import field_of, key_part, related_model
from .order import in_order
from .redacted import redacted_of, refuse_redacted_key
from .schema import File, Link, ModelSchema, Reference, Value
from .sensitive import sensitive_reasons
from .values import Field, codec_of


def schemas() -> dict[str, ModelSchema]:
    """Every registered model's schema by label, referenced models before those that refer to them.

    Raises `RegistrationError` where the system checks would.
    """
    global _resolved
    registrations = registry.registrations()
    # Asked for each reference of each row: to hash all registrations for it would take longer than all else.
    if registrations is not _resolved[0]:
        _resolved = registrations, in_order({one.label: resolve(one) for one in registrations})
    return _resolved[1]


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


_resolved: tuple[tuple[Registration, ...], dict[str, ModelSchema]] = ((), {})


def resolve(registration: Registration) -> ModelSchema:
    """Raises `RegistrationError` with a sentence that names the model, the field and the remedy."""
    reasons = sensitive_reasons(registration)
    if reasons:
        raise reasons[0]
    model = registration.model
    _refuse_tables(model)
    key = tuple(key_part(registration, path) for path in registration.key)
    refuse_redacted_key(registration, key)
    key_names = {part.path[0] for part in key}
    generics = generics_of(registration, key_names)
    values: list[Value] = []
    carried: list[Value] = []
    references: list[Reference] = []
    links: list[Link] = []
    for field in _selected(registration, key_names):
        match field:
            case models.ManyToManyField():
                links.append(_link(model, field))
            case models.ForeignKey():
                references.append(Reference(name=field.name, field=field, target=_target(model, field)))
            case _:
                value = Value(name=field.name, field=field, codec=codec_of(field))
                (carried if _is_automatic(field) and field.name not in key_names else values).append(value)
    to_parents = list(parent_links(model).values())
    schema = ModelSchema(
        registration=registration,
        model=model,
        key=key,
        values=tuple(values),
        references=tuple(references),
        links=tuple(links),
        files=tuple(_file(model, name) for name in registration.file_fields),
        carried=tuple(carried),
        generics=generics,
        parent_link=next((known for known in references if known.field in to_parents[:1]), None),
    )
    return replace(schema, redacted=redacted_of(schema)) if registration.redact else schema


def _refuse_tables(model: type[models.Model]) -> None:
    meta = model._meta
    if meta.abstract:
        raise RegistrationError(
            f"{meta.label} is abstract and has no rows; register the models made from it.", "abstract"
        )
    if isinstance(meta.pk, models.CompositePrimaryKey):
        raise RegistrationError(f"{meta.label}: composite primary keys are not supported.", "composite_key")
    other = registry.registered_twice(model)
    if other is not None:
        raise RegistrationError(
            f"{meta.label} and {other._meta.label} are one table, and both are registered; take one registration back.",
            "same_table",
        )


def _selected(registration: Registration, key_names: set[str]) -> Iterator[Field]:
    model, named = registration.model, registration.fields
    meta = model._meta
    own = [field for field in (*meta.concrete_fields, *meta.many_to_many) if is_own(model, field)]
    inner = {field.name for field in own if is_inner_link(model, field)}
    of_generics = _columns_of_generics(model)
    to_parents = {link.name for link in parent_links(model).values()}
    for name in (*(named or ()), *registration.exclude, *registration.file_fields):
        if name not in {generic.name for generic in generic_keys(model)}:
            _refuse_inherited(model, field_of(model, name))
    for field in own:
        if field.name in key_names or field.name in to_parents:
            yield field
        elif field.name in inner | of_generics | set(registration.exclude) or getattr(field, "generated", False):
            continue
        elif isinstance(field, models.FileField):
            if named is not None and field.name in named and field.name not in registration.file_fields:
                raise RegistrationError(
                    f"{meta.label}.{field.name} is a file: name it in file_fields.", "file_not_named"
                )
        elif isinstance(field, models.ManyToManyField) and registry.registration_of(_through(field)):
            continue  # The rows of the through model travel by themselves.
        elif named is None:
            plain_link = not isinstance(field, models.ManyToManyField) or _is_plain(field)
            plain_key = field.primary_key and not isinstance(field, models.ForeignKey)
            if plain_link and not plain_key:
                yield field
        elif field.name in named:
            yield field


def _columns_of_generics(model: type[models.Model]) -> set[str]:
    """The columns that generic foreign keys are made of: what they hold is right in one database only."""
    return {name for generic in generic_keys(model) for name in (generic.ct_field, generic.fk_field)}


def _refuse_inherited(model: type[models.Model], field: Field) -> None:
    parent = owner(model, field)
    if parent is not None:
        raise RegistrationError(
            f"{model._meta.label} inherits {field.name} from {parent._meta.label}, which is registered: say there how "
            "it is synced.",
            "inheritance",
        )


def _target(model: type[models.Model], field: Any) -> type[models.Model]:
    target = related_model(field)
    registration = registry.registration_of(target)
    if registration is None:
        raise RegistrationError(
            f"{model._meta.label}.{field.name} refers to {target._meta.label}, whose rows cannot be identified: "
            "register that model with a natural key, or exclude the field.",
            "unregistered_target",
        )
    return registration.model


def _through(field: Any) -> type[models.Model]:
    through: type[models.Model] = field.remote_field.through
    return through


def _is_plain(field: Any) -> bool:
    return bool(_through(field)._meta.auto_created)


def _link(model: type[models.Model], field: models.ManyToManyField[Any, Any]) -> Link:
    through = _through(field)
    if not _is_plain(field):
        raise RegistrationError(
            f"{model._meta.label}.{field.name} has a through model of its own, {through._meta.label}: register the "
            "through model, and its rows are synced; or exclude the field.",
            "through_model",
        )
    if not shares_primary_key(model, field.model):
        raise RegistrationError(
            f"{model._meta.label}.{field.name} is inherited from {field.model._meta.label}, which is not the first "
            "parent: register that model.",
            "inheritance",
        )
    return Link(
        name=field.name,
        field=field,
        target=_target(model, field),
        through=through,
        source_column=field.m2m_field_name() + "_id",
        target_column=field.m2m_reverse_field_name() + "_id",
    )


def _file(model: type[models.Model], name: str) -> File:
    field = field_of(model, name)
    if not isinstance(field, models.FileField):
        raise RegistrationError(f"{model._meta.label}.{name} is in file_fields, but is no file field.", "not_a_file")
    return File(name=name, field=field)


def _is_automatic(field: Field) -> bool:
    return bool(getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False))
