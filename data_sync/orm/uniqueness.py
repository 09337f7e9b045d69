"""Whether the database sees to it that no two rows share a natural key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models import F
from django.db.models.expressions import RawSQL

from data_sync import registry

from .schema import ModelSchema, Path

Model = type[models.Model]


def is_enforced(schema: ModelSchema) -> bool:
    """Whether unique constraints of the model, and of those its key reaches through, make the key unique.

    Where the key of a referenced model is not enforced itself, that is for its own check to say. Null
    is no matter: a key with a null in it is refused anyway.
    """
    return _determine(schema.model, [part.path for part in schema.key])


def columns(schema: ModelSchema) -> list[str]:
    """The model's own fields that a unique constraint for its key would have, in the key's order."""
    return list(dict.fromkeys(part.path[0] for part in schema.key))


def loose_references(schema: ModelSchema) -> list[str]:
    """Foreign keys in the key that its paths do not pin down: they might stand for several rows."""
    ends = _ends(part.path for part in schema.key)
    return [name for name, paths in ends.items() if not _determine_target(schema.model, name, paths)]


def _determine(model: Model, paths: Sequence[Path]) -> bool:
    """Whether values at these paths can belong to one row of the model at most."""
    known = {path[0] for path in paths if len(path) == 1}
    known |= {name for name, ends in _ends(paths).items() if _determine_target(model, name, ends)}
    return any(unique <= known for unique in _unique_sets(model))


def _ends(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """For each foreign key that paths go through, what is left of them behind it."""
    through: dict[str, list[Path]] = {}
    for head, *rest in paths:
        if rest:
            through.setdefault(head, []).append(tuple(rest))
    return through


def _determine_target(model: Model, name: str, paths: Sequence[Path]) -> bool:
    target = model._meta.get_field(name).related_model
    if not isinstance(target, type):
        return False
    registration = registry.registration_of(target)
    own_key = registration is not None and {tuple(path.split(".")) for path in registration.natural_key} <= set(paths)
    return own_key or _determine(target, paths)


def _unique_sets(model: Model) -> Iterator[set[str]]:
    """Sets of fields such that no two rows agree on all of one. Constraints with a condition make none."""
    meta = model._meta
    candidates: list[list[str]] = [[field.name] for field in meta.concrete_fields if field.unique]
    candidates += [list(names) for names in meta.unique_together]
    for constraint in meta.constraints:
        if isinstance(constraint, models.UniqueConstraint) and constraint.condition is None:
            # Equal values make equal expressions: who forbids the latter forbids the former.
            candidates.append([*constraint.fields, *_names_in(constraint.expressions)])
    for names in candidates:
        try:
            found = {meta.get_field(name).name for name in names}
        except FieldDoesNotExist:
            continue  # Django's own checks say so.
        if found:
            yield found


def _names_in(expressions: Iterable[Any]) -> Iterator[str]:
    """The fields that expressions are made of; for raw SQL a name that no field has."""
    for expression in expressions:
        nodes = [expression] if isinstance(expression, F) else list(expression.flatten())
        if any(isinstance(node, RawSQL) for node in nodes):
            yield ""
        yield from (node.name.split("__")[0] for node in nodes if isinstance(node, F))  # type: ignore[attr-defined]
