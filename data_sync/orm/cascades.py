"""What a delete takes along: followed as Django's deletion collector would, and shown first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import models

from .referring import STAYING, Cascade, Effect, Referring, Row
from .schema import ModelSchema
from .tables import lock

__all__ = ["STAYING", "Cascade", "Effect", "Reach", "Reaches", "Row", "reach_at_once", "reach_of"]


@dataclass(slots=True)
class Reach:
    """What deleting one root row reaches.

    `cascades` would be written or deleted, `obstacles` stand in the way (PROTECT, DO_NOTHING, and RESTRICT
    where the row that restricts would stay), `apart` are roots themselves or were spared: they are dealt with by
    themselves, and nothing is said of what refers to them in turn.
    """

    cascades: list[Cascade] = field(default_factory=list)
    obstacles: list[Cascade] = field(default_factory=list)
    apart: list[Cascade] = field(default_factory=list)


Reaches = Mapping[Row, Reach]
"""What each of some rows reaches that are deleted together."""


def reach_of(
    roots: Iterable[Row],
    using: str,
    compared: Mapping[str, ModelSchema],
    is_spared: Callable[[Cascade], bool] = lambda cascade: False,
    *,
    locked: bool = False,
    alone: bool = False,
) -> dict[Row, Reach]:
    """What deleting each of these rows would reach; a handful of queries a level, not a row.

    A root is deleted from the tables of its schema: rows of registered multi-table parents stay. What goes
    along goes with all its parents, unless it goes as a child of what is deleted. Rows are told by the model that
    is registered, roots too. A row that several roots reach is listed with each. `compared` has the schemas of the
    records that were shown, by label: links that are in none are reached like any other row. `is_spared` says
    of a row that it will no longer refer by that column when the delete comes; it is not followed. `locked`:
    each level is locked before the next is looked for, so that none can be added until the transaction ends.
    `alone`: each root as if it were the only one.
    """
    reaches = {root: Reach() for root in roots}
    referring = Referring(using, compared)
    level = _Level()
    level.own = {root: {root} for root in reaches}
    seen: set[tuple[Row, Row, str]] = set()
    while level.own or level.whole:
        if locked:
            for model, pks in _by_model([*level.own, *level.whole]).items():
                lock(model, pks, using)
        following = _Level()
        for cascade, roots in level.referring(referring):
            row = (cascade.model, cascade.pk)
            for root in roots:
                by_column, goes = (root, row, cascade.column), (root, row, "")
                if row == root or by_column in seen or (goes in seen and cascade.effect == "delete"):
                    continue
                seen.add(by_column)
                reach = reaches[root]
                if (row in reaches and not alone) or is_spared(cascade):
                    reach.apart.append(cascade)
                elif cascade.effect in ("protect", "restrict", "nothing"):
                    reach.obstacles.append(cascade)
                else:
                    reach.cascades.append(cascade)
                    if cascade.effect == "delete":
                        seen.add(goes)
                        following.add(cascade, root)
        level = following
    for reach in reaches.values():
        _lift_restrictions(reach)
    return reaches


def reach_at_once(
    roots: Iterable[Row],
    using: str,
    compared: Mapping[str, ModelSchema],
    find_doomed: Callable[[Iterable[Cascade]], Collection[Row]],
    *,
    locked: bool = False,
) -> dict[Row, Reaches]:
    """What has to go with each of these rows if it goes at once: the row, and doomed ones that refer to it.

    `find_doomed` says which of some rows are deleted by changes of their own. They are roots, too: their parents stay.
    """
    rows = dict.fromkeys(roots)
    wanted = list(rows)
    reaches = reach_of(rows, using, compared, locked=locked)
    while True:
        more = find_doomed(
            cascade
            for reach in reaches.values()
            for cascade in (*reach.cascades, *reach.obstacles)
            if cascade.effect not in STAYING
        )
        if rows.keys() >= set(more):
            return {row: _together(row, reaches) for row in wanted}
        rows |= dict.fromkeys(more)
        reaches = reach_of(rows, using, compared, locked=locked)


def _together(row: Row, reaches: Reaches) -> Reaches:
    """The row, and those of the others that go because it does."""
    found: dict[Row, Reach] = {}
    stack = [row]
    while stack:
        one = stack.pop()
        if one not in found:
            found[one] = reaches[one]
            stack += ((apart.model, apart.pk) for apart in reaches[one].apart if apart.effect not in STAYING)
    return found


class _Level:
    """Rows to be followed, each with the roots that reach it: in their own tables, or `whole`, with their parents."""

    def __init__(self) -> None:
        self.own: dict[Row, set[Row]] = {}
        self.whole: dict[Row, set[Row]] = {}

    def add(self, cascade: Cascade, root: Row) -> None:
        rows = self.whole if cascade.with_parents else self.own
        rows.setdefault((cascade.model, cascade.pk), set()).add(root)

    def referring(self, referring: Referring) -> Iterator[tuple[Cascade, set[Row]]]:
        """What refers to them, each with the roots that reach it by this."""
        for rows, whole in ((self.own, False), (self.whole, True)):
            for model, pks in _by_model(rows).items():
                for cascade, target in referring.to(model, pks, whole=whole):
                    yield cascade, rows[target]


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
