"""Decisions on changes that are named by number: all of them, or none and the reason."""

from __future__ import annotations

from collections.abc import Collection
from typing import assert_never

from django.db.models import QuerySet

from data_sync.core.errors import InvalidTransition
from data_sync.core.states import Decision
from data_sync.models import Change, Changeset
from data_sync.orm.batches import batches

from . import moved, requirements
from .acknowledging import require_acknowledged


def require_there(changeset: Changeset, changes: QuerySet[Change], numbers: Collection[int]) -> None:
    """Raises `InvalidTransition` where one of the numbers is not that of a change of the selection."""
    missing = sorted(set(numbers).difference(changes.values_list("number", flat=True)))
    if missing:
        raise InvalidTransition(
            f"Changeset {changeset.pk} has no change {missing[0]} that is meant here. Nothing was decided."
        )


def require_acceptable(
    changeset: Changeset, changes: QuerySet[Change], *, acknowledge: bool, seen: str | None
) -> list[int]:
    """Raises where one of the changes must not be accepted; gives the numbers of those whose rows were edited here
    since the pull, which is stored as seen."""
    requirements.refuse_problems(changes)
    edited = moved.acknowledge_moved(changeset, changes, acknowledge=acknowledge, seen=seen)
    if not acknowledge:
        require_acknowledged(changes)
    return edited


def decided_along(changeset: Changeset, changes: QuerySet[Change], decision: Decision) -> list[int]:
    """The numbers of what has to be decided with the changes. Of what is to be accepted, all must be fit for it."""
    also = requirements.closure_of(changeset, changes, decision)
    if decision == Decision.ACCEPTED:
        for batch in batches(also):
            part = changeset.changes.filter(number__in=batch)
            requirements.refuse_problems(part, are_required=True)
            moved.acknowledge_moved(changeset, part, acknowledge=False, seen=None)
            require_acknowledged(part)
    return also


def refuse_alone(changeset: Changeset, changes: QuerySet[Change], decision: Decision) -> None:
    """Raises `RequirementRejected` where others would have to be decided along."""
    match decision:
        case Decision.ACCEPTED:
            requirements.refuse_rejected_requirements(changeset, changes)
        case Decision.REJECTED:
            requirements.refuse_accepted_dependents(changeset, changes)
        case Decision.UNDECIDED:
            pass
        case _:
            assert_never(decision)
