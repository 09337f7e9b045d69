"""What became of each change: stored at the end of an apply, forgotten when another one may follow."""

from __future__ import annotations

from collections.abc import Iterable

from data_sync.core.states import Decision, Outcome
from data_sync.models import Change, Changeset
from data_sync.orm.batches import batches


def store_success(changeset: Changeset, unchanged: Iterable[int]) -> int:
    """Outcomes of an apply that came about; gives the number of changes that were left out."""
    accepted = changeset.changes.filter(decision=Decision.ACCEPTED.value)
    accepted.update(outcome=Outcome.APPLIED.value, outcome_reason="")
    for numbers in batches(unchanged):
        accepted.filter(number__in=numbers).update(outcome=Outcome.UNCHANGED.value)
    left_out = changeset.changes.exclude(decision=Decision.ACCEPTED.value)
    return left_out.update(outcome=Outcome.SKIPPED.value, outcome_reason="")


def store_reasons(changeset: Changeset, outcome: Outcome, reasons: dict[int, str]) -> None:
    """Outcomes of an apply that wrote nothing: `outcome` for the changes that were the reason, by number."""
    changeset.changes.filter(decision=Decision.ACCEPTED.value).update(
        outcome=Outcome.SKIPPED.value,
        outcome_reason="Nothing was written, because other changes could not be.",
    )
    for numbers in batches(reasons):
        Change.objects.bulk_update(
            [
                Change(pk=pk, outcome=outcome.value, outcome_reason=reasons[number])
                for number, pk in changeset.changes.filter(number__in=numbers).values_list("number", "pk")
            ],
            ["outcome", "outcome_reason"],
        )


def forget_outcomes(changeset_id: int) -> None:
    """Clears what an attempt left: it says nothing about the next one. The audit trail keeps its reason."""
    Change.objects.filter(changeset_id=changeset_id).exclude(outcome="").update(outcome="", outcome_reason="")
