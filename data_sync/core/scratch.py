"""Private SQLite files: they sort, look up and count in bounded memory, and go with the process."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

CACHE_KIB = 8192


def open_scratch(folder: str | None, tables: str) -> sqlite3.Connection:
    """A new database in a folder (None: the system's temporary one), with tables.

    Its file loses its name at once: it lives while the connection is open, and nothing is left if this process is
    killed. What is written is not synced and not journalled.
    """
    handle, path = tempfile.mkstemp(prefix="data_sync_", dir=folder)
    os.close(handle)
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode = OFF")  # The first that opens the file.
    with suppress(OSError):  # Where an open file cannot be unlinked.
        os.unlink(path)
    database.executescript(
        f"PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -{CACHE_KIB};" + tables
    )
    return database


def marks(values: Sequence[Any]) -> str:
    """Placeholders for values in a list of SQL."""
    return ", ".join("?" * len(values))
