"""Models of which nothing was agreed on with a source, and nobody has looked at what its first pull found."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from data_sync.core.states import ChangesetState, Operation, PullState
from data_sync.models import DataPull, DataSource
from data_sync.models.fields import as_stored

REVIEWED = (ChangesetState.APPLIED, ChangesetState.REVERTED, ChangesetState.REJECTED)


def unreviewed(source: DataSource | None, labels: Collection[str]) -> set[str]:
    """Those of these models whose latest pull was their first, as far as baselines could tell, and found differences
    that were neither applied nor rejected.

    A first pull agrees on the rows that are equal. Of the others it remains unknown whether they were edited, or
    deleted, here: a pull that comes after it knows no more of them.
    """
    found = set()
    left = set(labels)
    for report, state, omitted in _latest(source, left):
        for row in report.get("models", ()):
            if row["label"] not in left:
                continue
            left.discard(row["label"])
            # What was agreed on of the whole is still there where only a part was compared.
            is_first = row.get("is_new", False) and row["label"] not in (omitted or {})
            if is_first and state not in REVIEWED and any(row.get(operation.value) for operation in Operation):
                found.add(row["label"])
    return found


def _latest(source: DataSource | None, left: set[str]) -> Iterator[tuple[dict[str, Any], str | None, Any]]:
    """The source's latest pull; and of each model that is still `left` then, its own latest."""
    if source is None or not left:
        return
    pulls = DataPull.objects.filter(source=source, state=PullState.DONE.value).order_by("-pk")
    columns = ("report", "changeset__state", "changeset__omitted")
    yield from pulls.values_list(*columns)[:1]
    for label in sorted(left):
        of_model = pulls.alias(text=as_stored("report")).filter(text__contains=f'"label":"{label}"')
        yield from of_model.values_list(*columns)[:1]
