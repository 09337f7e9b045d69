"""Multi-table inheritance: which tables hold a registered model's own part of a row, and which another's.

A parent that is registered syncs by itself, and the child refers to its row. The fields of a parent that is
not registered are fields of the child.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldDoesNotExist
from django.db import models

from . import registration_of

if TYPE_CHECKING:
    Field = models.Field[Any, Any]

Model = type[models.Model]


def tables_of(model: Model) -> tuple[Model, ...]:
    """The models whose tables hold the row, ancestors first: the model, and its parents that are not registered."""
    found: dict[Model, None] = {}
    _collect(_concrete(model), found)
    return tuple(found)


def _collect(model: Model, found: dict[Model, None]) -> None:
    for parent, _ in _parents(model):
        if registration_of(parent) is None:
            _collect(parent, found)
    found.setdefault(model)


def _parents(model: Model) -> list[tuple[Model, Any]]:
    """The direct parents that are tables, each with the one-to-one field that leads there."""
    return [(parent, link) for parent, link in model._meta.parents.items() if link is not None and link.model is model]


def parent_links(model: Model) -> dict[Model, Any]:
    """The one-to-one fields that lead from a row's own tables to its registered parents.

    First the one, if any, by which the row has its parent's primary key.
    """
    links = [
        (parent, link)
        for own in tables_of(model)
        for parent, link in _parents(own)
        if registration_of(parent) is not None
    ]
    primary = _primary_links(model)
    return dict(sorted(links, key=lambda found: found[1] not in primary))


def shares_primary_key(model: Model, ancestor: Model) -> bool:
    """Whether a row's primary key is also that of its part in an ancestor's table."""
    return ancestor in (_concrete(model), *(link.related_model for link in _primary_links(model)))


def _primary_links(model: Model) -> list[Any]:
    """The links by which the row has its primary key, from table to table."""
    links: list[Any] = []
    current: Any = _concrete(model)
    while getattr(current._meta.pk.remote_field, "parent_link", False):
        links.append(current._meta.pk)
        current = current._meta.pk.related_model
    return links


def is_own(model: Model, field: Any) -> bool:
    """Whether a field is in the model's own part of a row."""
    return _concrete(field.model) in tables_of(model)


def is_inner_link(model: Model, field: Any) -> bool:
    """Whether a field only joins two of the tables that hold a row's own part."""
    tables = tables_of(model)
    return any(field is link and parent in tables for own in tables for parent, link in _parents(own))


def owner(model: Model, field: Any) -> Model | None:
    """The registered parent that an inherited field belongs to; None for the model's own fields."""
    if is_own(model, field):
        return None
    return next((parent for parent in parent_links(model) if issubclass(parent, _concrete(field.model))), None)


def steps(model: Model, name: str) -> tuple[list[str], Field | None]:
    """The names that lead from a row to one of its fields, through the links to registered parents, and that field.

    No name for a field that only joins the row's own tables, no field where the model has none of that name.
    """
    try:
        field: Any = model._meta.get_field(name)
    except FieldDoesNotExist:
        return [name], None
    if not isinstance(field, models.Field) or is_own(model, field):
        return ([] if is_inner_link(model, field) else [name]), field if isinstance(field, models.Field) else None
    parent = owner(model, field)
    if parent is None:
        return [name], field
    names, found = steps(parent, name)
    return [parent_links(model)[parent].name, *names], found


def _concrete(model: Model) -> Model:
    return model._meta.concrete_model or model
