"""Which of some rows lie in the scope of a registration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .among import among
from .batches import batches
from .schema import ModelSchema


def in_scope(schema: ModelSchema, pks: Iterable[Any], using: str) -> set[Any]:
    """The primary keys of those that do. Without a scope, nobody is asked, and all of them do."""
    if schema.registration.queryset is None:
        return set(pks)
    return {
        pk
        for batch in batches(pks)
        for pk in schema.rows(using).filter(among("pk", batch)).values_list("pk", flat=True)
    }
