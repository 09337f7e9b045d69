"""How many different values there are, counted in bounded memory, however many there are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from .scratch import open_scratch

_TABLES = "CREATE TABLE one (name TEXT NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (name, value)) WITHOUT ROWID;"


class Distinct:
    """Values by name, each counted once, in a private file. Told apart by the first 8 bytes of their hash."""

    def __init__(self, folder: str | None) -> None:
        self._file = open_scratch(folder, _TABLES)

    def close(self) -> None:
        self._file.close()

    def add(self, values: Iterable[tuple[str, str]]) -> None:
        """Pairs of a name and a value."""
        hashed = ((name, _hash(value)) for name, value in values)
        self._file.executemany("INSERT OR IGNORE INTO one VALUES (?, ?)", hashed)

    def counts(self) -> dict[str, int]:
        """How many different values each name has, by name."""
        return dict(self._file.execute("SELECT name, COUNT(*) FROM one GROUP BY name ORDER BY name"))


def _hash(value: str) -> int:
    return int.from_bytes(hashlib.sha256(value.encode()).digest()[:8], signed=True)
