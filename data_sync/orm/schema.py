"""Registrations resolved against their models: which columns make a record, and how."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import models

from data_sync import registry
from data_sync.core.errors import RegistrationError
from data_sync.core.manifest import ModelManifest
from data_sync.core.ordering import CycleError, in_dependency_order
from data_sync.registry import Registration

from .sensitive import sensitive_reasons
from .values import Codec, Field, codec_of, fingerprint

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A plain column."""

    name: str
    field: Field
    codec: Codec


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A foreign key or one-to-one. `target` is the model whose natural key stands for the row."""

    name: str
    field: models.ForeignKey[Any, Any]
    target: type[models.Model]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A plain many-to-many: its rows in the through table belong to this side."""

    name: str
    field: models.ManyToManyField[Any, Any]
    target: type[models.Model]
    through: type[models.Model]
    source_column: str
    target_column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    name: str
    field: models.FileField


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPart:
    """One part of a natural key: `path` from the model, `leaf` the field at its end."""

    path: Path
    leaf: Field
    codec: Codec

    @property
    def lookup(self) -> str:
        return "__".join(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSchema:
    """Everything reading, comparing and writing need to know of one registered model."""

    registration: Registration
    model: type[models.Model]
    key: tuple[KeyPart, ...]
    values: tuple[Value, ...]
    references: tuple[Reference, ...]
    links: tuple[Link, ...]
    files: tuple[File, ...]
    carried: tuple[Value, ...]

    @property
    def label(self) -> str:
        return self.registration.label

    @property
    def pk(self) -> Field:
        return self.model._meta.pk

    def rows(self, using: str) -> models.QuerySet[Any]:
        """The rows in scope, unfiltered by default managers."""
        rows = self.model._base_manager.using(using).all()
        scope = self.registration.queryset
        return rows if scope is None else scope(rows)

    def every_row(self, using: str) -> models.QuerySet[Any]:
        """All rows of the table, in scope or not."""
        return self.model._base_manager.using(using).all()

    def manifest(self, count: int) -> ModelManifest:
        fields = {value.name: fingerprint(value.field) for value in self.values}
        for relation in (*self.references, *self.links):
            fields[relation.name] = {
                "type": type(relation.field).__name__,
                "null": relation.field.null,
                "model": relation.target._meta.label_lower,
            }
        return ModelManifest(
            key=self.registration.natural_key,
            fields=fields,
            files={file.name: {"type": "file", "null": file.field.null} for file in self.files},
            count=count,
        )


def schemas() -> dict[str, ModelSchema]:
    """Every registered model's schema by label, referenced models before those that refer to them.

    Raises `RegistrationError` where the system checks would.
    """
    return _schemas(registry.registrations())


def schema_of(model: type[models.Model]) -> ModelSchema | None:
    """The schema of a registered model."""
    registration = registry.registration_of(model)
    return None if registration is None else schemas()[registration.label]


@lru_cache(maxsize=4)
def _schemas(registrations: tuple[Registration, ...]) -> dict[str, ModelSchema]:
    resolved = {registration.label: resolve(registration) for registration in registrations}
    needs = {label: required_targets(schema) for label, schema in resolved.items()}
    try:
        order = in_dependency_order(resolved, needs)
    except CycleError as error:
        raise RegistrationError(
            f"These models need each other: {error}. Make one of the references nullable."
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
    relations = [*(r for r in schema.references if r.field.null), *schema.links]
    return [
        relation.target._meta.label_lower for relation in relations if relation.target is not schema.model
    ]


def resolve(registration: Registration) -> ModelSchema:
    """Raises `RegistrationError` with a sentence that names the model, the field and the remedy."""
    reasons = sensitive_reasons(registration)
    if reasons:
        raise RegistrationError(reasons[0])
    model = registration.model
    if isinstance(model._meta.pk, models.CompositePrimaryKey):
        raise RegistrationError(f"{model._meta.label}: composite primary keys are not supported.")
    if any(parent for parent in model._meta.parents.values()):
        raise RegistrationError(f"{model._meta.label}: multi-table inheritance is not supported.")
    key = tuple(_key_part(registration, path) for path in registration.natural_key)
    values: list[Value] = []
    carried: list[Value] = []
    references: list[Reference] = []
    links: list[Link] = []
    for field in _selected(registration, {part.path[0] for part in key}):
        match field:
            case models.ManyToManyField():
                links.append(_link(model, field))
            case models.ForeignKey():
                references.append(Reference(name=field.name, field=field, target=_target(model, field)))
            case _:
                value = Value(name=field.name, field=field, codec=codec_of(field))
                (carried if _is_automatic(field) else values).append(value)
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
                raise RegistrationError(f"{meta.label}.{field.name} is a file: name it in file_fields.")
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
    if field is None or not isinstance(field, models.Field):
        known = ", ".join(sorted(f.name for f in (*model._meta.concrete_fields, *model._meta.many_to_many)))
        raise RegistrationError(f"{model._meta.label} has no field {name!r}. It has: {known}.")
    return field


def _key_part(registration: Registration, dotted: str) -> KeyPart:
    model: type[models.Model] = registration.model
    path = tuple(dotted.split("."))
    for name in path[:-1]:
        field = _field(model, name)
        if not isinstance(field, models.ForeignKey):
            raise RegistrationError(
                f"{registration.model._meta.label}: natural_key {dotted!r} goes through {name!r}, "
                "which is not a foreign key."
            )
        model = field.related_model  # type: ignore[assignment]
    leaf = _field(model, path[-1])
    if isinstance(leaf, models.ForeignKey | models.ManyToManyField | models.FileField):
        raise RegistrationError(
            f"{registration.model._meta.label}: natural_key {dotted!r} ends in a {type(leaf).__name__}; "
            "go on with a dot to a plain field of it."
        )
    return KeyPart(path=path, leaf=leaf, codec=codec_of(leaf))


def _target(model: type[models.Model], field: Any) -> type[models.Model]:
    target: type[models.Model] = field.related_model
    registration = registry.registration_of(target)
    if registration is None:
        raise RegistrationError(
            f"{model._meta.label}.{field.name} refers to {target._meta.label}, whose rows cannot be identified: "
            "register that model with a natural key, or exclude the field."
        )
    return registration.model


def _is_plain(field: Any) -> bool:
    return bool(field.remote_field.through._meta.auto_created)


def _link(model: type[models.Model], field: models.ManyToManyField[Any, Any]) -> Link:
    if not _is_plain(field):
        raise RegistrationError(
            f"{model._meta.label}.{field.name} has a through model of its own, which is not supported; exclude the field."
        )
    return Link(
        name=field.name,
        field=field,
        target=_target(model, field),
        through=field.remote_field.through,
        source_column=field.m2m_field_name() + "_id",
        target_column=field.m2m_reverse_field_name() + "_id",
    )


def _file(model: type[models.Model], name: str) -> File:
    field = _field(model, name)
    if not isinstance(field, models.FileField):
        raise RegistrationError(f"{model._meta.label}.{name} is in file_fields, but is no file field.")
    return File(name=name, field=field)


def _is_automatic(field: Field) -> bool:
    return bool(getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False))
