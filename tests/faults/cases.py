"""The table: at which points which fault is made, on which database."""

from __future__ import annotations

from dataclasses import dataclass

from . import points

STEPS = ("pull", "approve", "apply")
ONE_IN = 4
"""Of so many cases, one is in the sample of a database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`fault`: killed, cut off (from the database), full, broken (a storage) or paused. `place`: what is full."""

    fault: str
    step: str
    point: str
    place: str = ""

    def __str__(self) -> str:
        return f"{self.step}: {self.point}" + (f" ({self.place})" if self.place else "")


KILLED = [Case(fault="killed", step=step, point=point) for step in STEPS for point in points.names(step)]
CUT_OFF = [
    Case(fault="cut off", step=step, point=point)
    for step, point in (
        ("pull", "mid-body"),
        ("pull", "mid-file"),
        ("pull", "mid-compare"),
        ("pull", "before commit"),
        ("approve", "before commit"),
        ("apply", "claimed"),
        ("apply", "mid-promotion"),
        ("apply", "files done"),
        ("apply", "first write"),
        ("apply", "middle write"),
        ("apply", "last write"),
        ("apply", "audit, before commit"),
    )
]
FULL = [
    Case(fault="full", step=step, point=point, place=place)
    for step, point, place in (
        ("pull", "mid-body", "spool"),
        ("pull", "mid-file", "spool"),
        ("pull", "mid-file", "staging"),
        ("pull", "staged, before row", "staging"),
        ("pull", "mid-compare", "database"),
        ("apply", "claimed", "media"),
        ("apply", "mid-promotion", "media"),
        ("apply", "first write", "database"),
        ("apply", "middle write", "database"),
    )
]
BROKEN = [
    Case(fault="broken", step=step, point=point)
    for step, point in (
        ("pull", "mid-file"),
        ("pull", "staged, before row"),
        ("apply", "claimed"),
        ("apply", "mid-promotion"),
    )
]
PAUSED = [
    Case(fault="paused", step=step, point=point)
    for step, point in (
        ("pull", "mid-body"),
        ("pull", "mid-file"),
        ("pull", "mid-compare"),
        ("apply", "claimed"),
        ("apply", "before promotion"),
        ("apply", "mid-promotion"),
        ("apply", "files done"),
    )
]


def of(database: str) -> list[Case]:
    """All cases of a database: its transactions are what all of them are about, MariaDB's just as PostgreSQL's."""
    match database:
        case "postgresql":
            return [*KILLED, *CUT_OFF, *FULL, *BROKEN, *PAUSED]
        case "sqlite":
            return [*KILLED, *FULL, *BROKEN, *PAUSED]
        case _:
            return KILLED


def sample(database: str) -> list[Case]:
    """Those that run unasked."""
    offset = {"mariadb": 1, "sqlite": 2, "postgresql": 3}[database]
    return of(database)[offset::ONE_IN]
