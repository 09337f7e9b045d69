"""From differences to changes: the diff, what each requires, what it takes along, what forbids it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import groupby
from typing import Any

from django.db import DEFAULT_DB_ALIAS

from data_sync import conf
from data_sync.core.claims import Claims
from data_sync.core.records import FileValue, Record, key_text
from data_sync.core.redaction import diff_rows
from data_sync.core.source import Outside
from data_sync.core.states import Operation
from data_sync.models import Change, DataSource
from data_sync.orm.check_problems import check_problems
from data_sync.orm.limits import Problem, required_problems, value_problems
from data_sync.orm.referred import ReferredColumns
from data_sync.orm.rows import PK
from data_sync.orm.schema import ModelSchema
from data_sync.orm.validators import warnings

from .circles import Circles
from .collisions import Collisions
from .comparison import Comparison, Numbered, Sides
from .conflicts import Conflicts, Standing
from .content import key_digest
from .deletions import Deletions
from .rings import Rings
from .targets import Targets


def classified(comparison: Comparison, outside: Outside, source: DataSource | None) -> Iterator[list[Change]]:
    """The changes in number order, in batches, not yet saved and without changeset. `source` is whose they are."""
    circles, rings = Circles(comparison), Rings(comparison, DEFAULT_DB_ALIAS)
    with closing(Claims(conf.spool_dir())) as claims:
        for entries in comparison.entries():
            batch = comparison.sides(entries)
            circumstances = _Circumstances(comparison, batch, circles, rings, claims, source)
            left = _left_scope(comparison, entries, outside)
            yield [_change(sides, circumstances, sides.entry.number in left) for sides in batch]


class _Circumstances:
    """What is round the changes of one batch, looked up for all of them together."""

    def __init__(
        self,
        comparison: Comparison,
        batch: list[Sides],
        circles: Circles,
        rings: Rings,
        claims: Claims,
        source: DataSource | None,
    ) -> None:
        self._targets = Targets(comparison, batch, circles, claims, DEFAULT_DB_ALIAS)
        self._deletions = Deletions(comparison, batch, claims, DEFAULT_DB_ALIAS)
        self._rings = rings
        self._collisions = Collisions(comparison, batch, claims, DEFAULT_DB_ALIAS)
        self._conflicts = Conflicts(batch, DEFAULT_DB_ALIAS, source, comparison.redaction)
        self.digest = comparison.redaction.digest
        self._referred = ReferredColumns(_updates(batch), DEFAULT_DB_ALIAS)

    def of(self, sides: Sides) -> tuple[set[int], list[Problem], list[dict[str, Any]]]:
        """What a change requires, what forbids it, and what it takes along."""
        row = sides.row
        if sides.after is None:
            assert row is not None
            problems = [*self._deletions.problems(row), *self._rings.problems(sides)]
            requires = self._deletions.requires(row) | self._rings.requires(sides)
            return requires, problems, self._deletions.cascades(row)
        schema = sides.entry.schema
        requires, problems = self._targets.requirements(sides)
        collided, collisions = self._collisions.of(sides)
        problems += value_problems(schema, sides.before, sides.after, DEFAULT_DB_ALIAS)
        problems += check_problems(schema, sides.before, sides.after, DEFAULT_DB_ALIAS)
        problems += collisions
        if sides.before is not None:
            problems += self._referred.problems(schema, sides.before, sides.after)
        if sides.entry.operation in (Operation.CREATE, Operation.RENAME):
            problems += self._targets.hidden_row(sides)
        if sides.before is None:
            problems += required_problems(schema)
        replaced = row is not None and sides.entry.operation == Operation.RENAME
        cascades = self._deletions.cascades_of_replacement(row) if replaced and row is not None else []
        return requires | collided - {sides.entry.number}, problems, cascades

    def standing(self, sides: Sides) -> Standing:
        return self._conflicts.of(sides)


def _updates(batch: Iterable[Sides]) -> Iterator[tuple[ModelSchema, Record, Record]]:
    for sides in batch:
        if sides.before is not None and sides.after is not None:
            yield sides.entry.schema, sides.before, sides.after


def _left_scope(comparison: Comparison, entries: Iterable[Numbered], outside: Outside) -> set[int]:
    """Numbers of the deletes whose rows the source still has, outside of what is synced.

    The source knows rows below a renamed one by their new keys.
    """
    deletes = [entry for entry in entries if entry.operation == Operation.DELETE]
    left: set[int] = set()
    for label, group in groupby(deletes, lambda entry: entry.schema.label):
        numbers = {comparison.rekeying.key(label, entry.key_text).text: entry.number for entry in group}
        left |= {numbers[text] for text in outside(label, list(numbers))}
    return left


def _change(sides: Sides, circumstances: _Circumstances, left_scope: bool) -> Change:
    entry, before, after = sides.entry, sides.before, sides.after
    requires, problems, cascades = circumstances.of(sides)
    standing = circumstances.standing(sides)
    key = list(sides.record.key)
    is_rename = entry.operation == Operation.RENAME
    return Change(
        number=entry.number,
        model=entry.schema.label,
        operation=entry.operation.value,
        key=key,
        key_text=key_text(sides.record.key),
        key_digest=key_digest(sides.record.key_text),
        previous_key=list(before.key) if is_rename and before else None,
        local_pk=before and before.carried[PK],
        before=before and dict(before.fields),
        after=after and dict(after.fields),
        diff=diff_rows(_fields(before), _fields(after), entry.schema.redacted),
        files={
            file.name: {"before": _file(before, file.name), "after": _file(after, file.name)}
            for file in entry.schema.files
        },
        carried={"before": _carried(before), "after": _carried(after)},
        before_digest=circumstances.digest(before) if before else "",
        after_digest=circumstances.digest(after) if after else "",
        requires=sorted(requires),
        cascades=cascades,
        problems=problems,
        warnings=warnings(entry.schema, before, after) if after else [],
        base=standing.base,
        base_digest=standing.base_digest,
        conflict=standing.conflict,
        left_scope=left_scope,
        has_cascades=bool(cascades),
        has_problems=bool(problems),
        is_conflict=bool(standing.conflict),
    )


def _fields(record: Record | None) -> dict[str, Any]:
    return {} if record is None else dict(record.fields)


def _file(record: Record | None, name: str) -> dict[str, Any] | None:
    file: FileValue | None = None if record is None else record.files[name]
    return None if file is None else file.to_plain()


def _carried(record: Record | None) -> dict[str, Any]:
    return {} if record is None else {name: value for name, value in record.carried.items() if name != PK}
