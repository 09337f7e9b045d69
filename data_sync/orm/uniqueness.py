"""Whether the database sees to it that no two rows share a natural key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import models

from data_sync import registry
from data_sync.core.errors import RegistrationError
from data_sync.registry.unique_sets import UniqueSet, unique_sets

from .schema import ModelSchema, Path

__all__ = ["UniqueSet", "columns", "is_enforced", "loose_references", "unique_sets"]

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
    # Equal values make equal expressions: who forbids the latter forbids the former.
    return any(known.issuperset(unique.names) for unique in unique_sets(model) if unique.condition is None)


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
    return (registration is not None and _key(registration) <= set(paths)) or _determine(target, paths)


def _key(registration: registry.Registration) -> set[Path]:
    try:
        return {tuple(path.split(".")) for path in registration.key}
    except RegistrationError:
        return {()}  # No path: what is wrong with that model is for its own check to say.
