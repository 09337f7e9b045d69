"""What a delete would take along: computed as Django's deletion collector would, and shown first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import models

from .referring import Cascade, Effect, Referring, Row
from .tables import lock

__all__ = ["Cascade", "Effect", "Reach", "Row", "reach_of"]


@dataclass(slots=True)
class Reach:
    """What deleting one root row reaches.

    `cascades` would be written or deleted, `obstacles` stand in the way (PROTECT, DO_NOTHING, and RESTRICT
    where the row that restricts would stay), `apart` are roots themselves or were spared, and have to be
    dealt with first.
    """

    cascades: list[Cascade] = field(default_factory=list)
    obstacles: list[Cascade] = field(default_factory=list)
    apart: list[Cascade] = field(default_factory=list)


def reach_of(
    roots: Iterable[Row],
    using: str,
    is_spared: Callable[[Cascade], bool] = lambda cascade: False,
    *,
    locked: bool = False,
    alone: bool = False,
) -> dict[Row, Reach]:
    """What deleting each of these rows would reach; a handful of queries a level, not a row.

    A root is deleted from the tables of its schema: rows of registered multi-table parents stay. What goes
    along goes with all its parents. A row that several roots reach is listed with each. `is_spared` says
    of a row that it will no longer refer by that column when the delete comes; it is not followed. `locked`:
    each level is locked before the next is looked for, so that none can be added until the transaction ends.
    `alone`: each root as if it were the only one.
    """
    reaches = {root: Reach() for root in roots}
    referring = Referring(using)
    level: dict[Row, set[Row]] = {root: {root} for root in reaches}
    seen: set[tuple[Row, Row, str]] = set()
    at_roots = True
    while level:
        if locked:
            for model, pks in _by_model(level).items():
                lock(model, pks, using)
        following: dict[Row, set[Row]] = {}
        for cascade, target in _referring(referring, level, whole=not at_roots):
            row = (cascade.model, cascade.pk)
            for root in level[target]:
                mark = (root, row, "" if cascade.effect == "delete" else cascade.column)
                if mark in seen or row == root:
                    continue
                seen.add(mark)
                reach = reaches[root]
                if (row in reaches and not alone) or is_spared(cascade):
                    reach.apart.append(cascade)
                elif cascade.effect in ("protect", "restrict", "nothing"):
                    reach.obstacles.append(cascade)
                else:
                    reach.cascades.append(cascade)
                    if cascade.effect == "delete":
                        following.setdefault(row, set()).add(root)
        level = following
        at_roots = False
    for reach in reaches.values():
        _lift_restrictions(reach)
    return reaches


def _referring(referring: Referring, level: Iterable[Row], *, whole: bool) -> Iterator[tuple[Cascade, Row]]:
    for model, pks in _by_model(level).items():
        yield from referring.to(model, pks, whole=whole)


def _by_model(rows: Iterable[Row]) -> dict[type[models.Model], list[Any]]:
    by_model: dict[type[models.Model], list[Any]] = {}
    for model, pk in rows:
        by_model.setdefault(model, []).append(pk)
    return by_model


def _lift_restrictions(reach: Reach) -> None:
    """RESTRICT gives way where the row that restricts goes along by another reference."""
    gone = {(cascade.model, cascade.pk) for cascade in reach.cascades if cascade.effect == "delete"}
    reach.obstacles = [
        cascade
        for cascade in reach.obstacles
        if cascade.effect != "restrict" or (cascade.model, cascade.pk) not in gone
    ]
