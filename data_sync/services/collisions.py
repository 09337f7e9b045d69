"""Unique values that writes are about to take: who has them now, and whether two writes want the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_sync.core import canonical
from data_sync.core.claims import Claims
from data_sync.core.states import Operation
from data_sync.orm.collation import equal_texts, folds
from data_sync.orm.conditions import is_met
from data_sync.orm.holders import conditional_names, fields_of, folded, holders, locks_out
from data_sync.orm.limits import Problem, problem
from data_sync.orm.parking import can_be_parked
from data_sync.orm.references import KeysOfRows
from data_sync.orm.schema import ModelSchema
from data_sync.orm.unique_values import UniqueValues
from data_sync.orm.uniqueness import UniqueSet, unique_sets
from data_sync.orm.writes import Write, columns_of

from .comparison import Comparison, Numbered, Sides


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
        wanted: dict[tuple[Any, ...], list[_Wish]] = {}
        for wish in wishes:
            if wish.values is not None:
                wanted.setdefault(folded(wish.values), []).append(wish)
        stored = holders(schema, unique, [w.values for of in wanted.values() for w in of if w.values], self._using)
        meeting = [
            (wish, pk, held)
            for pk, held in stored
            for wish in wanted.get(folded(held), ())
            if _pk(wish.sides) != pk and self._equal(schema, unique, wish.values or (), held)
        ]
        names = KeysOfRows(schema.model, "pk", self._using)
        for wish, pk, held in meeting:
            holder = self._comparison.change_of_row(schema.label, pk)
            key = names.load([pk]).get(pk)
            name = f"{schema.label} {pk!r}" if key is None else f"{schema.label} {canonical.array(key)}"
            self._judge(schema, unique, wish, holder, name, exact=wish.values == held)

    def _judge(
        self,
        schema: ModelSchema,
        unique: UniqueSet,
        wish: _Wish,
        holder: Numbered | None,
        name: str,
        *,
        exact: bool,
    ) -> None:
        what = " and ".join(unique.names)
        if holder is not None and holder.operation == Operation.DELETE:
            self._note(wish).requires.add(holder.number)
            return
        if holder is not None and _lets_go(schema, unique, theirs := self._comparison.sides_of(holder)):
            self._note(wish).requires.add(holder.number)
            assert theirs.after is not None
            write = Write(number=holder.number, after=theirs.after, before=theirs.before, pk=0)
            if not can_be_parked(schema, unique, write):
                self._add(
                    wish,
                    "unique_exchange",
                    unique,
                    f"{wish.sides.record.name} takes {what} from {name}, which takes another: both cannot be written "
                    "one after the other, and no column of these can hold another value meanwhile. Make one of them "
                    f"nullable, or clear it here in {name} first.",
                )
            return
        equal = "is" if exact else "is, for the collation of this database,"
        self._add(
            wish,
            "unique_collision",
            unique,
            f"{what} of {wish.sides.record.name} {equal} that of {name} here, which keeps it; the database allows it "
            "once. Change one of the two.",
        )

    # Writes of the same changeset

    def _meet_each_other(
        self, schema: ModelSchema, place: int, unique: UniqueSet, wishes: Sequence[_Wish], *, folding: bool
    ) -> None:
        if not folding and _is_key(schema, unique):
            return  # The comparison has refused equal keys.
        texts = {
            wish.sides.entry.number: canonical.dumps([schema.label, place, *folded(tuple(map(_loads, wish.texts)))])
            for wish in wishes
        }
        wanted: dict[str, list[_Wish]] = {}
        for wish in wishes:
            wanted.setdefault(texts[wish.sides.entry.number], []).append(wish)
        earlier = list(self._claims.of(wanted))
        self._claims.add((texts[wish.sides.entry.number], wish.sides.entry.key_text) for wish in wishes)
        for of_text in wanted.values():
            for one in of_text:
                for other in of_text:
                    if one is not other and self._same(schema, unique, one.texts, other.texts):
                        self._collide(unique, one, other.sides)
        for text, key_text in earlier:
            for other_sides in self._written(schema, key_text):
                values = UniqueValues(schema, unique, self._comparison.rekeying, self._using)
                assert other_sides.after is not None
                for wish in wanted[text]:
                    if self._same(schema, unique, wish.texts, values.texts(other_sides.after)):
                        self._collide(unique, wish, other_sides)

    def _written(self, schema: ModelSchema, key_text: str) -> Iterator[Sides]:
        entry = self._comparison.change_of(schema.label, key_text)
        if entry is not None:
            sides = self._comparison.sides_of(entry)
            if sides.after is not None:
                yield sides

    def _collide(self, unique: UniqueSet, wish: _Wish, other: Sides) -> None:
        self._add(
            wish,
            "unique_collision",
            unique,
            f"{' and '.join(unique.names)} of {wish.sides.record.name} would be that of {other.record.name} too "
            f"(#{other.entry.number}), which "
            "these changes write as well; the database here allows it once. Change one of the two at the source.",
        )

    # What is equal

    def _equal(self, schema: ModelSchema, unique: UniqueSet, one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
        """Whether the database takes two combinations, equal when folded, for equal."""
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
        return self._equal(schema, unique, tuple(map(_loads, one)), tuple(map(_loads, other)))

    def _note(self, wish: _Wish) -> _Found:
        return self._found.setdefault(wish.sides.entry.number, _Found())

    def _add(self, wish: _Wish, code: str, unique: UniqueSet, message: str) -> None:
        self._note(wish).problems.append(problem(code, unique.names[0], message))


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
    changed = set(columns_of(schema, _changed(sides)))
    return not changed.isdisjoint({*unique.names, *conditional_names(unique)})


def _lets_go(schema: ModelSchema, unique: UniqueSet, sides: Sides) -> bool:
    changed = set(columns_of(schema, _changed(sides)))
    return not changed.isdisjoint({*unique.names, *conditional_names(unique)})


def _changed(sides: Sides) -> set[str]:
    assert sides.after is not None
    return Write(number=0, after=sides.after, before=sides.before).changed


def _is_key(schema: ModelSchema, unique: UniqueSet) -> bool:
    return unique.condition is None and set(unique.names) == {part.path[0] for part in schema.key}


def _pk(sides: Sides) -> Any:
    row = sides.row
    return None if row is None else row[1]


def _loads(text: str) -> Any:
    value = canonical.loads(text)
    return value if isinstance(value, str) else text
