"""The changes of a plan without their records: a few bytes each, read from the stored ones."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from data_sync.core.states import Operation
from data_sync.models.fields import as_stored
from data_sync.orm.schema import ModelSchema

_OPERATIONS = {operation.value: operation for operation in Operation}


class Entry(NamedTuple):
    """A change of the plan without its records. `pk` None: the row is not there yet.

    `key_text` is the key that the row will have, or has had if it is deleted; `previous_key` is a renamed row's old
    one. `seen_digest` is that of the row as the reviewer saw it, "" where there was none, `after_digest` that of the
    record that it leads to. `replaced_pk` is the primary key of a row that is deleted to be made anew.
    """

    number: int
    label: str
    operation: Operation
    pk: Any
    key_text: str
    previous_key: str | None
    seen_digest: str
    after_digest: str
    replaced_pk: Any = None

    @property
    def is_replaced(self) -> bool:
        return self.replaced_pk is not None

    @property
    def name(self) -> str:
        """The record in messages."""
        return f"{self.label} {self.previous_key or self.key_text}"


def entry_columns() -> list[Any]:
    """What to select of `Change` for `entries_of`; the first is the number."""
    plain = ("number", "operation", "before_digest", "acknowledged_digest", "after_digest", "rename_choice")
    return [*plain, *map(as_stored, ("key", "previous_key", "local_pk"))]


def entries_of(schema: ModelSchema, rows: Iterable[Sequence[Any]], kept_digests: Mapping[int, str]) -> list[Entry]:
    """The changes of one model from their `entry_columns`. `kept_digests` are those of the records that updates lead
    to of which some fields are kept, by number."""
    to_pk = schema.pk.to_python
    return [
        Entry(
            number,
            schema.label,
            _OPERATIONS[operation],
            pk := None if text is None else to_pk(int(text) if text.isdecimal() else json.loads(text)),
            key,
            previous,
            "" if operation == "create" else acknowledged or before,
            kept_digests.get(number, after),
            pk if operation == "rename" and choice == "replace" else None,
        )
        for number, operation, before, acknowledged, after, choice, key, previous, text in rows
    ]
