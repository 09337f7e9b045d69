"""Showing on a terminal how far a pull has come, while the same process works on it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from django.db import DatabaseError, connection

from data_sync.models import DataPull
from data_sync.services.progress import Progress, progress

from .text.words import line

SECONDS = 0.5


@contextmanager
def shown(pull: DataPull, terminal: TextIO | None) -> Iterator[None]:
    """Shows a pull's progress while the block runs, on one line that is gone afterwards."""
    if terminal is None:
        yield
        return
    done = threading.Event()
    thread = threading.Thread(target=_watch, args=(pull, terminal, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        _write(terminal, "")


@contextmanager
def counted(terminal: TextIO | None, what: str) -> Iterator[Callable[[int], None]]:
    """What the block calls is told how many there are by now, and shows it on one line that is gone afterwards."""
    if terminal is None:
        yield lambda number: None
        return
    try:
        yield lambda number: _write(terminal, f"{number:,} {what} …")
    finally:
        _write(terminal, "")


def _watch(pull: DataPull, terminal: TextIO, done: threading.Event) -> None:
    _write(terminal, f"Pull {pull.pk} of {line(pull.source_name)} …")
    while not done.wait(SECONDS):
        try:
            now = DataPull.objects.select_related("heartbeat").get(pk=pull.pk)
        except (DatabaseError, DataPull.DoesNotExist):
            continue  # SQLite is being written to; the next look will do.
        _write(terminal, f"Pull {pull.pk} of {line(pull.source_name)}: {now.state}{steps_text(progress(now))} …")
    connection.close()


def steps_text(seen: Progress) -> str:
    """` 400 of 8,120 rows`, with what is known of it."""
    if not seen.phase:
        return ""
    total = f" of {seen.total:,}" if seen.total else ""
    return f" {seen.done:,}{total} {seen.phase}"


def _write(terminal: TextIO, text: str) -> None:
    """Replaces the line; ESC [K clears what the last one was longer by."""
    terminal.write(f"\r{text[:79]}\x1b[K")
    terminal.flush()
