"""What is said of a write whose unique values another row has, or another write wants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from data_sync.orm.limits import Problem, problem
from data_sync.registry.unique_sets import UniqueSet

from .comparison import Sides
from .holding import Fate, Holder


def held_by(sides: Sides, unique: UniqueSet, holder: Holder, *, is_exact: bool) -> Iterator[Problem]:
    """The problem with a row here that has the values; none where it lets go of them in time.

    `is_exact`: they are the very values, not only equal ones by the collation.
    """
    name, what, column = sides.record.name, " and ".join(unique.names), unique.names[0]
    match holder.fate:
        case Fate.CAN_GO_FIRST:
            return
        case Fate.CHANGES_TOO_LATE:
            yield problem(
                "unique_exchange",
                column,
                f"{name} takes {what} from {holder.name}, which takes another: both cannot be written one after the "
                "other, and no column of these can hold another value meanwhile. Make one of them nullable, or clear "
                f"it here in {holder.name} first.",
            )
        case Fate.GOES_TOO_LATE:
            yield problem(
                "unique_exchange",
                column,
                f"{name} takes {what} from {holder.name}, which is deleted only after what refers to it has been moved "
                "or deleted, and no column of these can hold another value meanwhile. Move here what refers to "
                f"{holder.name}, or make a column of these nullable; then pull again.",
            )
        case Fate.KEEPS:
            equal = "is" if is_exact else "is, for the collation of this database,"
            yield problem(
                "unique_collision",
                column,
                f"{what} of {name} {equal} that of {holder.name} here, which keeps it; the database allows it once. "
                "Change one of the two.",
            )
        case _:
            assert_never(holder.fate)


def wanted_by(sides: Sides, unique: UniqueSet, other: Sides) -> Problem:
    """The problem with another write that wants the values, too."""
    return problem(
        "unique_collision",
        unique.names[0],
        f"{' and '.join(unique.names)} of {sides.record.name} would be that of {other.record.name} too "
        f"(#{other.entry.number}), which these changes write as well; the database here allows it once. Change one of "
        "the two at the source.",
    )
