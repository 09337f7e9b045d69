"""What an update takes away without deleting a row: links of a many-to-many, and references that become empty."""

from __future__ import annotations

from typing import Any

from data_sync.core import canonical
from data_sync.models import Change
from data_sync.orm.schema import ModelSchema


def severed(schema: ModelSchema, change: Change) -> int:
    """How many links of an update or a rename go, each a row of a through table, and how many references become
    empty. What is replaced by another counts as a link, but not as a reference."""
    if change.before is None or change.after is None:
        return 0
    before, after = change.before, change.after
    links = (len(_texts(before[link.name]) - _texts(after[link.name])) for link in schema.links)
    references = [one.name for one in schema.references] + [one.name for one in schema.generics]
    emptied = (before[name] is not None and after[name] is None for name in references)
    return sum(links) + sum(emptied)


def _texts(keys: list[Any]) -> set[str]:
    return set(map(canonical.dumps, keys))
