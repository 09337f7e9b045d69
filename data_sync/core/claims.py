"""Who has claimed which values, kept in a private SQLite file: bounded memory, however many there are."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator

from .scratch import marks, open_scratch

AT_ONCE = 500
_TABLES = "CREATE TABLE claim (value INTEGER NOT NULL, name TEXT NOT NULL); CREATE INDEX by_value ON claim (value);"


class Claims:
    """Values by the hash of a text that stands for them, with the name of each who claims them."""

    def __init__(self, folder: str | None) -> None:
        self._file = open_scratch(folder, _TABLES)

    def close(self) -> None:
        self._file.close()

    def add(self, claims: Iterable[tuple[str, str]]) -> None:
        self._file.executemany("INSERT INTO claim VALUES (?, ?)", ((_hash(text), name) for text, name in claims))

    def of(self, texts: Collection[str]) -> Iterator[tuple[str, str]]:
        """The claims on these values, and rarely on another with the same hash."""
        by_hash: dict[int, list[str]] = {}
        for text in dict.fromkeys(texts):
            by_hash.setdefault(_hash(text), []).append(text)
        hashes = list(by_hash)
        for start in range(0, len(hashes), AT_ONCE):
            batch = hashes[start : start + AT_ONCE]
            found = self._file.execute(f"SELECT value, name FROM claim WHERE value IN ({marks(batch)})", batch)
            for value, name in found.fetchall():
                yield from ((text, name) for text in by_hash[value])


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], signed=True)
