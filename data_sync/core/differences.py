"""What differs between two sides, kept in a private SQLite file while a pull works on it.

It sorts, looks up and counts there, in bounded memory, however many differences there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .compare import Difference
from .numbered import NumberedDifferences
from .scratch import marks, open_scratch
from .states import Operation

BATCH = 400
PAGE = 400
_TABLES = """
CREATE TABLE difference (
    id INTEGER PRIMARY KEY, model INTEGER NOT NULL, operation TEXT NOT NULL, key_hash BLOB NOT NULL,
    here_digest BLOB, here_place INTEGER, there_digest BLOB, there_place INTEGER, base BLOB,
    here_at INTEGER, there_at INTEGER, key TEXT, previous_key TEXT, pk TEXT, likeness BLOB);
CREATE TABLE gone (model INTEGER, key_hash BLOB, base BLOB NOT NULL, PRIMARY KEY (model, key_hash)) WITHOUT ROWID;
"""
_UNNUMBERED = "SELECT id, operation, key, base, here_at, there_at, there_digest FROM difference"


@dataclass(frozen=True, slots=True)
class Unnumbered:
    """A difference, before all are numbered, by its `id`."""

    id: int
    operation: str
    key: str
    base: bytes | None
    here_at: int | None
    there_at: int | None
    there_digest: bytes | None


class Differences:
    """The differences of some models, which go by their place in dependency order. Close it at the end."""

    def __init__(self, folder: str | None) -> None:
        self._database = open_scratch(folder, _TABLES)

    def close(self) -> None:
        self._database.close()

    # Filling

    def add(self, model: int, found: Iterable[Difference]) -> None:
        self._database.executemany(
            "INSERT INTO difference (model, operation, key_hash, here_digest, here_place, there_digest, there_place,"
            " base) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (model, _operation(one), one.key, one.here, one.here_place, one.there, one.there_place, one.base)
                for one in found
            ),
        )

    def add_gone(self, model: int, bases: Mapping[bytes, bytes]) -> None:
        """What both sides agreed on, by key hash, of rows that neither has any more under their keys."""
        self._database.executemany("INSERT INTO gone VALUES (?, ?, ?)", ((model, *pair) for pair in bases.items()))

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
                f" WHERE model = ? AND {column}_place IS NOT NULL AND key_hash IN ({marks(some)})",
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

    # Reworking, before they are numbered

    def of_model(self, model: int, operations: Sequence[Operation]) -> Iterator[Unnumbered]:
        """Those of some operations. Rows may be dropped and rewritten on the way."""
        last = 0
        while True:
            rows = self._database.execute(
                f"{_UNNUMBERED} WHERE model = ? AND id > ? AND operation IN ({marks(operations)}) ORDER BY id LIMIT ?",
                (model, last, *(operation.value for operation in operations), PAGE),
            ).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            yield from (Unnumbered(*row) for row in rows)

    def count(self, model: int, operation: Operation) -> int:
        (count,) = self._database.execute(
            "SELECT COUNT(*) FROM difference WHERE model = ? AND operation = ?", (model, operation.value)
        ).fetchone()
        return int(count)

    def with_key(self, model: int, key: str, operation: Operation) -> Unnumbered | None:
        row = self._database.execute(
            f"{_UNNUMBERED} WHERE model = ? AND key = ? AND operation = ?",
            (model, key, operation.value),
        ).fetchone()
        return None if row is None else Unnumbered(*row)

    def drop(self, *ids: int) -> None:
        self._database.executemany("DELETE FROM difference WHERE id = ?", [(one,) for one in ids])

    def drop_all(self, model: int, operation: Operation) -> int:
        """Drops a model's of one operation; gives how many they were."""
        return self._database.execute(
            "DELETE FROM difference WHERE model = ? AND operation = ?", (model, operation.value)
        ).rowcount

    def rewrite(self, of: int, operation: Operation, key: str, previous_key: str | None, there: Unnumbered) -> None:
        """Makes of a difference another operation, with the record that `there` has at the source; drops `there`."""
        self._database.execute(
            "UPDATE difference SET operation = ?, key = ?, previous_key = ?, there_at = ?, there_digest = ?,"
            " likeness = NULL WHERE id = ?",
            (operation.value, key, previous_key, there.there_at, there.there_digest, of),
        )
        if there.id != of:
            self.drop(there.id)

    def has_gone(self, model: int) -> bool:
        """Whether `gone_base` knows any row of a model."""
        return bool(self._database.execute("SELECT 1 FROM gone WHERE model = ? LIMIT 1", (model,)).fetchone())

    def gone_base(self, model: int, key: bytes) -> bytes | None:
        """What was agreed on of a row that neither side has any more under its key, given as its hash."""
        row = self._database.execute("SELECT base FROM gone WHERE model = ? AND key_hash = ?", (model, key)).fetchone()
        return None if row is None else row[0]

    def note_base(self, of: int, base: bytes, previous_key: str) -> None:
        """What was agreed on of the row of a difference, under the key that it had here."""
        self._database.execute(
            "UPDATE difference SET base = ?, previous_key = ? WHERE id = ?", (base, previous_key, of)
        )

    def note_likeness(self, rows: Iterable[tuple[bytes | None, int]]) -> None:
        """What a row is but for its key, as a digest, and its id."""
        self._database.executemany("UPDATE difference SET likeness = ? WHERE id = ?", rows)

    def alike(self, model: int) -> Iterator[tuple[int, int]]:
        """Ids of a delete and a create that are alike, where no other row of theirs is like them.

        Rows may be dropped and rewritten on the way, but be given no other likeness.
        """
        self._database.execute(
            "CREATE INDEX IF NOT EXISTS by_likeness ON difference (model, likeness, operation)"
            " WHERE likeness IS NOT NULL"
        )
        last = b""
        while True:
            rows = self._database.execute(
                "SELECT likeness, MIN(CASE operation WHEN 'delete' THEN id END),"
                " MIN(CASE operation WHEN 'create' THEN id END) FROM difference"
                " WHERE model = ? AND likeness > ? AND operation IN ('delete', 'create') GROUP BY likeness"
                " HAVING COUNT(*) = 2 AND COUNT(DISTINCT operation) = 2 ORDER BY likeness LIMIT ?",
                (model, last, PAGE),
            ).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            yield from ((gone, new) for _, gone, new in rows)

    def get(self, one: int) -> Unnumbered:
        return Unnumbered(*self._database.execute(f"{_UNNUMBERED} WHERE id = ?", (one,)).fetchone())

    # Done

    def index_keys(self) -> None:
        self._database.execute("CREATE INDEX by_key ON difference (model, key)")

    def numbered(self) -> NumberedDifferences:
        """All of them, numbered."""
        return NumberedDifferences(self._database)


_SIDES = ("here", "there")


def _operation(difference: Difference) -> str:
    if difference.here is None:
        return Operation.CREATE.value
    return (Operation.DELETE if difference.there is None else Operation.UPDATE).value
