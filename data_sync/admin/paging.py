"""Keyset pages of changes: page 2,000 costs what page 1 costs, and a decision moves no change to another page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from data_sync.core.states import Operation
from data_sync.models import Change

PAGE = 50
ORDER = (Operation.DELETE, Operation.UPDATE, Operation.CREATE)
"""The order of review: what can do harm first. `services.review.select` orders like this, too."""


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
        changes = changes.filter(_beyond(after, ORDER))
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
    return f"{row.operation}-{row.number}"


def _place(token: str) -> tuple[Operation, int] | None:
    name, _, number = token.partition("-")
    if name in list(Operation) and number.isascii() and number.isdigit() and len(number) < 10:
        return Operation(name), int(number)
    return None


def _beyond(place: tuple[Operation, int], order: tuple[Operation, ...]) -> Q:
    operation, number = place
    later = order[order.index(operation) + 1 :]
    return Q(operation=operation, number__gt=number) | Q(operation__in=later)


def _short_of(place: tuple[Operation, int]) -> Q:
    operation, number = place
    return Q(operation=operation, number__lt=number) | Q(operation__in=ORDER[: ORDER.index(operation)])
