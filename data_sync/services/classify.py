"""From two listings to changes: diffs, what each requires, what each would take along, what forbids it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db import models

from data_sync.core import canonical
from data_sync.core.compare import Difference, compare
from data_sync.core.diff import diff_fields
from data_sync.core.listing import Listing
from data_sync.core.records import MISSING, FileValue, Record, key_text
from data_sync.core.states import Operation
from data_sync.models import Change
from data_sync.orm.cascades import Cascade, Reach, Row, reach_of
from data_sync.orm.limits import Problem, problem, required_columns, validate, value_problems
from data_sync.orm.references import RowsOfKeys, batches
from data_sync.orm.rows import PK
from data_sync.orm.schema import ModelSchema, schemas, target_schema

BATCH = 200
LABELLED_CASCADES = 100
USING = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbered:
    """A difference with its place in the changeset: writes in dependency order, then deletes in reverse."""

    number: int
    schema: ModelSchema
    difference: Difference


class Comparison:
    """Everything that differs between two complete listings of the same models."""

    def __init__(self, here: Listing, there: Listing) -> None:
        self.here = here
        self.there = there
        self._schemas = {label: schemas()[label] for label in here.models}
        self.kept: dict[str, int] = dict.fromkeys(here.models, 0)
        self.numbered = self._number()
        self._by_key = {(item.schema.label, item.difference.key_text): item for item in self.numbered}

    def _number(self) -> list[Numbered]:
        writes: list[tuple[ModelSchema, Difference]] = []
        deletes: list[tuple[ModelSchema, Difference]] = []
        for label, schema in self._schemas.items():
            gone = []
            for difference in compare(self.here, self.there, label):
                if difference.operation != Operation.DELETE:
                    writes.append((schema, difference))
                elif schema.registration.deletes == "never":
                    self.kept[label] += 1
                else:
                    gone.append((schema, difference))
            deletes[:0] = gone
        return [
            Numbered(number=number, schema=schema, difference=difference)
            for number, (schema, difference) in enumerate([*writes, *deletes], start=1)
        ]

    def compared(self, label: str) -> int:
        """How many keys of a model were compared: those here, and those only at the source."""
        creates = sum(
            item.schema.label == label and item.difference.operation == Operation.CREATE for item in self.numbered
        )
        return self.here.counts[label] + creates

    def wanted_files(self) -> Iterator[tuple[str, FileValue]]:
        """Each file whose bytes are needed, with words that say whose it is."""
        for item in self.numbered:
            if not item.schema.files or item.difference.there is None:
                continue
            after = self._there(item)
            before = self._here(item)
            for name, file in after.files.items():
                old = before.files[name] if before else None
                if file and file.checksum != MISSING and (old is None or old.checksum != file.checksum):
                    yield f"{item.schema.label} {key_text(after.key)}, {name}", file

    def changes(self) -> Iterator[list[Change]]:
        """The changes in number order, in batches, not yet saved and without changeset."""
        for batch in batches(self.numbered, BATCH):
            sides = [
                (item, self._here(item), self._there(item) if item.difference.there is not None else None)
                for item in batch
            ]
            targets = self._look_up_targets(sides)
            yield [self._change(item, before, after, targets) for item, before, after in sides]

    def _here(self, item: Numbered) -> Record | None:
        return None if item.difference.here is None else self.here.record(item.difference.here)

    def _there(self, item: Numbered) -> Record:
        assert item.difference.there is not None
        record = self.there.record(item.difference.there)
        validate(item.schema, record)
        return record

    def _change(
        self, item: Numbered, before: Record | None, after: Record | None, targets: dict[str, RowsOfKeys]
    ) -> Change:
        record = after or before
        assert record is not None
        diff = diff_fields(before.fields if before else {}, after.fields if after else {})
        requires, problems = self._references_of(item, before, after, targets)
        cascades: list[dict[str, Any]] = []
        if after is None:
            cascades, required, obstacles = self._reach_of(item)
            requires |= required
            problems += obstacles
        else:
            problems += value_problems(item.schema, before, after, USING)
            if before is None:
                problems += self._hidden_row(item)
                problems += [
                    problem("required_column", name, f"{name} is required here, is not synced and has no default.")
                    for name in required_columns(item.schema)
                ]
        return Change(
            number=item.number,
            model=item.schema.label,
            operation=item.difference.operation.value,
            key=list(record.key),
            key_text=key_text(record.key),
            local_pk=None if before is None else before.carried[PK],
            before=before and dict(before.fields),
            after=after and dict(after.fields),
            diff=[row.to_plain() for row in diff],
            files={
                file.name: {
                    "before": _plain(before.files[file.name]) if before else None,
                    "after": _plain(after.files[file.name]) if after else None,
                }
                for file in item.schema.files
            },
            carried={"before": _carried(before), "after": _carried(after)},
            before_digest=before.digest() if before else "",
            after_digest=after.digest() if after else "",
            requires=sorted(requires),
            cascades=cascades,
            problems=problems,
            has_cascades=bool(cascades),
            has_problems=bool(problems),
        )

    # References

    def _changed_targets(
        self, item: Numbered, before: Record | None, after: Record | None
    ) -> Iterator[tuple[str, ModelSchema, str]]:
        """The references that a write newly makes: field, target's schema, text of the target's key."""
        if after is None:
            return
        for relation in item.schema.relations:
            value = after.fields[relation.name]
            if value is None or (before is not None and before.fields[relation.name] == value):
                continue
            target = target_schema(relation)
            keys = value if relation in item.schema.links else [value]
            for key in keys if isinstance(keys, list) else []:
                yield relation.name, target, canonical.dumps(key)

    def _look_up_targets(self, sides: list[tuple[Numbered, Record | None, Record | None]]) -> dict[str, RowsOfKeys]:
        """Finds, in a query a model, the targets that neither the changes nor the local listing have."""
        wanted: dict[str, list[str]] = {}
        for item, before, after in sides:
            for _, target, text in self._changed_targets(item, before, after):
                if (target.label, text) not in self._by_key and not self._is_listed(target, text):
                    wanted.setdefault(target.label, []).append(text)
        found = {}
        for label, texts in wanted.items():
            found[label] = RowsOfKeys(schemas()[label], "pk", USING)
            found[label].load(texts)
        return found

    def _is_listed(self, target: ModelSchema, text: str) -> bool:
        return target.label in self._schemas and self.here.contains(target.label, text)

    def _references_of(
        self, item: Numbered, before: Record | None, after: Record | None, targets: dict[str, RowsOfKeys]
    ) -> tuple[set[int], list[Problem]]:
        requires: set[int] = set()
        problems: list[Problem] = []
        for name, target, text in self._changed_targets(item, before, after):
            other = self._by_key.get((target.label, text))
            if other is not None and other.difference.operation == Operation.CREATE:
                requires.add(other.number)
            elif (other is not None and other.difference.operation == Operation.DELETE) or (
                other is None and not self._is_listed(target, text) and targets[target.label].get(text) is None
            ):
                problems.append(
                    problem(
                        "missing_reference",
                        name,
                        f"{name} refers to {target.label} {text}, which exists neither here nor among these changes. "
                        "Register or pull that model too, or add the row.",
                    )
                )
        return requires - {item.number}, problems

    def _hidden_row(self, item: Numbered) -> list[Problem]:
        """A row with the key of a create that exists, outside of the scope that was compared."""
        if item.schema.registration.queryset is None:
            return []
        rows = RowsOfKeys(item.schema, "pk", USING)
        rows.load([item.difference.key_text])
        if rows.count(item.difference.key_text) == 0:
            return []
        message = "a row with this natural key exists here, outside of the registration's queryset."
        return [problem("hidden_row", "", message)]

    # Deletes

    @cached_property
    def _reaches(self) -> dict[Row, Reach]:
        roots = [row for item in self.numbered if (row := self._deleted_row(item)) is not None]
        return reach_of(roots, USING, self._moves_away) if roots else {}

    def _deleted_row(self, item: Numbered) -> Row | None:
        if item.difference.operation != Operation.DELETE:
            return None
        before = self._here(item)
        assert before is not None
        return item.schema.model, item.schema.pk.to_python(before.carried[PK])

    @cached_property
    def _changed_rows(self) -> dict[Row, Numbered]:
        rows: dict[Row, Numbered] = {}
        for item in self.numbered:
            before = self._here(item)
            if before is not None:
                rows[(item.schema.model, item.schema.pk.to_python(before.carried[PK]))] = item
        return rows

    def _moves_away(self, cascade: Cascade) -> bool:
        """Whether an update among the changes gives the row another value in the referring column."""
        item = self._changed_rows.get((cascade.model, cascade.pk))
        if item is None or item.difference.operation != Operation.UPDATE:
            return False
        before, after = self._here(item), self._there(item)
        assert before is not None
        return before.fields.get(cascade.column) != after.fields.get(cascade.column)

    def _reach_of(self, item: Numbered) -> tuple[list[dict[str, Any]], set[int], list[Problem]]:
        row = self._deleted_row(item)
        assert row is not None
        reach = self._reaches[row]
        requires = {self._changed_rows[(cascade.model, cascade.pk)].number for cascade in reach.apart}
        labels = _labels(reach.cascades[:LABELLED_CASCADES])
        cascades = [
            {
                "model": cascade.model._meta.label_lower,
                "pk": str(cascade.pk),
                "label": labels.get((cascade.model, cascade.pk), ""),
                "effect": cascade.effect,
                "column": cascade.column,
            }
            for cascade in reach.cascades
        ]
        return cascades, requires, _obstacles(reach.obstacles)


def _obstacles(obstacles: list[Cascade]) -> list[Problem]:
    counts: dict[tuple[type[models.Model], str], int] = {}
    for cascade in obstacles:
        counts[(cascade.model, cascade.column)] = counts.get((cascade.model, cascade.column), 0) + 1
    return [
        problem(
            "protected",
            column,
            f"{count} {'row' if count == 1 else 'rows'} of {model._meta.label_lower} here refer to it by {column}, "
            "which forbids the delete. Move or remove them first.",
        )
        for (model, column), count in counts.items()
    ]


def _labels(cascades: list[Cascade]) -> dict[Row, str]:
    """What people call these rows: their `str()`."""
    by_model: dict[type[models.Model], list[Any]] = {}
    for cascade in cascades:
        by_model.setdefault(cascade.model, []).append(cascade.pk)
    return {
        (model, row.pk): str(row)[:200]
        for model, pks in by_model.items()
        for row in model._base_manager.using(USING).filter(pk__in=pks)
    }


def _plain(file: FileValue | None) -> dict[str, Any] | None:
    return None if file is None else file.to_plain()


def _carried(record: Record | None) -> dict[str, Any]:
    return {} if record is None else {name: value for name, value in record.carried.items() if name != PK}
