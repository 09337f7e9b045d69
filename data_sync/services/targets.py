"""What the rows of a changeset refer to: which changes they need for it, and what is nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from data_sync.core import canonical
from data_sync.core.claims import Claims
from data_sync.core.states import Operation
from data_sync.orm.limits import Problem, problem
from data_sync.orm.references import RowsOfKeys, targets_of
from data_sync.orm.rekeying import Moved
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
                now = self._here(target, text)
                if now is not None:
                    wanted.setdefault(target.label, set()).add(now.text)
            hidden = self._may_be_hidden(sides)
            if hidden is not None:
                wanted.setdefault(sides.entry.schema.label, set()).add(hidden.text)
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
                now = self._here(target, text)
                for pk in () if now is None else self._rows[target.label].all(now.text):
                    claimed.setdefault(claim_of(target.model, pk), name_of(sides))
        claims.add(claimed.items())

    def _here(self, target: ModelSchema, text: str) -> Moved | None:
        """The key that a row has now which is no change itself, or is one that would delete it; `text` is the one
        that it will have."""
        change = self._comparison.change_of(target.label, text)
        if change is not None:
            return Moved(change.here_key_text) if change.operation == Operation.DELETE else None
        return self._comparison.rekeying.former(target.label, text)

    def requirements(self, sides: Sides) -> tuple[set[int], list[Problem]]:
        """Numbers of the changes that create what this one refers to, or give it its key, and a problem for each
        target missing."""
        causes = set(sides.rekeyed_by)
        requires: set[int] = set()
        problems: list[Problem] = []
        for name, target, text in _new_targets(sides):
            other = self._comparison.change_of(target.label, text)
            former = self._comparison.rekeying.former(target.label, text)
            causes |= frozenset() if former is None else former.causes
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
                is_redacted = name in sides.entry.schema.redacted
                whom = f"a row of {target.label}" if is_redacted else f"{target.label} {text}"
                message = (
                    f"{name} refers to {whom}, which exists neither here nor among these changes. "
                    "Register or pull that model too, or add the row."
                )
                problems.append(problem("missing_reference", name, message))
        halves, staying = self._other_halves(sides)
        requires |= self._comparison.renames(causes) | halves
        return requires - {sides.entry.number}, problems + staying

    def _comes_back(self, sides: Sides, name: str, target: Numbered) -> bool:
        """Whether a new row would have to exist before it is written, for this reference."""
        entry = sides.entry
        reference = next((one for one in entry.schema.references if one.name == name), None)
        if target.number == entry.number and reference is not None and knows_its_key(entry.schema, reference):
            return False
        return self._circles.is_on_one(sides, name)

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
                    whom = "a row" if link.name in schema.redacted else f"{schema.label} {text}"
                    message = (
                        f"{link.name} would lose {whom}, which the source does not have and which stays "
                        "here with its half of the link. Remove the link here, then pull again."
                    )
                    problems.append(problem("half_a_link", link.name, message))
        return halves, problems

    def _stays(self, target: ModelSchema, text: str) -> bool:
        """Whether a row is here, and will be after these changes: a delete of what is referred to is not accepted."""
        other = self._comparison.change_of(target.label, text)
        if other is not None:
            return True
        now = self._here(target, text)
        return now is not None and self._rows[target.label].count(now.text) > 0

    def hidden_row(self, sides: Sides) -> list[Problem]:
        """For a create: a row that exists here and will have its key, outside of the scope that was compared."""
        hidden = self._may_be_hidden(sides)
        if hidden is None or not self._rows[sides.entry.schema.label].count(hidden.text):
            return []
        message = (
            "A row with this natural key exists here, outside of the registration's queryset. "
            "Change that row's key, or bring it into the queryset."
        )
        return [problem("hidden_row", "", message)]

    def _may_be_hidden(self, sides: Sides) -> Moved | None:
        """The key that a row out of scope would have now."""
        created = sides.entry.operation in (Operation.CREATE, Operation.RENAME)
        if not created or sides.entry.schema.registration.queryset is None:
            return None
        return self._comparison.rekeying.former_by_parents(sides.entry.schema.label, sides.entry.key_text)


def _new_targets(sides: Sides) -> Iterator[tuple[str, ModelSchema, str]]:
    """The references that a write newly makes: field, target's schema, canonical text of the target's key."""
    return iter(()) if sides.after is None else targets_of(sides.entry.schema, sides.after, sides.before)
