"""Keeping what deletes take away, in the transaction that deletes it: for a revert, shown nowhere else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from django.db import DEFAULT_DB_ALIAS

from data_sync.core import canonical
from data_sync.models import Changeset, KeptRow
from data_sync.models.fields import as_stored
from data_sync.orm.batches import batches
from data_sync.orm.cascades import Reaches, Row
from data_sync.orm.insertion import insert_plain
from data_sync.orm.remains import Remains, remains_of

_NAMES = ("changeset", "number", "change_number", "model", "row_pk", "effect", "column", "values", "digest")
_COLUMNS: list[Any] = [KeptRow._meta.get_field(name) for name in _NAMES]


class Keeper:
    """Keeps the rows of a changeset's deletes, numbered as they go.

    `number_of` gives the number of the change that deletes a root, of those in one call with the number of another.
    """

    def __init__(self, changeset: Changeset, number_of: Callable[[Row, int], int]) -> None:
        self._changeset = changeset
        self._number_of = number_of
        self._last = 0

    def keep(self, reaches: Mapping[int, Reaches]) -> None:
        """To be called before these are deleted, under the same savepoint."""
        together = {row: reach for by_row in reaches.values() for row, reach in by_row.items()}
        numbers = {row: self._number_of(row, number) for number, by_row in reaches.items() for row in by_row}
        rows = (self._row(remains, numbers[remains.root]) for remains in remains_of(together, DEFAULT_DB_ALIAS))
        for batch in batches(rows):
            insert_plain(KeptRow, _COLUMNS, batch, DEFAULT_DB_ALIAS)

    def _row(self, remains: Remains, number: int) -> list[Any]:
        self._last += 1
        pk = remains.pk if isinstance(remains.pk, int) else str(remains.pk)
        text = None if remains.values is None else canonical.dumps(remains.values)
        digest = "" if text is None else canonical.digest(text)
        label = remains.model._meta.label_lower
        identity = [self._changeset.pk, self._last, number, label, canonical.dumps(pk)]
        return [*identity, remains.effect, remains.column, text, digest]


def kept_digest(changeset: Changeset) -> str:
    """Over what is kept of every row, by number: the values by their digests, which stay when they are purged. "" where
    nothing is kept."""
    rows = changeset.kept_rows.order_by("number").values_list(
        "number", "change_number", "model", as_stored("row_pk"), "effect", "column", "digest"
    )
    sha, is_any = hashlib.sha256(b"data-sync kept rows 1\n"), False
    for row in rows.iterator(chunk_size=2000):
        is_any = True
        sha.update(canonical.dumps(list(row)).encode() + b"\n")
    return "sha256:" + sha.hexdigest() if is_any else ""
