"""Keeping what deletes take away, in the transaction that deletes it: for a revert, shown nowhere else."""

from __future__ import annotations

import hashlib
import hmac
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


def kept_digest(key: bytes, row: KeptRow) -> str:
    """`hmac-sha256:<hex>` over a kept row: which it is, how it went, and what it held.

    `key` is the `leaf_key` of its changeset. Exports of a revert have the digest, and it outlives the values; these may
    be redacted, or of columns that are shown nowhere, and could be guessed from a plain digest.
    """
    content = [row.model, row.row_pk, row.effect, row.column, row.values]
    return f"hmac-sha256:{hmac.new(key, canonical.dumps(content).encode(), hashlib.sha256).hexdigest()}"


class Keeper:
    """Keeps the rows of a changeset's deletes, numbered as they go.

    `number_of` gives the number of the change that deletes a root, of those in one call with the number of another.
    """

    def __init__(self, changeset: Changeset, number_of: Callable[[Row, int], int]) -> None:
        self._changeset = changeset
        self._key = bytes(changeset.leaf_key)
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
        row = KeptRow(
            model=remains.model._meta.label_lower,
            row_pk=remains.pk if isinstance(remains.pk, int) else str(remains.pk),
            effect=remains.effect,
            column=remains.column,
            values=remains.values,
        )
        text, digest = (None, "") if row.values is None else (canonical.dumps(row.values), kept_digest(self._key, row))
        identity = [self._changeset.pk, self._last, number, row.model, canonical.dumps(row.row_pk)]
        return [*identity, row.effect, row.column, text, digest]


def kept_seal(changeset: Changeset) -> str:
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
