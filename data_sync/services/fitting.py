"""Whether an apply, which is one transaction, fits into the time that a task may take.

The rates are a third or less of those measured (docs/explanation/performance.md): what takes longer than estimated is
stopped half-way, time after time.
"""

from __future__ import annotations

import math

from data_sync.core.errors import InvalidTransition
from data_sync.core.states import Decision
from data_sync.models import Changeset
from data_sync.orm.resolution import schemas

from .consequences import file_sizes

ROWS_PER_SECOND = 500
SAVED_PER_SECOND = 100
"""The same, of models that are registered with `save="model"`."""
FILES_PER_SECOND = 10
BYTES_PER_SECOND = 5_000_000
SHARE = 0.8
"""Of a deadline, what an estimate may take of it."""


def estimated_seconds(changeset: Changeset) -> float:
    """How long the apply of the accepted changes may take, as far as can be told beforehand."""
    accepted = changeset.changes.filter(decision=Decision.ACCEPTED.value).order_by()
    saved = [label for label, schema in schemas().items() if schema.registration.save == "model"]
    sizes = list(file_sizes(accepted))
    by_model = accepted.filter(model__in=saved).count()
    along = sum(map(len, accepted.filter(has_cascades=True).values_list("cascades", flat=True).iterator()))
    return (
        (accepted.count() - by_model + along) / ROWS_PER_SECOND
        + by_model / SAVED_PER_SECOND
        + len(sizes) / FILES_PER_SECOND
        + sum(sizes) / BYTES_PER_SECOND
    )


def require_fitting(changeset: Changeset, deadline: float | None) -> None:
    """Raises `InvalidTransition` unless the apply fits into so many seconds; None: there is no deadline."""
    reason = unfitting(changeset, deadline)
    if reason:
        raise InvalidTransition(reason)


def unfitting(changeset: Changeset, deadline: float | None) -> str:
    """Why the apply does not fit into so many seconds, and what to do; "" where it does, or there is no deadline."""
    if deadline is None:
        return ""
    seconds = estimated_seconds(changeset)
    if seconds <= deadline * SHARE:
        return ""
    number = changeset.pk
    return (
        f"To apply the accepted changes of changeset {number} may take {math.ceil(seconds / 60)} min, and a task has "
        f"{deadline / 60:g} min here (DATA_SYNC_TASK_DEADLINE). An apply is one transaction and cannot be cut in two. "
        "Pull fewer models at a time, or accept fewer changes; or approve and apply it by command, which has no "
        f"deadline: data_sync approve {number}, data_sync apply {number}."
    )
