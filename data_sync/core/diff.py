"""The structured difference of two records' fields: one row per place that differs.

The contract, for whoever reads a stored diff:

- A *path* is an array: the field's name, then object members (strings, also where they look like
  numbers) and list positions (integers).
- `changed` has both sides, `removed` only `before`, `added` only `after`. A missing side is not null:
  `{"kind": "added", "after": null}` says that a null was added.
- List positions count in the **before** list. The one exception is the last element of an `added`
  row's path: it counts in the **after** list. So a list is rebuilt forwards by dropping what was
  removed and inserting what was added, in ascending order; and backwards by dropping what was added
  and inserting what was removed. What remains stands in the same order on both sides, and rows with
  longer paths tell how its items differ. An item that moved is removed and added.
- There is no row exactly if both sides have the same canonical JSON; each row makes a difference.
- Rows are ordered by path, positions before names; where one path has two rows, `added` comes last.
- `note` says why a row is coarser than it might be: `too_costly`, see `MAX_STEPS` and `MAX_ROWS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .alignment import TOO_COSTLY, Budget, Run, align, pair
from .equality import StrictKeys, same

Path = tuple[str | int, ...]
Kind = Literal["added", "removed", "changed"]
Places = list[tuple[Path, Any, Any]]

MAX_STEPS = 1_000_000
"""Steps spent per field on aligning its lists; a list beyond that stands as changed, as a whole."""
MAX_ROWS = 5_000
"""Places per field where lists and objects may differ; one that goes beyond stands as changed, as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffRow:
    """One difference. `before` is None for what was added, `after` for what was removed."""

    path: Path
    kind: Kind
    before: Any = None
    after: Any = None
    note: str | None = None

    def to_plain(self) -> dict[str, Any]:
        """The row as JSON has it: without the side that is not there, and `note` only where set."""
        plain: dict[str, Any] = {"path": list(self.path), "kind": self.kind}
        if self.kind != "added":
            plain["before"] = self.before
        if self.kind != "removed":
            plain["after"] = self.after
        if self.note is not None:
            plain["note"] = self.note
        return plain


def diff_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[DiffRow]:
    """How two records' fields differ. The values are JSON-plain and are not copied; see the module."""
    rows: list[DiffRow] = []
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            rows.append(_added((name,), after[name]))
        elif name not in after:
            rows.append(_removed((name,), before[name]))
        else:
            rows += _diff_value((name,), before[name], after[name])
    return rows


def _diff_value(path: Path, before: Any, after: Any) -> list[DiffRow]:
    if _are_same(before, after):
        return []
    if not (isinstance(before, dict | list) and isinstance(after, dict | list)):
        return [_changed(path, before, after)]
    return sorted(_Structure(StrictKeys()).diff(path, before, after), key=_position)


def _are_same(before: Any, after: Any) -> bool:
    try:
        return same(before, after)
    except RecursionError:  # Deeper than a record can be; nothing here recurses.
        keys = StrictKeys()
        return keys.of(before) == keys.of(after)


