"""Which members of a model's records are shown nowhere: the words of `redact`, checked against the model."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from django.db import models

from data_sync import registry
from data_sync.core.errors import RegistrationError
from data_sync.registry import Registration

from .generics import generic_keys
from .key_parts import field_of
from .schema import KeyPart, ModelSchema


def refuse_redacted_key(registration: Registration, key: Collection[KeyPart]) -> None:
    """Raises `RegistrationError` where a natural key has a field that is redacted, here or at a model that its paths
    lead through: keys stand in every list, message and URL."""
    for part in key:
        model: Any = registration.model
        for name in part.path:
            owner = registry.registration_of(model)
            if owner is not None and name in owner.redact:
                raise RegistrationError(
                    f"{registration.model._meta.label}: {model._meta.label}.{name} is redacted, and cannot be in the "
                    f"natural key ({'.'.join(part.path)}): keys are shown everywhere. Take another key, or do not "
                    "redact the field.",
                    "redact",
                )
            model = model._meta.get_field(name).related_model


def redacted_of(schema: ModelSchema) -> frozenset[str]:
    """What the registration redacts. Raises `RegistrationError` for a name that is no compared field."""
    registration = schema.registration
    for name in registration.redact:
        if name not in schema.field_names:
            raise RegistrationError(f"{schema.model._meta.label}: {_why_not(schema, name)}", "redact")
        if name == schema.pk.name or (schema.parent_link is not None and name == schema.parent_link.name):
            raise RegistrationError(
                f"{schema.model._meta.label}.{name} cannot be redacted: primary keys name rows in messages and lists.",
                "redact",
            )
        by = next((one.field for one in _referring(schema.model) if one.field.target_field.name == name), None)
        if by is not None:
            raise RegistrationError(
                f"{schema.model._meta.label}.{name} cannot be redacted: {by} refers to it (to_field), so that its "
                "values stand in that column, too.",
                "redact",
            )
    return frozenset(registration.redact)


def _referring(model: type[models.Model]) -> list[Any]:
    """The relations that lead to a model by columns of others, hidden ones among them."""
    relations: list[Any] = model._meta.get_fields(include_hidden=True)
    return [
        relation
        for relation in relations
        if relation.auto_created and not relation.concrete and (relation.one_to_many or relation.one_to_one)
    ]


def _why_not(schema: ModelSchema, name: str) -> str:
    generic = next((one for one in generic_keys(schema.model) if name in (one.ct_field, one.fk_field)), None)
    if generic is not None:
        return f"redact has {name!r}, a column of {generic.name!r}; name the generic foreign key itself."
    field = field_of(schema.model, name)
    if isinstance(field, models.FileField):
        return (
            f"redact has {name!r}, which is a file. Files cannot be redacted, because they are stored and named by "
            "what is in them; leave it out of file_fields."
        )
    if name in {value.name for value in schema.carried}:
        return f"redact has {name!r}, which is filled in by itself (auto_now) and not compared; exclude it."
    return f"redact has {name!r}, which is not synced; take it out, or name it in fields."


def redacting_models(schemas: Iterable[ModelSchema] = ()) -> frozenset[type[models.Model]]:
    """Every model that redacts something: by its registration, whether it is compared or not, or in these schemas,
    which have what the source redacts, too."""
    registered = {one.model for one in registry.registrations() if one.redact}
    return frozenset(registered | {schema.model for schema in schemas if schema.redacted})


def may_tell(model: type[models.Model], redacting: Collection[type[models.Model]]) -> bool:
    """Whether the `str()` of a model's rows may hold what is redacted: their own, or that of rows which they lead to,
    over however many relations of theirs. A generic foreign key may lead to any model."""
    if not redacting:
        return False
    reached, waiting = {model}, [model]
    while waiting:
        one = waiting.pop()
        if any(issubclass(one, other) or issubclass(other, one) for other in redacting) or generic_keys(one):
            return True
        relations: list[Any] = [*one._meta.concrete_fields, *one._meta.many_to_many]
        further = {field.related_model for field in relations if field.related_model is not None} - reached
        reached |= further
        waiting += further
    return False
