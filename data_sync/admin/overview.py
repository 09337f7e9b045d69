"""The counts of a changeset as the review shows them: one grouped query, added up in several ways."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count

from data_sync.core.states import Decision, Operation
from data_sync.models import Change, Changeset

from .filters import Filters
from .markup import SIGNS, operation_words
from .names import model_name
from .paging import ORDER

Group = tuple[str, str, str]
"""Model, operation, decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NavEntry:
    """One link of the navigation; `sign` is empty for a model, or for everything."""

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
    """How many changes there are by model, operation and decision."""

    groups: dict[Group, int] = field(default_factory=dict)

    @classmethod
    def of(cls, changeset: Changeset) -> Counts:
        rows = Change.objects.filter(changeset=changeset).order_by().values_list("model", "operation", "decision")
        return cls({(model, operation, decision): n for model, operation, decision, n in rows.annotate(n=Count("pk"))})

    def number(self, *, model: str = "", operation: str = "", decision: str = "") -> int:
        wanted = (model, operation, decision)
        return sum(
            count
            for group, count in self.groups.items()
            if all(not word or word == part for word, part in zip(wanted, group, strict=True))
        )

    def decisions(self) -> dict[str, int]:
        return {decision.value: self.number(decision=decision) for decision in Decision}

    def matching(self, filters: Filters) -> int | None:
        """How many changes pass the filters; None where that needs a query."""
        if filters.q or filters.flag or filters.number is not None:
            return None
        return self.number(model=filters.model, operation=filters.op, decision=filters.decision)

    def navigation(self, changeset: Changeset, filters: Filters) -> list[NavEntry]:
        """Everything, then each model with its operations; links keep the other filters."""
        base = filters.but(number=None)
        labels = [row["label"] for row in changeset.summary if self.number(model=row["label"])]
        labels += sorted({model for model, _, _ in self.groups} - set(labels))
        return [
            self._entry("", "", base),
            *(
                self._entry(
                    label,
                    "",
                    base,
                    tuple(
                        self._entry(label, operation.value, base)
                        for operation in ORDER
                        if self.number(model=label, operation=operation)
                    ),
                )
                for label in labels
            ),
        ]

    def _entry(self, model: str, operation: str, base: Filters, entries: tuple[NavEntry, ...] = ()) -> NavEntry:
        target = base.but(model=model, op=operation)
        return NavEntry(
            words=operation_words(operation) if operation else model_name(model) if model else "",
            sign=SIGNS[Operation(operation)] if operation else "",
            operation=operation,
            query=target.query(),
            total=self.number(model=model, operation=operation),
            undecided=self.number(model=model, operation=operation, decision=Decision.UNDECIDED),
            is_current=target == base,
            key=f"{model} {operation}".strip(),
            entries=entries,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRow:
    """One model in the table at the head of a review."""

    label: str
    name: str
    compared: int
    cells: tuple[tuple[str, int, str], ...]
    """Per operation: its value, how many, and the query that shows them."""
    cascades: int
    problems: int
    decided: int
    total: int


def summary_rows(changeset: Changeset, counts: Counts) -> list[SummaryRow]:
    """The models that differ, in the changeset's order."""
    return [_summary_row(row, counts) for row in changeset.summary if counts.number(model=row["label"])]


def unchanged_models(changeset: Changeset) -> list[str]:
    """The models that were compared and found the same."""
    return [model_name(row["label"]) for row in changeset.summary if not _total(row)]


def _summary_row(row: dict[str, Any], counts: Counts) -> SummaryRow:
    label = row["label"]
    total = counts.number(model=label)
    return SummaryRow(
        label=label,
        name=model_name(label),
        compared=row["compared"],
        cells=tuple(
            (operation.value, row[operation.value], Filters(model=label, op=operation.value).query())
            for operation in (Operation.CREATE, Operation.UPDATE, Operation.DELETE)
        ),
        cascades=row["cascades"],
        problems=row["problems"],
        decided=total - counts.number(model=label, decision=Decision.UNDECIDED),
        total=total,
    )


def _total(row: dict[str, Any]) -> int:
    return sum(int(row[operation.value]) for operation in Operation)


def total_of(rows: Iterable[dict[str, Any]], name: str) -> int:
    return sum(int(row.get(name, 0)) for row in rows)
