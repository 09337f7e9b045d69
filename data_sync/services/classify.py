"""From differences to changes: the diff, what each requires, what it takes along, what forbids it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data_sync.core.diff import diff_fields
from data_sync.core.records import FileValue, Record, key_text
from data_sync.models import Change
from data_sync.orm.batches import batches
from data_sync.orm.limits import Problem, problem, required_columns, value_problems
from data_sync.orm.rows import PK

from .comparison import Comparison, Sides
from .deletions import Deletions
from .targets import Targets

BATCH = 200
USING = "default"


def classified(comparison: Comparison) -> Iterator[list[Change]]:
    """The changes in number order, in batches, not yet saved and without changeset."""
    deletions = Deletions(comparison, USING)
    for entries in batches(comparison.numbered, BATCH):
        batch = comparison.sides(entries)
        targets = Targets(comparison, batch, USING)
        yield [_change(sides, targets, deletions) for sides in batch]


def _change(sides: Sides, targets: Targets, deletions: Deletions) -> Change:
    entry, before, after = sides.entry, sides.before, sides.after
    requires, problems, cascades = _circumstances(sides, targets, deletions)
    return Change(
        number=entry.number,
        model=entry.schema.label,
        operation=entry.operation.value,
        key=list(sides.record.key),
        key_text=key_text(sides.record.key),
        local_pk=before and before.carried[PK],
        before=before and dict(before.fields),
        after=after and dict(after.fields),
        diff=[row.to_plain() for row in diff_fields(_fields(before), _fields(after))],
        files={
            file.name: {"before": _file(before, file.name), "after": _file(after, file.name)}
            for file in entry.schema.files
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


def _circumstances(
    sides: Sides, targets: Targets, deletions: Deletions
) -> tuple[set[int], list[Problem], list[dict[str, Any]]]:
    """What a change requires, what forbids it, and what it takes along."""
    if sides.after is None:
        row = sides.row
        assert row is not None
        return deletions.requires(row), deletions.problems(row), deletions.cascades(row)
    schema = sides.entry.schema
    requires, problems = targets.requirements(sides)
    problems += value_problems(schema, sides.before, sides.after, USING)
    if sides.before is None:
        problems += targets.hidden_row(sides)
        problems += [
            problem("required_column", name, f"{name} is required here, is not synced and has no default.")
            for name in required_columns(schema)
        ]
    return requires, problems, []


def _fields(record: Record | None) -> dict[str, Any]:
    return {} if record is None else dict(record.fields)


def _file(record: Record | None, name: str) -> dict[str, Any] | None:
    file: FileValue | None = None if record is None else record.files[name]
    return None if file is None else file.to_plain()


def _carried(record: Record | None) -> dict[str, Any]:
    return {} if record is None else {name: value for name, value in record.carried.items() if name != PK}
