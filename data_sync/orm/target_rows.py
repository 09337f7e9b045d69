"""The rows that references of records lead to, looked up in batches and remembered while rows are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from data_sync.core.errors import RecordError

from .references import KeyText, RowsOfKeys
from .schema import ModelSchema
from .tables import table

REMEMBERED = 50_000
"""So many keys are remembered of one model; beyond them, all are looked up anew."""

Renamed = Mapping[str, Mapping[KeyText, Any]]
"""Rows that are being renamed: by label and new key, the primary key."""


class TargetRows:
    """Finds rows of any model by natural key: `column` names what is wanted of them, `pk` mostly.

    Rows that are being renamed are found by their new keys, whether they have been written yet or not.
    """

    def __init__(self, using: str, renamed: Renamed | None = None) -> None:
        self._using = using
        self._renamed = renamed or {}
        self._rows: dict[tuple[str, str], RowsOfKeys] = {}
        self._loaded: dict[tuple[str, str], int] = {}

    def load(self, schema: ModelSchema, column: str, texts: Iterable[KeyText]) -> None:
        """Looks these keys up, unless they are known. What is known of others may be forgotten by that."""
        place, wanted = (schema.label, column), list(texts)
        count = self._loaded.get(place, 0) + len(wanted)
        if place not in self._rows or count > REMEMBERED:
            self._rows[place], count = RowsOfKeys(schema, column, self._using), len(wanted)
        self._loaded[place] = count
        renamed = self._renamed.get(schema.label, {})
        self._load_renamed(schema, column, {text: renamed[text] for text in wanted if text in renamed})
        self._rows[place].load(text for text in wanted if text not in renamed)

    def _load_renamed(self, schema: ModelSchema, column: str, pks: Mapping[KeyText, Any]) -> None:
        if not pks:
            return
        rows = table(schema.model, self._using).filter(pk__in=list(pks.values()))
        values = dict(rows.values_list("pk", column))
        for text, pk in pks.items():
            if pk in values:
                self._rows[(schema.label, column)].add(text, values[pk])
            else:
                self._rows[(schema.label, column)].load([text])

    def get(self, schema: ModelSchema, column: str, text: KeyText) -> Any | None:
        """What the one row with this loaded key has; None if there is none. Raises `RecordError` for several."""
        try:
            return self._rows[(schema.label, column)].get(text)
        except KeyError:
            raise RecordError(f"{schema.label} {text} was not looked up.") from None

    def add(self, schema: ModelSchema, text: KeyText, row: Any) -> None:
        """Notes a row that was just inserted."""
        for (label, column), rows in self._rows.items():
            if label == schema.label:
                rows.add(text, getattr(row, column))

    def forget(self) -> None:
        """Has everything looked up anew: keys have changed."""
        self._rows.clear()
        self._loaded.clear()
