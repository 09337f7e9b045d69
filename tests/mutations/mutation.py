"""One guard, and how it is switched off."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """`guard` says what is switched off, by putting `off` in place of the only `on` in the file `path`. `tests` are
    what runs then: files or tests, as pytest is told of them; one of them has to fail."""

    guard: str
    path: str
    on: str
    off: str
    tests: tuple[str, ...]

    def applied_to(self, text: str) -> str:
        """The text of the file with the guard switched off. Raises `ValueError` where it does not stand there once."""
        found = text.count(self.on)
        if found != 1:
            raise ValueError(f"{self.guard}: {self.on!r} stands {found} times in {self.path}, not once.")
        return text.replace(self.on, self.off)