class _Structure:
    """The difference of two lists or objects, level by level: nothing recurses, whatever the depth."""

    def __init__(self, keys: StrictKeys) -> None:
        self._keys = keys
        self._steps = Budget(MAX_STEPS)
        self._places = Budget(MAX_ROWS)
        self._rows: list[DiffRow] = []
        self._unequal: Places = []

    def diff(self, path: Path, before: Any, after: Any) -> list[DiffRow]:
        """The rows, in no order."""
        self._unequal = [(path, before, after)]
        while self._unequal:
            # Sorted, so that what the budgets suffice for does not depend on the order of members.
            level = sorted(self._unequal, key=lambda place: _sortable(place[0]))
            self._unequal = []
            objects: Places = []
            for path, left, right in level:
                match left, right:
                    case dict(), dict():
                        left_members, right_members = self._differing(left, right), self._differing(right, left)
                        if not self._places.spend(len(left_members.keys() | right_members.keys())):
                            self._rows.append(_changed(path, left, right, note=TOO_COSTLY))
                        elif left_members.keys() == right_members.keys():  # What stands against what is plain.
                            self._unequal += [((*path, name), left[name], right[name]) for name in left_members]
                        else:
                            objects.append((path, left_members, right_members))
                    case list(), list():
                        self._diff_lists(path, left, right)
                    case _:
                        self._rows.append(_changed(path, left, right))
            if objects:
                self._diff_objects(objects)
        return self._rows

    def _differing(self, one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
        of = self._keys.of
        return {name: part for name, part in one.items() if name not in other or of(part) != of(other[name])}

    def _diff_objects(self, places: Places) -> None:
        """Finds what stands against what in all pairs of objects of one level.

        DeepDiff gets them together, because a call takes 0.2 ms; only members that differ, because
        each takes 10 µs, equal or not; and one level, because it copies all levels above for each
        member below. How two members differ is not left to it: it takes 0.0 for -0.0, compares
        lists of equal length by position, and strings line by line without bound.
        """
        from deepdiff import DeepDiff  # 0.2 s to import

        paired = _PairedMembers()
        result = DeepDiff(
            {number: left for number, (_, left, _) in enumerate(places)},
            {number: right for number, (_, _, right) in enumerate(places)},
            view="tree",
            threshold_to_diff_deeper=0,
            ignore_private_variables=False,  # or it passes over names that begin with two underscores
            report_repetition=True,
            custom_operators=[paired],
        )
        for level in paired.levels:
            self._unequal.append((_path(level, places), level.t1, level.t2))
        for level in result.get("dictionary_item_added", ()):
            self._rows.append(_added(_path(level, places), level.t2))
        for level in result.get("dictionary_item_removed", ()):
            self._rows.append(_removed(_path(level, places), level.t1))

    def _diff_lists(self, path: Path, before: list[Any], after: list[Any]) -> None:
        of = self._keys.of
        runs = align([of(item) for item in before], [of(item) for item in after], self._steps)
        unequal = [run for run in runs or () if not run.equal]
        differing = sum(max(len(run.before), len(run.after)) for run in unequal)
        if runs is None or not self._places.spend(differing):
            self._rows.append(_changed(path, before, after, note=TOO_COSTLY))
            return
        for run in unequal:
            pairs = self._pairs(run, before, after)
            self._unequal += [((*path, i), before[i], after[j]) for i, j in pairs]
            removed = set(run.before).difference(i for i, _ in pairs)
            added = set(run.after).difference(j for _, j in pairs)
            self._rows += [_removed((*path, i), before[i]) for i in removed]
            self._rows += [_added((*path, j), after[j]) for j in added]

    def _pairs(self, run: Run, before: list[Any], after: list[Any]) -> Sequence[tuple[int, int]]:
        """Which items of an unequal run are shown as one that changed."""

        def likeness(i: int, j: int) -> int:
            return self._likeness(before[i], after[j])

        size = sum(len(before[i]) if isinstance(before[i], dict | list) else 1 for i in run.before)
        if self._steps.spend(10 * (size + len(run.before)) * len(run.after)):
            return pair(run.before, run.after, likeness)
        return [(i, j) for i, j in zip(run.before, run.after, strict=False) if likeness(i, j)]

    def _likeness(self, left: Any, right: Any) -> int:
        of = self._keys.of
        match left, right:
            case dict(), dict():
                shared = sum(name in right and of(part) == of(right[name]) for name, part in left.items())
                return 1 + 100 * shared // max(len(left), len(right), 1)
            case list(), list():
                shared = sum(of(x) == of(y) for x, y in zip(left, right, strict=False))
                return 100 * shared // max(len(left), len(right), 1)
            case (dict() | list(), _) | (_, dict() | list()):
                return 0
        return 1


class _PairedMembers:
    """Tells DeepDiff to leave alone what two objects have under the same name, and keeps that instead."""

    def __init__(self) -> None:
        self.levels: list[Any] = []

    def match(self, level: Any) -> bool:
        return len(level.path(output_format="list")) == 2

    def give_up_diffing(self, level: Any, diff_instance: Any) -> bool:
        self.levels.append(level)
        return True


def _path(level: Any, places: Places) -> Path:
    number, name = level.path(output_format="list")
    return (*places[number][0], name)


def _sortable(path: Path) -> list[tuple[bool, int, str]]:
    return [(False, part, "") if isinstance(part, int) else (True, 0, part) for part in path]


def _position(row: DiffRow) -> tuple[list[tuple[bool, int, str]], bool]:
    return _sortable(row.path), row.kind == "added"


def _added(path: Path, after: Any) -> DiffRow:
    return DiffRow(path=path, kind="added", after=after)


def _removed(path: Path, before: Any) -> DiffRow:
    return DiffRow(path=path, kind="removed", before=before)


def _changed(path: Path, before: Any, after: Any, note: str | None = None) -> DiffRow:
    return DiffRow(path=path, kind="changed", before=before, after=after, note=note)
