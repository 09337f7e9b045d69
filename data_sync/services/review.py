"""Reviewing: selecting changes and deciding on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Case, Count, F, IntegerField, QuerySet, When

from data_sync.core.errors import InvalidTransition, RevisionConflict
from data_sync.core.states import ChangesetState, Decision, Operation
from data_sync.models import Change, Changeset

from . import audit
from .actors import Actor
from .outcomes import forget_outcomes
from .transitions import VOID, refusal

DECIDABLE = (ChangesetState.PENDING, ChangesetState.BLOCKED, ChangesetState.APPROVED, ChangesetState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which changes of a changeset are meant. `numbers` None means all that the other filters leave.

    `flag` is "cascades" or "problems"; `search` looks in the natural key.
    """

    numbers: tuple[int, ...] | None = None
    model: str = ""
    operation: str = ""
    decision: str = ""
    search: str = ""
    flag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What a decision came to: changes decided, the new revision, and how many were left out and why.

    `skipped_decided` are those of a whole selection that had been decided before; the others were undecided.
    """

    count: int
    revision: int
    skipped_deletes: int = 0
    skipped_problems: int = 0
    skipped_decided: int = 0


def select(changeset: Changeset, selection: Selection) -> QuerySet[Change]:
    """The selected changes, ordered for review: deletes, updates, creates, each by number."""
    changes = changeset.changes.all()
    if selection.numbers is not None:
        changes = changes.filter(number__in=selection.numbers)
    if selection.model:
        changes = changes.filter(model=selection.model)
    if selection.operation:
        changes = changes.filter(operation=selection.operation)
    if selection.decision:
        changes = changes.filter(decision=selection.decision)
    if selection.search:
        changes = changes.filter(key_text__icontains=selection.search)
    match selection.flag:
        case "cascades":
            changes = changes.filter(has_cascades=True)
        case "problems":
            changes = changes.filter(has_problems=True)
    order = Case(
        When(operation=Operation.DELETE.value, then=0),
        When(operation=Operation.UPDATE.value, then=1),
        default=2,
        output_field=IntegerField(),
    )
    return changes.annotate(review_order=order).order_by("review_order", "number")


def decide(
    changeset_id: int, selection: Selection, decision: Decision, actor: Actor, *, revision: int | None
) -> Decided:
    """Decides on the selected changes, in one transaction. `revision` is that of the page decided on.

    Nothing with a problem can be accepted. A decision on a whole selection leaves out what has been decided
    already, unless the selection says which decision it means; accepting one also leaves deletes out unless
    deletes are what is selected. A later decision voids an approval. Raises `RevisionConflict`.
    """
    actor.require("data_sync.approve_changeset")
    with transaction.atomic():
        changeset = _raise_revision(changeset_id, revision)
        changes = select(changeset, selection).order_by()
        skipped_deletes = skipped_problems = skipped_decided = 0
        if selection.numbers is None and not selection.decision:
            skipped_decided = changes.exclude(decision=Decision.UNDECIDED.value).count()
            changes = changes.filter(decision=Decision.UNDECIDED.value)
        if selection.numbers is None and selection.operation != Operation.DELETE and decision == Decision.ACCEPTED:
            skipped_deletes = changes.filter(operation=Operation.DELETE.value).count()
            changes = changes.exclude(operation=Operation.DELETE.value)
        if decision == Decision.ACCEPTED:
            skipped_problems = changes.filter(has_problems=True).count()
            changes = changes.filter(has_problems=False)
        count = changes.update(decision=decision.value)
        audit.record(
            changeset_id,
            actor,
            "decided",
            {
                "decision": decision.value,
                "count": count,
                "revision": changeset.revision,
                "selection": _plain(selection),
            },
        )
    return Decided(
        count=count,
        revision=changeset.revision,
        skipped_deletes=skipped_deletes,
        skipped_problems=skipped_problems,
        skipped_decided=skipped_decided,
    )


def _raise_revision(changeset_id: int, revision: int | None) -> Changeset:
    """Raises the revision, which also takes the row's lock; voids an approval, and outcomes."""
    open_ones = Changeset.objects.filter(pk=changeset_id, state__in=[state.value for state in DECIDABLE])
    expected = open_ones if revision is None else open_ones.filter(revision=revision)
    if not expected.update(revision=F("revision") + 1):
        changeset = open_ones.first()
        if changeset is None:
            raise InvalidTransition(refusal(changeset_id, "be decided on"))
        raise RevisionConflict(
            f"Somebody else has decided on changeset {changeset_id} meanwhile (revision {changeset.revision}; you saw "
            f"{revision}). Nothing was changed; reload the page, look again, and decide."
        )
    reopened = Changeset.objects.filter(
        pk=changeset_id, state__in=[ChangesetState.APPROVED.value, ChangesetState.FAILED.value]
    ).update(state=ChangesetState.PENDING.value, **VOID)
    if reopened:
        forget_outcomes(changeset_id)
    return Changeset.objects.get(pk=changeset_id)


def _plain(selection: Selection) -> dict[str, Any]:
    numbers = None if selection.numbers is None else list(selection.numbers)
    return {
        "numbers": numbers,
        "model": selection.model,
        "operation": selection.operation,
        "decision": selection.decision,
        "search": selection.search,
        "flag": selection.flag,
    }


def decision_counts(changeset: Changeset) -> dict[str, int]:
    """How many changes are undecided, accepted and rejected."""
    rows = changeset.changes.order_by().values_list("decision").annotate(count=Count("pk"))
    return {decision.value: 0 for decision in Decision} | {decision: count for decision, count in rows}
