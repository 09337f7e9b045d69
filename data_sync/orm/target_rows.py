"""The rows that references of records lead to, looked up in batches and remembered while rows are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from data_sync.core.errors import RecordError

from .references import KeyText, RowsOfKeys
from .schema import ModelSchema
from .tables import table

REMEMBERED = 50_000
"""With more keys of one model than that, those of a new batch are all looked up anew."""

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

    def begin(self) -> None:
        """Begins a batch: what is looked up from here on stays known until the next one begins."""
        self._rows = {place: rows for place, rows in self._rows.items() if rows.size() <= REMEMBERED}

    def load(self, schema: ModelSchema, column: str, texts: Iterable[KeyText]) -> None:
        """Looks these keys up, unless they are known."""
        place, wanted = (schema.label, column), list(texts)
        if place not in self._rows:
            self._rows[place] = RowsOfKeys(schema, column, self._using)
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
