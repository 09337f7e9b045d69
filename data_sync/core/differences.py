"""What differs between two sides, kept in a private SQLite file while a pull works on it.

SQLite sorts, looks up and counts here in bounded memory, however many differences there are.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .compare import Difference
from .states import Operation

BATCH = 400
_CACHE_KIB = 8192
_TABLES = """
CREATE TABLE difference (
    id INTEGER PRIMARY KEY, model INTEGER NOT NULL, operation TEXT NOT NULL, key_hash BLOB NOT NULL,
    here_digest BLOB, here_place INTEGER, there_digest BLOB, there_place INTEGER, base BLOB,
    here_at INTEGER, there_at INTEGER, key TEXT, previous_key TEXT, pk TEXT, likeness BLOB);
CREATE TABLE numbered (number INTEGER PRIMARY KEY, id INTEGER NOT NULL);
CREATE TABLE change (number INTEGER PRIMARY KEY, row TEXT NOT NULL);
"""
_COLUMNS = "number, model, operation, key, previous_key, base, here_digest, here_at, there_at"


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


@dataclass(frozen=True, slots=True)
class Unnumbered:
    """A difference, before all are numbered, by its `id`."""

    id: int
    operation: str
    key: str
    here_at: int | None
    there_at: int | None
    there_digest: bytes | None


class Differences:
    """The differences of some models, which go by their place in dependency order. Close it at the end."""

    def __init__(self, folder: str | None) -> None:
        handle, path = tempfile.mkstemp(prefix="data_sync_", dir=folder)
        os.close(handle)
        self._path = path
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;"
            f"PRAGMA cache_size = -{_CACHE_KIB};" + _TABLES
        )
        with suppress(OSError):
            os.unlink(path)  # It lives on while it is open, and nothing is left if this process is killed.

    def close(self) -> None:
        self._database.close()
        with suppress(OSError):
            os.unlink(self._path)  # Where an open file cannot be unlinked.

    # Filling

    def add(self, model: int, found: Iterable[Difference]) -> None:
        self._database.executemany(
            "INSERT INTO difference (model, operation, key_hash, here_digest, here_place, there_digest, there_place, base)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (model, _operation(one), one.key, one.here, one.here_place, one.there, one.there_place, one.base)
                for one in found
            ),
        )

    def index_hashes(self) -> None:
        self._database.execute("CREATE INDEX by_hash ON difference (model, key_hash)")

    def unread(self, model: int, side: int) -> int:
        """How many rows of a model have a row on a side whose record has not been read."""
        column = _SIDES[side]
        (count,) = self._database.execute(
            f"SELECT COUNT(*) FROM difference WHERE model = ? AND {column}_place IS NOT NULL AND {column}_at IS NULL",
            (model,),
        ).fetchone()
        return int(count)

    def places(self, model: int, side: int) -> Iterator[int]:
        """The places of the records to read of a model on a side, ascending."""
        column = _SIDES[side]
        rows = self._database.execute(
            f"SELECT {column}_place FROM difference WHERE model = ? AND {column}_place IS NOT NULL ORDER BY 1", (model,)
        )
        return (place for (place,) in rows)

    def wanted(self, model: int, side: int, keys: Sequence[bytes]) -> dict[bytes, tuple[int, bytes]]:
        """By key hash, of these, those whose record is to be read on a side: id and digest."""
        column, found = _SIDES[side], {}
        for start in range(0, len(keys), BATCH):
            some = keys[start : start + BATCH]
            for key, *rest in self._database.execute(
                f"SELECT key_hash, id, {column}_digest FROM difference"
                f" WHERE model = ? AND {column}_place IS NOT NULL AND key_hash IN ({_marks(some)})",
                (model, *some),
            ):
                found[key] = (rest[0], rest[1])
        return found

    def note_read(self, side: int, rows: Iterable[tuple[int, int, str, str | None]]) -> None:
        """Where records were put: id, offset, key, and the JSON of the primary key on the local side."""
        column = _SIDES[side]
        self._database.executemany(
            f"UPDATE difference SET {column}_at = ?2, key = ?3, pk = coalesce(?4, pk) WHERE id = ?1", rows
        )

    def note_places(self, side: int) -> None:
        """Where places are offsets already, as after a whole stream."""
        self._database.execute(f"UPDATE difference SET {_SIDES[side]}_at = {_SIDES[side]}_place")

    # Reworking, before they are numbered

    def of_model(self, model: int, operations: Sequence[Operation]) -> Iterator[Unnumbered]:
        rows = self._database.execute(
            "SELECT id, operation, key, here_at, there_at, there_digest FROM difference"
            f" WHERE model = ? AND operation IN ({_marks(operations)}) ORDER BY id",
            (model, *(operation.value for operation in operations)),
        )
        return (Unnumbered(*row) for row in rows.fetchall())

    def count(self, model: int, operation: Operation) -> int:
        (count,) = self._database.execute(
            "SELECT COUNT(*) FROM difference WHERE model = ? AND operation = ?", (model, operation.value)
        ).fetchone()
        return int(count)

    def with_key(self, model: int, key: str, operation: Operation) -> Unnumbered | None:
        row = self._database.execute(
            "SELECT id, operation, key, here_at, there_at, there_digest FROM difference"
            " WHERE model = ? AND key = ? AND operation = ?",
            (model, key, operation.value),
        ).fetchone()
        return None if row is None else Unnumbered(*row)

    def drop(self, *ids: int) -> None:
        self._database.executemany("DELETE FROM difference WHERE id = ?", [(one,) for one in ids])

    def rewrite(self, of: int, operation: Operation, key: str, previous_key: str | None, there: Unnumbered) -> None:
        """Makes of a difference another operation, with the record that `there` has at the source, and drops `there`."""
        self._database.execute(
            "UPDATE difference SET operation = ?, key = ?, previous_key = ?, there_at = ?, there_digest = ? WHERE id = ?",
            (operation.value, key, previous_key, there.there_at, there.there_digest, of),
        )
        if there.id != of:
            self.drop(there.id)

    def note_likeness(self, rows: Iterable[tuple[bytes, int]]) -> None:
        """What a row is but for its key, as a digest, and its id."""
        self._database.executemany("UPDATE difference SET likeness = ? WHERE id = ?", rows)

    def alike(self, model: int) -> list[tuple[int, int]]:
        """Ids of a delete and a create that are alike, where no other row of theirs is like them."""
        return self._database.execute(
            "SELECT MIN(CASE operation WHEN 'delete' THEN id END), MIN(CASE operation WHEN 'create' THEN id END)"
            " FROM difference WHERE model = ? AND likeness IS NOT NULL GROUP BY likeness"
            " HAVING COUNT(*) = 2 AND COUNT(DISTINCT operation) = 2 ORDER BY 2",
            (model,),
        ).fetchall()

    def get(self, one: int) -> Unnumbered:
        return Unnumbered(
            *self._database.execute(
                "SELECT id, operation, key, here_at, there_at, there_digest FROM difference WHERE id = ?", (one,)
            ).fetchone()
        )

    # Numbered

    def index_keys(self) -> None:
        self._database.execute("CREATE INDEX by_key ON difference (model, key)")

    def number(self) -> None:
        """Numbers them: writes in the order of models and keys, then deletes with the models in reverse."""
        self._database.executescript(
            """
            INSERT INTO numbered (id)
            SELECT id FROM difference
            ORDER BY operation = 'delete', CASE operation WHEN 'delete' THEN -model ELSE model END, key;
            CREATE UNIQUE INDEX by_id ON numbered (id);
            CREATE INDEX by_pk ON difference (model, pk);
            CREATE INDEX by_previous ON difference (model, previous_key) WHERE previous_key IS NOT NULL;
            """
        )

    def __len__(self) -> int:
        (count,) = self._database.execute("SELECT COUNT(*) FROM numbered").fetchone()
        return int(count)

    def counts(self) -> dict[tuple[int, str], int]:
        """How many there are by model and operation."""
        rows = self._database.execute("SELECT model, operation, COUNT(*) FROM difference GROUP BY 1, 2")
        return {(model, operation): count for model, operation, count in rows}

    def entries(self, *operations: Operation, size: int = BATCH) -> Iterator[list[Entry]]:
        """All, or those of some operations, in the order of their numbers, in batches."""
        chosen = f"AND operation IN ({_marks(operations)})" if operations else ""
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
                f"SELECT {_COLUMNS}, pk FROM difference JOIN numbered USING (id) WHERE model = ? AND pk IN ({_marks(some)})",
                (model, *some),
            )
            found |= {row[-1]: Entry(*row[:-1]) for row in rows}
        return found

    def pks(self, model: int, operation: Operation) -> Iterator[tuple[int, str]]:
        """Number, and JSON of the local primary key."""
        return iter(
            self._database.execute(
                "SELECT number, pk FROM difference JOIN numbered USING (id) WHERE model = ? AND operation = ? ORDER BY 1",
                (model, operation.value),
            ).fetchall()
        )

    def _by(self, column: str, place: int, model: int, keys: Sequence[str]) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for start in range(0, len(keys), BATCH):
            some = keys[start : start + BATCH]
            rows: Iterable[tuple[Any, ...]] = self._database.execute(
                f"SELECT {_COLUMNS} FROM difference JOIN numbered USING (id) WHERE model = ? AND {column} IN ({_marks(some)})",
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


_SIDES = ("here", "there")


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


def _operation(difference: Difference) -> str:
    if difference.here is None:
        return Operation.CREATE.value
    return (Operation.DELETE if difference.there is None else Operation.UPDATE).value
