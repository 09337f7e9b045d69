"""The natural key of a registration: as it was given, or what the one unique constraint of the model makes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.db import models

from data_sync.core.errors import RegistrationError

from . import Registration, registration_of
from .inheritance import steps
from .unique_sets import unique_sets

Paths = tuple[str, ...]


def key_of(registration: Registration) -> Paths:
    """The paths of the natural key; inherited fields of registered parents are reached through the link to those.

    Raises `RegistrationError` where none was given and the unique constraints do not determine one.
    """
    return _key_of(registration, frozenset())


def _key_of(registration: Registration, inferring: frozenset[Registration]) -> Paths:
    if registration.natural_key:
        return tuple(_through_links(registration.model, path) for path in registration.natural_key)
    return _inferred(registration, inferring | {registration})


def _through_links(model: type[models.Model], dotted: str) -> str:
    names: list[str] = []
    current: Any = model
    for name in dotted.split("."):
        if not isinstance(current, type):
            names.append(name)
            continue
        found, field = steps(current, name)
        names += found
        if found:
            current = None if field is None else field.related_model
    return ".".join(names)


def _inferred(registration: Registration, inferring: frozenset[Registration]) -> Paths:
    label = registration.model._meta.label
    choices: dict[frozenset[str], Paths] = {}
    unfit: list[str] = []
    for unique in unique_sets(registration.model):
        if unique.condition is not None or any(name in registration.exclude for name in unique.names):
            continue
        if any(isinstance(registration.model._meta.get_field(name), models.AutoField) for name in unique.names):
            continue  # Each database counts for itself.
        reasons = list(_unfit(registration.model, unique.names, inferring))
        if reasons:
            unfit += reasons
        else:
            choices.setdefault(frozenset(unique.names), _paths(registration.model, unique.names, inferring))
    # What is unique stays so with more columns beside it.
    smallest = [paths for names, paths in choices.items() if not any(other < names for other in choices)]
    match smallest:
        case [paths]:
            return paths
        case []:
            because = f" ({'; '.join(dict.fromkeys(unfit))})" if unfit else ""
            raise RegistrationError(
                f"{label} has no unique constraint that could be its natural key{because}. "
                'Say what identifies a row in every environment: natural_key=["code"].',
                "no_key",
            )
        case _:
            raise RegistrationError(
                f"{label} has several unique constraints that could be its natural key. Choose one: "
                f"{' or '.join(f'natural_key={json.dumps(paths)}' for paths in smallest)}.",
                "ambiguous_key",
            )


def _unfit(model: type[models.Model], names: Paths, inferring: frozenset[Registration]) -> Iterator[str]:
    """Why a unique constraint cannot be a natural key."""
    of_generics = {
        column
        for field in model._meta.private_fields
        for column in (getattr(field, "ct_field", None), getattr(field, "fk_field", None))
    }
    for name in names:
        field: Any = model._meta.get_field(name)
        if field.null:
            yield f"{name} may be null"
        elif name in of_generics:
            yield f"{name} is part of a generic foreign key"
        elif isinstance(field, models.JSONField | models.FileField) or getattr(field, "generated", False):
            yield f"{name} is a {type(field).__name__}"
        elif isinstance(field, models.ForeignKey):
            target: Any = field.related_model
            registered = registration_of(target) if isinstance(target, type) else None
            if registered is None:
                yield f"{name} refers to {target if isinstance(target, str) else target._meta.label}, not registered"
            elif registered in inferring:
                yield f"{name} refers to {registered.model._meta.label}, whose key would need this one"
            else:
                try:
                    _key_of(registered, inferring)
                except RegistrationError:
                    yield f"{name} refers to {registered.model._meta.label}, which has no natural key itself"


def _paths(model: type[models.Model], names: Paths, inferring: frozenset[Registration]) -> Paths:
    paths: list[str] = []
    for name in names:
        field = model._meta.get_field(name)
        if isinstance(field, models.ForeignKey):
            registered = registration_of(field.related_model)
            assert registered is not None
            paths += (f"{name}.{path}" for path in _key_of(registered, inferring))
        else:
            paths.append(name)
    return tuple(paths)
