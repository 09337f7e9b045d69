"""Keyset pages of changes: page 2,000 costs what page 1 costs, and a decision moves no change to another page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from data_sync.core.states import Operation
from data_sync.models import Change

PAGE = 50
CONFLICT = "conflict"
ORDER = (CONFLICT, Operation.DELETE, Operation.UPDATE, Operation.RENAME, Operation.CREATE)
"""The order of review: conflicts, whatever they do, then what can do harm; as `services.review.select` has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some changes, and the URL parameters of the pages round them; empty where there is none."""

    changes: list[Change]
    first: dict[str, str] | None = None
    previous: dict[str, str] | None = None
    next: dict[str, str] | None = None
    last: dict[str, str] | None = None

    @property
    def is_only(self) -> bool:
        return self.previous is None and self.next is None


def page_of(changes: QuerySet[Change], query: Mapping[str, str], size: int = PAGE) -> Page:
    """The stretch that `after`, `before` or `last` asks for, in one query; the first one otherwise."""
    after, before = _place(query.get("after", "")), _place(query.get("before", ""))
    backwards = before is not None or "last" in query
    if after is not None and not backwards:
        changes = changes.filter(_beyond(after))
    elif before is not None:
        changes = changes.filter(_short_of(before))
    rows: list[Any] = list((changes.reverse() if backwards else changes)[: size + 1])
    more = len(rows) > size
    del rows[size:]
    if backwards:
        rows.reverse()
    earlier = more if backwards else after is not None
    later = more if not backwards else before is not None
    return Page(
        changes=rows,
        first={} if earlier else None,
        previous={"before": _token(rows[0])} if earlier and rows else None,
        next={"after": _token(rows[-1])} if later and rows else None,
        last={"last": "1"} if later else None,
    )


def _token(row: Change) -> str:
    return f"{CONFLICT if row.is_conflict else row.operation}-{row.number}"


def _place(token: str) -> tuple[str, int] | None:
    name, _, number = token.partition("-")
    if name in ORDER and number.isascii() and number.isdigit() and len(number) < 10:
        return name, int(number)
    return None


def _groups(names: Sequence[str]) -> Q:
    """The changes that stand in these parts of the order; none for no part."""
    others = Q(is_conflict=False, operation__in=[name for name in names if name != CONFLICT])
    return Q(is_conflict=True) | others if CONFLICT in names else others


def _beyond(place: tuple[str, int]) -> Q:
    name, number = place
    return (_groups([name]) & Q(number__gt=number)) | _groups(ORDER[ORDER.index(name) + 1 :])


def _short_of(place: tuple[str, int]) -> Q:
    name, number = place
    return (_groups([name]) & Q(number__lt=number)) | _groups(ORDER[: ORDER.index(name)])
