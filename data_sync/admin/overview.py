"""The counts of a changeset as the review shows them: one grouped query, added up in several ways."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db.models import Count
from django.utils.translation import gettext as _

from data_sync.core.states import Decision, Operation
from data_sync.models import Change, Changeset

from .filters import Filters
from .markup import COLUMNS, SIGNS, operation_words
from .names import model_name
from .paging import CONFLICT, ORDER


class Group(NamedTuple):
    """What changes are counted by."""

    model: str
    operation: str
    decision: str
    is_conflict: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NavEntry:
    """One link of the navigation; `sign` is empty for a model, or for everything.

    `operation` is "conflict" for the entry of those, whatever they do.
    """

    words: str
    query: str
    total: int
    undecided: int
    is_current: bool
    sign: str = ""
    operation: str = ""
    key: str = ""
    """What a script finds the entry by when a decision changes its counts."""
    entries: tuple[NavEntry, ...] = ()


@dataclass(slots=True)
class Counts:
    """How many changes there are by model, operation and decision, and how many of them are conflicts."""

    groups: dict[Group, int] = field(default_factory=dict)

    @classmethod
    def of(cls, changeset: Changeset) -> Counts:
        rows = Change.objects.filter(changeset=changeset).order_by().values_list(*Group._fields)
        return cls({Group(*group): n for *group, n in rows.annotate(n=Count("pk"))})

    def number(self, *, model: str = "", operation: str = "", decision: str = "", only_conflicts: bool = False) -> int:
        return sum(
            count
            for group, count in self.groups.items()
            if (not model or group.model == model)
            and (not operation or group.operation == operation)
            and (not decision or group.decision == decision)
            and (not only_conflicts or group.is_conflict)
        )

    def decisions(self) -> dict[str, int]:
        return {decision.value: self.number(decision=decision) for decision in Decision}

    def undecided(self) -> dict[str, int]:
        """How many are undecided, by the `key` of each entry that the navigation has."""
        models = ["", *dict.fromkeys(group.model for group in self.groups)]
        return {
            _entry_key(model, entry): self._of_entry(model, entry, Decision.UNDECIDED)
            for model in models
            for entry in ("", *(ORDER if model else (CONFLICT,)))
            if not entry or self._of_entry(model, entry)
        }

    def navigation(self, changeset: Changeset, filters: Filters) -> list[NavEntry]:
        """Everything, then each model with its conflicts and operations; links keep the other filters."""
        labels = [row["label"] for row in changeset.summary if self.number(model=row["label"])]
        labels += sorted({group.model for group in self.groups} - set(labels))
        everything = self._entry("", "", filters, tuple(self._inner("", filters, [CONFLICT])))
        return [
            everything,
            *(self._entry(label, "", filters, tuple(self._inner(label, filters, ORDER))) for label in labels),
        ]

    def _inner(self, model: str, base: Filters, entries: Iterable[str]) -> Iterator[NavEntry]:
        for entry in entries:
            if self._of_entry(model, entry):
                yield self._entry(model, entry, base)

    def _of_entry(self, model: str, entry: str, decision: str = "") -> int:
        is_conflict = entry == CONFLICT
        operation = "" if is_conflict else entry
        return self.number(model=model, operation=operation, decision=decision, only_conflicts=is_conflict)

    def _entry(self, model: str, entry: str, base: Filters, entries: tuple[NavEntry, ...] = ()) -> NavEntry:
        # Whoever has looked at the conflicts finds all changes behind the other entries again.
        flag = "conflicts" if entry == CONFLICT else "" if base.flag == "conflicts" else base.flag
        target = base.but(number=None, model=model, op="" if entry == CONFLICT else entry, flag=flag)
        sign, words = "", model_name(model) if model else ""
        if entry == CONFLICT:
            sign, words = "⚠", _("Conflicts")
        elif entry:
            sign, words = SIGNS[Operation(entry)], operation_words(entry)
        return NavEntry(
            words=words,
            sign=sign,
            operation=entry,
            query=target.query(),
            total=self._of_entry(model, entry),
            undecided=self._of_entry(model, entry, Decision.UNDECIDED),
            is_current=target == base,
            key=_entry_key(model, entry),
            entries=entries,
        )


def _entry_key(model: str, entry: str) -> str:
    return f"{model} {entry}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRow:
    """One model in the table at the head of a review."""

    label: str
    name: str
    compared: int
    cells: tuple[tuple[str, int, str], ...]
    """Per operation: its value, how many, and the query that shows them."""
    conflicts: int
    cascades: int
    problems: int
    viewed: int
    decided: int
    total: int


def summary_rows(changeset: Changeset, counts: Counts, viewed: Mapping[str, int]) -> list[SummaryRow]:
    """The models that differ, in the changeset's order. `viewed` are how many have been ticked off, by model."""
    return [
        _summary_row(row, counts, viewed.get(row["label"], 0))
        for row in changeset.summary
        if counts.number(model=row["label"])
    ]


def unchanged_models(changeset: Changeset) -> list[str]:
    """The models that were compared and found the same."""
    return [model_name(row["label"]) for row in changeset.summary if not _total(row)]


def _summary_row(row: dict[str, Any], counts: Counts, viewed: int) -> SummaryRow:
    label = row["label"]
    total = counts.number(model=label)
    return SummaryRow(
        label=label,
        name=model_name(label),
        compared=row["compared"],
        cells=tuple(
            (
                operation.value,
                counts.number(model=label, operation=operation),
                Filters(model=label, op=operation.value).query(),
            )
            for operation in COLUMNS
        ),
        conflicts=counts.number(model=label, only_conflicts=True),
        cascades=row["cascades"],
        problems=row["problems"],
        viewed=viewed,
        decided=total - counts.number(model=label, decision=Decision.UNDECIDED),
        total=total,
    )


def _total(row: dict[str, Any]) -> int:
    return sum(int(row.get(operation.value, 0)) for operation in Operation)


def total_of(rows: Iterable[dict[str, Any]], name: str) -> int:
    return sum(int(row.get(name, 0)) for row in rows)
