"""How a step tells how far it has come, and how others read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from data_sync.models import Changeset, DataPull

Advance: TypeAlias = Callable[[int], None]
"""Told of so many more done. It may raise, which ends the step."""


def silent(steps: int) -> None:
    """For steps that nobody follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """`done` of `total` steps of a phase; `total` 0 where it is not known, `phase` "" where none has begun.

    Phases of a pull: rows, files, changes; of an apply: files, checking, writing, reading back.
    """

    phase: str = ""
    done: int = 0
    total: int = 0


def progress(work: DataPull | Changeset) -> Progress:
    """How far a pull or an apply is, as of its worker's latest heartbeat."""
    beat = getattr(work, "heartbeat", None)
    return Progress() if beat is None else Progress(phase=beat.phase, done=beat.done, total=beat.total)
