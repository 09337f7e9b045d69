"""Decisions on all changes that a selection leaves: which these are, and what is left out for which reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from data_sync.core import ordering
from data_sync.core.states import Decision, Operation, RenameChoice
from data_sync.models import Change, Changeset
from data_sync.models.fields import as_stored
from data_sync.orm.batches import batches

from .requirements import needs_of, required_by, requires_of
from .selection import Selection

EVERY = Q(pk__isnull=False)
LEFT_OUT_AT_ONCE = 1000
"""So many changes are left out by one statement; it is more statements where there are more of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """The changes that a decision is about, out of a total, and how many are left out, by reason: "decided", "deletes",
    "renames", "conflicts", "problems", "requirements". Each is left out for the first of them."""

    changes: QuerySet[Change]
    count: int
    total: int
    skipped: dict[str, int]
    held_back: frozenset[int]
    """The numbers of those among `changes` that requirements forbid to decide so."""

    def parts(self, changeset: Changeset) -> list[QuerySet[Change]]:
        """The changes without those held back."""
        if len(self.held_back) <= LEFT_OUT_AT_ONCE:
            return [self.changes.exclude(number__in=self.held_back)]
        numbers = set(self.changes.values_list("number", flat=True)) - self.held_back
        return [changeset.changes.filter(number__in=batch) for batch in batches(sorted(numbers))]


def matching(
    changeset: Changeset,
    selection: Selection,
    changes: QuerySet[Change],
    decisions: Sequence[Decision],
    *,
    acknowledge: bool = False,
    rename_choice: RenameChoice | None = None,
    with_requirements: bool = False,
) -> dict[Decision, Matching]:
    """What each of these decisions would be about; `changes` are those of the selection.

    Two queries, some more where something has been decided that others require, and none for each change.
    """
    changes = changes.order_by()
    reasons = {
        decision: list(_reasons(selection, decision, acknowledge, rename_choice is not None)) for decision in decisions
    }
    counting = {"total": Count("pk")}
    left: dict[Decision, Q] = {}
    for decision in decisions:
        rest = EVERY
        for name, is_left_out in reasons[decision]:
            counting[f"{decision.value}_{name}"] = Count("pk", filter=rest & is_left_out)
            rest &= ~is_left_out
        counting[f"{decision.value}_count"] = Count("pk", filter=rest)
        left[decision] = rest
    counted = changes.aggregate(**counting)
    needs = None if with_requirements else _Needs(changeset)
    found = {}
    for decision in decisions:
        meant, count = changes.filter(left[decision]), counted[f"{decision.value}_count"]
        held_back = needs.held_back(meant, decision) if needs is not None and count else frozenset()
        skipped = {name: counted[f"{decision.value}_{name}"] for name, _ in reasons[decision]}
        found[decision] = Matching(
            changes=meant,
            total=counted["total"],
            count=count - len(held_back),
            skipped=skipped | {"requirements": len(held_back)},
            held_back=held_back,
        )
    return found


def _reasons(
    selection: Selection, decision: Decision, acknowledge: bool, renames_are_meant: bool
) -> Iterator[tuple[str, Q]]:
    """Why changes of a selection are left out: what has been decided, unless that is what is selected; and nothing
    dangerous is accepted with the rest."""
    if not selection.decision:
        yield "decided", ~Q(decision=Decision.UNDECIDED.value)
    if decision != Decision.ACCEPTED:
        return
    if not selection.is_of(Operation.DELETE):
        yield "deletes", Q(operation=Operation.DELETE.value)
    if not selection.is_of(Operation.RENAME) and not renames_are_meant:
        yield "renames", Q(operation=Operation.RENAME.value)
    if not acknowledge:
        yield "conflicts", Q(is_conflict=True)
    yield "problems", Q(has_problems=True)


class _Needs:
    """What decided changes mean for decisions on others. One query, and another one where something is rejected."""

    def __init__(self, changeset: Changeset) -> None:
        self._changeset = changeset
        rows = changeset.changes.order_by().annotate(required=as_stored("requires"))
        rows = rows.filter(
            Q(decision=Decision.REJECTED.value) | Q(decision=Decision.ACCEPTED.value) & ~Q(required="[]")
        )
        self._rejected: set[int] = set()
        self._of_accepted: dict[int, list[int]] = {}
        columns = ("number", "decision", "requires", "kept")
        for number, decision, requires, kept in rows.values_list(*columns).iterator(chunk_size=2000):
            if decision == Decision.REJECTED:
                self._rejected.add(number)
            elif needs := needs_of(requires, kept):
                self._of_accepted[number] = needs

    def held_back(self, changes: QuerySet[Change], decision: Decision) -> frozenset[int]:
        """Which of the changes cannot be decided so: accepting needs what is rejected, or rejecting would take away
        what is accepted needs, and neither is decided along."""
        match decision:
            case Decision.ACCEPTED if self._rejected:
                numbers = set(changes.values_list("number", flat=True))
                return frozenset(ordering.dependents(self._rejected - numbers, requires_of(changes)))
            case Decision.REJECTED if self._of_accepted:
                # By way of others, too: of many, nobody looks at each, as who rejects one by name does.
                numbers = set(changes.values_list("number", flat=True))
                staying = {number: needs for number, needs in self._of_accepted.items() if number not in numbers}
                return frozenset(required_by(self._changeset, staying, staying) & numbers)
            case _:
                return frozenset()
