"""What the rows of a changeset refer to: which changes they need for it, and what is nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from data_sync.core import canonical
from data_sync.core.claims import Claims
from data_sync.core.states import Operation
from data_sync.orm.limits import Problem, problem
from data_sync.orm.references import RowsOfKeys, targets_of
from data_sync.orm.resolution import schemas
from data_sync.orm.schema import ModelSchema
from data_sync.orm.self_keys import knows_its_key

from .comparison import Comparison, Numbered, Sides
from .deletions import claim_of, name_of

_SEEN, _ON_CIRCLE = 1, 2


class Circles:
    """Which new rows need themselves, over new rows of their model, by a reference that must not be null.

    Lives as long as the comparison, so that each row is followed once for each such member: a long chain takes time
    as it has rows. Keeps a byte for each change and member.
    """

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison
        self._marks: dict[tuple[str, str], bytearray] = {}

    def is_on_one(self, sides: Sides, name: str) -> bool:
        """Whether the reference leads from a new row back to itself."""
        entry = sides.entry
        if entry.operation != Operation.CREATE or _may_be_filled_in_later(entry.schema, name):
            return False
        member = (entry.schema.label, name)
        if member not in self._marks:
            self._marks[member] = bytearray(self._comparison.total + 1)
        marks = self._marks[member]
        if not marks[entry.number]:
            self._follow(sides, name, marks)
        return marks[entry.number] == _ON_CIRCLE

    def _follow(self, sides: Sides, name: str, marks: bytearray) -> None:
        path: list[int] = []
        at: Numbered | None = sides.entry
        while at is not None and not marks[at.number]:
            marks[at.number] = _SEEN
            path.append(at.number)
            at = self._next(sides if at is sides.entry else self._comparison.sides_of(at), name)
        if at is not None and at.number in path:
            for number in path[path.index(at.number) :]:
                marks[number] = _ON_CIRCLE

    def _next(self, sides: Sides, name: str) -> Numbered | None:
        """The new row of the same model that a new row refers to."""
        schema, after = sides.entry.schema, sides.after
        assert after is not None
        for member, target, text in targets_of(schema, after):
            if member == name and target.model is schema.model:
                other = self._comparison.change_of(target.label, text)
                return other if other is not None and other.operation == Operation.CREATE else None
        return None


class Targets:
    """The targets of one batch of changes; looks up, in a query a model, those that are no changes themselves.

    `claims` gains those of them that are here: a delete must not take them along.
    """

    def __init__(
        self, comparison: Comparison, batch: Sequence[Sides], circles: Circles, claims: Claims, using: str
    ) -> None:
        self._comparison = comparison
        self._circles = circles
        wanted: dict[str, set[str]] = {}
        for sides in batch:
            for _, target, text in _new_targets(sides):
                if comparison.change_of(target.label, text) is None:
                    wanted.setdefault(target.label, set()).add(text)
            if _may_be_hidden(sides):
                wanted.setdefault(sides.entry.schema.label, set()).add(sides.entry.key_text)
        self._rows = {label: RowsOfKeys(schemas()[label], "pk", using) for label in wanted}
        for label, texts in wanted.items():
            self._rows[label].load(texts)
        if any(comparison.count(label, Operation.DELETE) for label in comparison.schemas):
            self._claim(batch, claims)

    def _claim(self, batch: Sequence[Sides], claims: Claims) -> None:
        """Claims the rows here that are referred to, each for the first change that does: there may be a million."""
        claimed: dict[str, str] = {}
        for sides in batch:
            for _, target, text in _new_targets(sides):
                if self._comparison.change_of(target.label, text) is None:
                    for pk in self._rows[target.label].all(text):
                        claimed.setdefault(claim_of(target.model, pk), name_of(sides))
        claims.add(claimed.items())

    def requirements(self, sides: Sides) -> tuple[set[int], list[Problem]]:
        """Numbers of the changes that create what this one refers to, and a problem for each target missing."""
        requires = {rename.number for rename in self._renames(sides)}
        problems: list[Problem] = []
        for name, target, text in _new_targets(sides):
            other = self._comparison.change_of(target.label, text)
            if other is not None and other.operation in (Operation.CREATE, Operation.RENAME):
                requires.add(other.number)
                if self._comes_back(sides, name, other):
                    whom = "the new row itself" if other.number == sides.entry.number else "new rows that need this one"
                    message = (
                        f"{name} refers to {whom} and must not be null: the row would have to exist before "
                        "it is written. Make the column nullable, or add the row here by hand."
                    )
                    problems.append(problem("self_reference", name, message))
            elif not self._stays(target, text):
                message = (
                    f"{name} refers to {target.label} {text}, which exists neither here nor among these changes. "
                    "Register or pull that model too, or add the row."
                )
                problems.append(problem("missing_reference", name, message))
        requires |= self._other_halves(sides)
        return requires - {sides.entry.number}, problems

    def _comes_back(self, sides: Sides, name: str, target: Numbered) -> bool:
        """Whether a new row would have to exist before it is written, for this reference."""
        entry = sides.entry
        reference = next((one for one in entry.schema.references if one.name == name), None)
        if target.number == entry.number and reference is not None and knows_its_key(entry.schema, reference):
            return False
        return self._circles.is_on_one(sides, name)

    def _renames(self, sides: Sides) -> Iterator[Numbered]:
        """The renames that the row was compared under."""
        for label, text in sides.rekeyed_by:
            rename = self._comparison.rename_of(label, text)
            if rename is not None:
                yield rename

    def _other_halves(self, sides: Sides) -> set[int]:
        """A symmetrical many-to-many is stored once for each side: half a link must not be applied."""
        before, after, schema = sides.before, sides.after, sides.entry.schema
        halves: set[int] = set()
        for link in schema.links:
            if not link.field.remote_field.symmetrical or after is None:
                continue
            old = set() if before is None else set(map(canonical.dumps, before.fields[link.name]))
            for text in old ^ set(map(canonical.dumps, after.fields[link.name])):
                other = self._comparison.change_of(schema.label, text)
                if other is not None and other.operation != Operation.DELETE:
                    halves.add(other.number)
        return halves

    def _stays(self, target: ModelSchema, text: str) -> bool:
        """Whether a row is here, and will be after these changes."""
        other = self._comparison.change_of(target.label, text)
        if other is not None:
            return other.operation != Operation.DELETE
        rows = self._rows[target.label]
        return rows.count(text) > 0 and self._comparison.rename_of(target.label, text) is None

    def hidden_row(self, sides: Sides) -> list[Problem]:
        """For a create: a row with its key that exists here, outside of the scope that was compared."""
        if not _may_be_hidden(sides) or not self._rows[sides.entry.schema.label].count(sides.entry.key_text):
            return []
        message = "A row with this natural key exists here, outside of the registration's queryset."
        return [problem("hidden_row", "", message)]


def _may_be_filled_in_later(schema: ModelSchema, name: str) -> bool:
    """Whether a row can be written before what this member refers to."""
    needed = [*(one.name for one in schema.references if not one.field.null)]
    needed += [generic.name for generic in schema.generics if not generic.null]
    return name not in needed


def _may_be_hidden(sides: Sides) -> bool:
    created = sides.entry.operation in (Operation.CREATE, Operation.RENAME)
    return created and sides.entry.schema.registration.queryset is not None


def _new_targets(sides: Sides) -> Iterator[tuple[str, ModelSchema, str]]:
    """The references that a write newly makes: field, target's schema, canonical text of the target's key."""
    before, after, schema = sides.before, sides.after, sides.entry.schema
    if after is None:
        return
    for name, target, text in targets_of(schema, after):
        if before is None or before.fields[name] != after.fields[name]:
            yield name, target, text
