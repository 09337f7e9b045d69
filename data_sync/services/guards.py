"""Guards: what of a changeset's deletes a person has to say yes to, before anybody may approve it.

The rules are pure, over counts of the very rows that were compared, and one function for every way in which a
changeset comes to be. They are monotone: with more deletes, more rows along or fewer rows at the source, what was held
back stays held back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

REMEDY = "If that is right, override the guards and say why; if not, mend the source and pull again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How many of a model's rows may go unasked: at most `rows`, and at most `percent` of those here."""

    rows: int
    percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a source: `default`, and those of some models by label."""

    default: Limit
    models: Mapping[str, Limit] = field(default_factory=dict)

    def of(self, label: str) -> Limit:
        return self.models.get(label, self.default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of one model, as a changeset found and leaves them.

    `here` and `there` are those in scope on either side. `deletes` are those proposed to go, also those that the
    source still has out of scope; a rename is none, however it is written, as its row is here afterwards and takes
    nothing along. `along` are rows that deletes of others would take, and that are no changes themselves: of models
    that are not registered or not compared, or out of scope.
    """

    label: str
    here: int = 0
    there: int = 0
    deletes: int = 0
    along: int = 0


def guards_of(models: Iterable[Rows], limits: Limits) -> list[dict[str, Any]]:
    """Why a changeset has to wait for a person: `code`, `model`, `message`, `counts` and `limit` (None: none at all
    may go) of each guard that holds it. Empty where nothing does."""
    return [guard for rows in models for guard in _guards(rows, limits.of(rows.label))]


def reason_of(guards: Collection[Mapping[str, Any]]) -> str:
    """Why the changeset is blocked, and what to do; "" without guards."""
    return " ".join([*(guard["message"] for guard in guards), REMEDY]) if guards else ""


def _guards(rows: Rows, limit: Limit) -> Iterator[dict[str, Any]]:
    if rows.deletes and not rows.there:
        yield _guard("empty_side", rows, None, f"The source has no rows of {rows.label}; here there are {rows.here}.")
    # Of an empty side, all go: a share says nothing more.
    elif rows.deletes * 100 > limit.percent * rows.here:
        yield _guard(
            "too_many_deletes_percent",
            rows,
            limit.percent,
            f"{rows.deletes} of {rows.here} rows of {rows.label} ({share(rows.deletes, rows.here, limit.percent)}) "
            f"would be deleted; the limit is {limit.percent} %.",
        )
    if rows.deletes > limit.rows:
        yield _guard(
            "too_many_deletes",
            rows,
            limit.rows,
            f"{rows.deletes} rows of {rows.label} would be deleted; the limit is {limit.rows}.",
        )
    if rows.along:
        yield _guard(
            "unregistered_cascade",
            rows,
            None,
            f"{rows.along} {'row' if rows.along == 1 else 'rows'} of {rows.label} would be deleted along with others, "
            f"and the source says nothing about them.",
        )


def share(part: int, whole: int, limit: int) -> str:
    """A share in whole percent; one that is hardly over the limit says that it is over it."""
    percent = part * 100 // whole if whole else 100
    return f"over {limit} %" if percent == limit else f"{percent} %"


def _guard(code: str, rows: Rows, limit: int | None, message: str) -> dict[str, Any]:
    counts = {"here": rows.here, "there": rows.there, "deletes": rows.deletes, "along": rows.along}
    return {"code": code, "model": rows.label, "message": message, "counts": counts, "limit": limit}
