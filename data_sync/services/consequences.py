"""What applying the accepted changes would do, and what they still lack."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, QuerySet

from data_sync.core.states import Decision, Operation
from data_sync.models import Change, Changeset

from .content import wanted_files
from .requirements import closure, unmet_requirements
from .selection import KEPT_ROW

__all__ = ["Consequences", "closure", "consequences", "unmet_requirements"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequences:
    """What applying the accepted changes would do. `models` maps labels to counts per operation; `cascades`
    has the stored cascades, each with its `change` number, and `restores` what comes back along; sizes are in bytes."""

    models: dict[str, dict[str, int]] = field(default_factory=dict)
    cascades: list[dict[str, Any]] = field(default_factory=list)
    restores: list[dict[str, Any]] = field(default_factory=list)
    files: int = 0
    file_bytes: int = 0
    unmet: dict[int, list[int]] = field(default_factory=dict)
    left_out: int = 0

    def total(self, operation: Operation) -> int:
        return sum(counts.get(operation.value, 0) for counts in self.models.values())

    @property
    def rows_deleted(self) -> int:
        """Rows that are there no more afterwards, those that go along with others included."""
        along = [cascade for cascade in self.cascades if cascade["effect"] == "delete"]
        return self.total(Operation.DELETE) + len(along)


def consequences(changeset: Changeset) -> Consequences:
    accepted = changeset.changes.filter(decision=Decision.ACCEPTED.value).order_by()
    per_model: dict[str, dict[str, int]] = {}
    for label, operation, count in accepted.values_list("model", "operation").annotate(count=Count("pk")):
        per_model.setdefault(label, {})[operation] = count
    taking_along = accepted.filter(has_cascades=True).exclude(KEPT_ROW).order_by("number")
    cascades = [
        {**cascade, "change": number}
        for number, of_change in taking_along.values_list("number", "cascades")
        for cascade in of_change
    ]
    bringing_back = accepted.exclude(restores=[]).order_by("number").values_list("restores", flat=True)
    files = list(file_sizes(accepted))
    return Consequences(
        models=per_model,
        cascades=cascades,
        restores=[row for of_change in bringing_back for row in of_change],
        files=len(files),
        file_bytes=sum(files),
        unmet=unmet_requirements(changeset),
        left_out=changeset.changes.exclude(decision=Decision.ACCEPTED.value).count(),
    )


def file_sizes(accepted: QuerySet[Change]) -> Iterable[int]:
    """In bytes, of each file whose bytes come from the source."""
    with_files = accepted.exclude(files={}).defer("diff", "requires", "cascades", "problems")
    for change in with_files.iterator(chunk_size=500):
        yield from (file.size for file in wanted_files(change).values())
