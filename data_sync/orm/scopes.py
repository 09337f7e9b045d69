"""Which of some rows lie in the scope of a registration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from data_sync.core import canonical

from .among import among
from .batches import batches
from .references import KeysOfRows
from .schema import ModelSchema

AT_ONCE = 2000


def in_scope(schema: ModelSchema, pks: Iterable[Any], using: str) -> set[Any]:
    """The primary keys of those that do. Without a scope, nobody is asked, and all of them do."""
    if schema.registration.queryset is None:
        return set(pks)
    return {
        pk
        for batch in batches(pks)
        for pk in schema.rows(using).filter(among("pk", batch)).values_list("pk", flat=True)
    }


def keys_out_of_scope(schema: ModelSchema, using: str) -> Iterator[str]:
    """The natural keys (canonical texts) of the rows that do not, in the order of their primary keys; rows that have
    none are left out."""
    if schema.registration.queryset is None:
        return
    keys = KeysOfRows(schema.model, "pk", using, leaves_out=True)
    rows = schema.every_row(using).order_by("pk").values_list("pk", flat=True)
    pks = list(rows[:AT_ONCE])
    while pks:
        inside = in_scope(schema, pks, using)
        outside = [pk for pk in pks if pk not in inside]
        found = keys.load(outside)
        yield from (canonical.array(found[pk]) for pk in outside if pk in found)
        pks = list(rows.filter(pk__gt=pks[-1])[:AT_ONCE])
