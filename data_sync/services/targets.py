"""What the rows of a changeset refer to: which changes they need for it, and what is nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from data_sync.core import canonical
from data_sync.core.states import Operation
from data_sync.orm.limits import Problem, problem
from data_sync.orm.references import RowsOfKeys
from data_sync.orm.resolution import schemas, target_schema
from data_sync.orm.schema import ModelSchema

from .comparison import Comparison, Sides


class Targets:
    """The targets of one batch of changes; looks up, in a query a model, those that were not compared."""

    def __init__(self, comparison: Comparison, batch: Sequence[Sides], using: str) -> None:
        self._comparison = comparison
        wanted: dict[str, list[str]] = {}
        for sides in batch:
            for _, target, text in _new_targets(sides):
                if comparison.change_of(target.label, text) is None and not comparison.is_here(target.label, text):
                    wanted.setdefault(target.label, []).append(text)
            if _may_be_hidden(sides):
                wanted.setdefault(sides.entry.schema.label, []).append(sides.entry.key_text)
        self._rows = {label: RowsOfKeys(schemas()[label], "pk", using) for label in wanted}
        for label, texts in wanted.items():
            self._rows[label].load(texts)

    def requirements(self, sides: Sides) -> tuple[set[int], list[Problem]]:
        """Numbers of the changes that create what this one refers to, and a problem for each target missing."""
        requires: set[int] = set()
        problems: list[Problem] = []
        for name, target, text in _new_targets(sides):
            other = self._comparison.change_of(target.label, text)
            if other is not None and other.operation == Operation.CREATE:
                requires.add(other.number)
                if other.number == sides.entry.number and not _may_be_filled_in_later(sides.entry.schema, name):
                    message = (
                        f"{name} refers to the new row itself and must not be null: the row would have to exist before "
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
        return self._comparison.is_here(target.label, text) or self._rows[target.label].count(text) > 0

    def hidden_row(self, sides: Sides) -> list[Problem]:
        """For a create: a row with its key that exists here, outside of the scope that was compared."""
        if not _may_be_hidden(sides) or not self._rows[sides.entry.schema.label].count(sides.entry.key_text):
            return []
        message = "A row with this natural key exists here, outside of the registration's queryset."
        return [problem("hidden_row", "", message)]


def _may_be_filled_in_later(schema: ModelSchema, name: str) -> bool:
    return not any(reference.name == name and not reference.field.null for reference in schema.references)


def _may_be_hidden(sides: Sides) -> bool:
    return sides.before is None and sides.entry.schema.registration.queryset is not None


def _new_targets(sides: Sides) -> Iterator[tuple[str, ModelSchema, str]]:
    """The references that a write newly makes: field, target's schema, canonical text of the target's key."""
    before, after, schema = sides.before, sides.after, sides.entry.schema
    if after is None:
        return
    for relation in schema.relations:
        value = after.fields[relation.name]
        if value is None or (before is not None and before.fields[relation.name] == value):
            continue
        target = target_schema(relation)
        for key in value if relation in schema.links else [value]:
            yield relation.name, target, canonical.dumps(key)
