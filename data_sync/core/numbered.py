"""Differences in the order in which they would be written, found by number, key and primary key."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .scratch import marks
from .states import Operation

BATCH = 400
_COLUMNS = "number, model, operation, key, previous_key, base, here_digest, here_at, there_at"
_TABLES = """
CREATE TABLE numbered (number INTEGER PRIMARY KEY, id INTEGER NOT NULL);
INSERT INTO numbered (id) SELECT id FROM difference
    ORDER BY operation = 'delete', CASE operation WHEN 'delete' THEN -model ELSE model END, key;
CREATE UNIQUE INDEX by_id ON numbered (id);
CREATE INDEX by_pk ON difference (model, pk);
CREATE INDEX by_previous ON difference (model, previous_key) WHERE previous_key IS NOT NULL;
CREATE TABLE change (number INTEGER PRIMARY KEY, row TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A difference with its number. `here_at` and `there_at` are the offsets of both records in their spools."""

    number: int
    model: int
    operation: str
    key: str
    previous_key: str | None
    base: bytes | None
    here_digest: bytes | None
    here_at: int | None
    there_at: int | None


class NumberedDifferences:
    """Writes in the order of models and keys, then deletes with the models in reverse. Also keeps a text for each."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.executescript(_TABLES)

    def __len__(self) -> int:
        (count,) = self._database.execute("SELECT COUNT(*) FROM numbered").fetchone()
        return int(count)

    def counts(self) -> dict[tuple[int, str], int]:
        """How many there are by model and operation."""
        rows = self._database.execute("SELECT model, operation, COUNT(*) FROM difference GROUP BY 1, 2")
        return {(model, operation): count for model, operation, count in rows}

    def entries(self, *operations: Operation, size: int = BATCH) -> Iterator[list[Entry]]:
        """All, or those of some operations, in the order of their numbers, in batches."""
        chosen = f"AND operation IN ({marks(operations)})" if operations else ""
        last = 0
        while True:
            rows = self._database.execute(
                f"SELECT {_COLUMNS} FROM numbered JOIN difference USING (id) WHERE number > ? {chosen}"
                " ORDER BY number LIMIT ?",
                (last, *(operation.value for operation in operations), size),
            ).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            yield [Entry(*row) for row in rows]

    def by_key(self, model: int, keys: Sequence[str]) -> dict[str, Entry]:
        return self._by("key", 3, model, keys)

    def by_previous_key(self, model: int, keys: Sequence[str]) -> dict[str, Entry]:
        """Renames, by the key that the row has now."""
        return self._by("previous_key", 4, model, keys)

    def by_pk(self, model: int, pks: Sequence[str]) -> dict[str, Entry]:
        """By the JSON of the local row's primary key."""
        found: dict[str, Entry] = {}
        for start in range(0, len(pks), BATCH):
            some = pks[start : start + BATCH]
            rows = self._database.execute(
                f"SELECT {_COLUMNS}, pk FROM difference JOIN numbered USING (id)"
                f" WHERE model = ? AND pk IN ({marks(some)})",
                (model, *some),
            )
            found |= {row[-1]: Entry(*row[:-1]) for row in rows}
        return found

    def _by(self, column: str, place: int, model: int, keys: Sequence[str]) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for start in range(0, len(keys), BATCH):
            some = keys[start : start + BATCH]
            rows: Iterable[tuple[Any, ...]] = self._database.execute(
                f"SELECT {_COLUMNS} FROM difference JOIN numbered USING (id)"
                f" WHERE model = ? AND {column} IN ({marks(some)})",
                (model, *some),
            )
            found |= {row[place]: Entry(*row) for row in rows}
        return found

    # Changes that wait to be stored

    def keep(self, rows: Iterable[tuple[int, str]]) -> None:
        """Keeps a text for each number."""
        self._database.executemany("INSERT INTO change VALUES (?, ?)", rows)

    def kept(self) -> Iterator[str]:
        """The kept texts in the order of their numbers."""
        return (row for (row,) in self._database.execute("SELECT row FROM change ORDER BY number"))
