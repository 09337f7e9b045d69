"""Unique values that writes are about to take: who has them now, and whether two writes want the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_sync.core import canonical
from data_sync.core.claims import Claims
from data_sync.orm.collation import equal_texts, folds
from data_sync.orm.conditions import is_met
from data_sync.orm.holders import alike, fields_of, locks_out, touches
from data_sync.orm.limits import Problem
from data_sync.orm.schema import ModelSchema
from data_sync.orm.unique_values import UniqueValues
from data_sync.orm.uniqueness import UniqueSet, unique_sets
from data_sync.orm.writes import changed, columns_of

from .collision_problems import held_by, wanted_by
from .comparison import Comparison, Sides
from .holding import Holding


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What one write will have in the columns of a unique set: as the columns hold it, and as texts.

    `values` is None where it refers to a row that is not here yet: then nobody can have it now.
    """

    sides: Sides
    values: tuple[Any, ...] | None
    texts: tuple[str, ...]


@dataclass(slots=True)
class _Found:
    requires: set[int] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)


class Collisions:
    """The collisions of one batch of changes, with a few queries for each unique set that some of them touch.

    `claims` has what the writes of earlier batches have claimed, and gains this one's.

    Sets of expressions and conditions of which only the database can tell are left to the rehearsal.
    """

    def __init__(self, comparison: Comparison, batch: Sequence[Sides], claims: Claims, using: str) -> None:
        self._comparison = comparison
        self._claims = claims
        self._using = using
        self._found: dict[int, _Found] = {}
        by_label: dict[str, list[Sides]] = {}
        for sides in batch:
            if sides.after is not None:
                by_label.setdefault(sides.entry.schema.label, []).append(sides)
        for writes in by_label.values():
            schema = writes[0].entry.schema
            for place, unique in enumerate(unique_sets(schema.model)):
                if unique.exact and set(unique.names) <= set(columns_of(schema, schema.field_names)):
                    self._look_at(schema, place, unique, writes)

    def of(self, sides: Sides) -> tuple[set[int], list[Problem]]:
        """Numbers of the changes that let go of values which this one takes, and what stands in its way."""
        found = self._found.get(sides.entry.number, _Found())
        return found.requires - {sides.entry.number}, found.problems

    def _look_at(self, schema: ModelSchema, place: int, unique: UniqueSet, writes: Sequence[Sides]) -> None:
        folding = any(folds(column, self._using) for column in fields_of(schema, unique))
        concerned = [sides for sides in writes if _takes(schema, unique, sides, folding=folding)]
        if not concerned:
            return
        values = UniqueValues(schema, unique, self._comparison.rekeying, self._using)
        values.load(sides.after for sides in concerned if sides.after is not None)
        wishes = []
        for sides in concerned:
            assert sides.after is not None
            held = values.of(sides.after)
            if held is not None and not locks_out(unique, held):
                continue
            wishes.append(_Wish(sides=sides, values=held, texts=values.texts(sides.after)))
        self._meet_holders(schema, unique, wishes)
        self._meet_each_other(schema, place, unique, wishes, folding=folding)

    # Rows that are here

    def _meet_holders(self, schema: ModelSchema, unique: UniqueSet, wishes: Sequence[_Wish]) -> None:
        asked = [(wish, wish.values) for wish in wishes if wish.values is not None]
        holding = Holding(self._comparison, schema, unique, self._using)
        stored = list(holding.of([values for _, values in asked]))
        rows = holding.rows([pk for pk, _ in stored])
        forms = list(alike(fields_of(schema, unique), (values for _, values in [*asked, *stored]), self._using))
        wanted: dict[tuple[Any, ...], list[_Wish]] = {}
        for form, (wish, _) in zip(forms, asked, strict=False):
            wanted.setdefault(form, []).append(wish)
        meetings = [
            (wish, pk, held)
            for form, (pk, held) in zip(forms[len(asked) :], stored, strict=True)
            for wish in wanted.get(form, ())
            if not _is_of(wish.sides, rows.get(pk)) and self._equal(schema, unique, wish.values or (), held)
        ]
        found = holding.holders({pk for _, pk, _ in meetings})
        for wish, pk, held in meetings:
            holder = found[pk]
            if holder.number is not None:
                self._note(wish).requires.add(holder.number)
            self._note(wish).problems += held_by(wish.sides, unique, holder, is_exact=wish.values == held)

    # Writes of the same changeset

    def _meet_each_other(
        self, schema: ModelSchema, place: int, unique: UniqueSet, wishes: Sequence[_Wish], *, folding: bool
    ) -> None:
        if not folding and _is_key(schema, unique):
            return  # The comparison has refused equal keys.
        combinations = (tuple(map(_text_within, wish.texts)) for wish in wishes)
        wanted: dict[str, list[_Wish]] = {}
        for wish, form in zip(wishes, alike(fields_of(schema, unique), combinations, self._using), strict=True):
            wanted.setdefault(canonical.dumps([schema.label, place, *form]), []).append(wish)
        earlier: dict[str, list[str]] = {}
        for text, key_text in self._claims.of(wanted):
            earlier.setdefault(text, []).append(key_text)
        for text, of_text in wanted.items():
            # By exact values: who has claimed them in earlier batches, then who wants them in this one. Two of each
            # will do: thousands of rows may want one value.
            claimants: dict[tuple[str, ...], list[Sides]] = {}
            values = UniqueValues(schema, unique, self._comparison.rekeying, self._using)
            for sides in self._written(schema, earlier.get(text, ())):
                assert sides.after is not None
                claimants.setdefault(values.texts(sides.after), []).append(sides)
            new = [
                wish
                for wish in {wish.texts: wish for wish in reversed(of_text)}.values()
                if wish.texts not in claimants
            ]
            self._claims.add((text, wish.sides.entry.key_text) for wish in new)
            for wish in of_text:
                if len(some := claimants.setdefault(wish.texts, [])) < 2:
                    some.append(wish.sides)
            for wish in of_text:
                other = self._other_claimant(schema, unique, wish, claimants)
                if other is not None:
                    self._note(wish).problems.append(wanted_by(wish.sides, unique, other))

    def _other_claimant(
        self, schema: ModelSchema, unique: UniqueSet, wish: _Wish, claimants: Mapping[tuple[str, ...], Sequence[Sides]]
    ) -> Sides | None:
        for texts, some in claimants.items():
            other = next((sides for sides in some if sides is not wish.sides), None)
            if other is not None and (texts == wish.texts or self._same(schema, unique, texts, wish.texts)):
                return other
        return None

    def _written(self, schema: ModelSchema, key_texts: Iterable[str]) -> Iterator[Sides]:
        for key_text in key_texts:
            entry = self._comparison.change_of(schema.label, key_text)
            if entry is not None:
                sides = self._comparison.sides_of(entry)
                if sides.after is not None:
                    yield sides

    # What is equal

    def _equal(self, schema: ModelSchema, unique: UniqueSet, one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
        """Whether the database takes two combinations that are alike for equal."""
        return all(
            mine == theirs
            or (
                isinstance(mine, str)
                and isinstance(theirs, str)
                and folds(column, self._using)
                and len(set(equal_texts(column, [mine, theirs], self._using).values())) == 1
            )
            for column, mine, theirs in zip(fields_of(schema, unique), one, other, strict=True)
        )

    def _same(self, schema: ModelSchema, unique: UniqueSet, one: tuple[str, ...], other: tuple[str, ...]) -> bool:
        return self._equal(schema, unique, tuple(map(_text_within, one)), tuple(map(_text_within, other)))

    def _note(self, wish: _Wish) -> _Found:
        return self._found.setdefault(wish.sides.entry.number, _Found())


def _takes(schema: ModelSchema, unique: UniqueSet, sides: Sides, *, folding: bool) -> bool:
    """Whether a write gives its row new values in a set, and counts for it."""
    assert sides.after is not None
    if unique.condition is not None and is_met(schema, unique.condition, sides.after) is not True:
        return False
    if sides.before is None:
        # Whoever had the key of a new row here would be that row.
        # Unless the database takes other keys for it, it is out of scope, or a parent's table has rows of its own.
        may_be_another = folding or bool(schema.registration.queryset) or len(schema.tables) > 1
        return may_be_another or not _is_key(schema, unique)
    return touches(unique, columns_of(schema, changed(sides.before, sides.after)))


def _is_key(schema: ModelSchema, unique: UniqueSet) -> bool:
    return unique.condition is None and set(unique.names) == {part.path[0] for part in schema.key}


def _is_of(sides: Sides, pk: Any) -> bool:
    """Whether a write is one to the row with this primary key."""
    return sides.row is not None and sides.row[1] == pk


def _text_within(text: str) -> str:
    """The text that a canonical text stands for; that itself where it stands for anything else."""
    value = canonical.loads(text)
    return value if isinstance(value, str) else text
