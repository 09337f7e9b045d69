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

from .circles import Circles
from .comparison import Comparison, Numbered, Sides
from .deletions import claim_of, name_of


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
        halves, staying = self._other_halves(sides)
        return (requires | halves) - {sides.entry.number}, problems + staying

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

    def _other_halves(self, sides: Sides) -> tuple[set[int], list[Problem]]:
        """A symmetrical many-to-many is stored once for each side: half a link must not be applied.

        Numbers of the changes that have the other halves, and a problem for each half that no change would remove.
        """
        before, after, schema = sides.before, sides.after, sides.entry.schema
        halves: set[int] = set()
        problems: list[Problem] = []
        for link in schema.links:
            if not link.field.remote_field.symmetrical or after is None:
                continue
            old = set() if before is None else set(map(canonical.dumps, before.fields[link.name]))
            for text in old ^ set(map(canonical.dumps, after.fields[link.name])):
                other = self._comparison.change_of(schema.label, text)
                if other is not None:
                    halves.add(other.number)
                elif text in old and schema.registration.deletes == "never":
                    message = (
                        f"{link.name} would lose {schema.label} {text}, which the source does not have and which stays "
                        "here with its half of the link. Remove the link here, then pull again."
                    )
                    problems.append(problem("half_a_link", link.name, message))
        return halves, problems

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
