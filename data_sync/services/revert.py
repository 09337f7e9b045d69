"""Reverts: asked for like pulls, made and reviewed like them; and what becomes of the changeset that one undoes."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db import transaction

from data_sync.core.errors import InvalidInput, InvalidTransition
from data_sync.core.states import ChangesetState, Decision, Outcome, PullKind
from data_sync.models import Changeset, DataPull
from data_sync.models.time import UtcNow
from data_sync.orm.batches import batches

from . import audit
from .actors import Actor
from .pull import give_up_abandoned
from .pull_states import ACTIVE, record_request
from .reverting import undoable, undoable_parts
from .transitions import refusal

SOME = 5
"""So many changes a message names."""


def request_revert(changeset: Changeset, numbers: Collection[int] | None, actor: Actor) -> DataPull:
    """A queued pull that makes the inverse of an applied changeset, or of these of its changes, to be reviewed.

    Raises `InvalidTransition` where the changeset is not applied, has nothing left to undo, or is being reverted, and
    `InvalidInput` for changes that were not applied, or are undone already.
    """
    actor.require("data_sync.revert_changeset")
    chosen = None if numbers is None else sorted(set(numbers))
    if chosen is not None:
        _check(changeset, chosen)
    active = DataPull.objects.filter(reverts=changeset, state__in=[state.value for state in ACTIVE])
    for pk in active.values_list("pk", flat=True):
        give_up_abandoned(pk, actor)
    with transaction.atomic():
        # Writes: of two that ask at once, one waits here, and finds the other's pull.
        held = Changeset.objects.filter(pk=changeset.pk, state=ChangesetState.APPLIED.value)
        if not held.update(state=ChangesetState.APPLIED.value):
            raise InvalidTransition(refusal(changeset.pk, "be reverted"))
        if held.filter(purged_at__isnull=False).exists():
            raise InvalidTransition(
                f"The values of changeset {changeset.pk} have been purged, so that it cannot be reverted any more."
            )
        if (running := active.first()) is not None:
            raise InvalidTransition(
                f"Pull {running.pk}, which makes a revert of changeset {changeset.pk}, is {running.state}; wait for "
                f"it, or cancel it (data_sync cancel {running.pk})."
            )
        if not any(part.exists() for part in undoable_parts(changeset, chosen)):
            raise InvalidTransition(f"Nothing of changeset {changeset.pk} is left to be reverted.")
        pull = DataPull.objects.create(
            kind=PullKind.REVERT.value,
            reverts=changeset,
            source_name=f"Revert of changeset {changeset.pk}",
            options={"numbers": chosen},
            requested_by=actor.user,
            actor=actor.label,
        )
        record_request(pull, actor)
        return pull


def _check(changeset: Changeset, numbers: Collection[int]) -> None:
    """Raises `InvalidInput` for changes that cannot be undone, and where none are given."""
    if not numbers:
        raise InvalidInput("Choose at least one change to revert.")
    known: dict[int, tuple[str, int | None]] = {}
    for batch in batches(numbers):
        rows = changeset.changes.filter(number__in=batch).values_list("number", "outcome", "reverted_by")
        known |= {number: (outcome, by) for number, outcome, by in rows}
    unknown = [number for number in numbers if number not in known]
    if unknown:
        raise InvalidInput(f"Changeset {changeset.pk} has no change {_some(unknown)}. Its result has their numbers.")
    reasons = {
        "not applied": [number for number, (outcome, _) in known.items() if outcome != Outcome.APPLIED],
        "reverted already": [number for number, (_, by) in known.items() if by is not None],
    }
    for words, which in reasons.items():
        if which:
            raise InvalidInput(
                f"Nothing can be undone of what was {words}: {_some(which)} of changeset {changeset.pk}. Leave it out."
            )


def _some(numbers: Iterable[int]) -> str:
    found = [f"#{number}" for number in sorted(numbers)]
    return ", ".join(found[:SOME]) + (f" and {len(found) - SOME} more" if len(found) > SOME else "")


def settle(revert: Changeset, actor: Actor) -> None:
    """Notes at the changeset that a revert is of what has been undone; all of it: that one is reverted.

    To be called in the apply's transaction, once outcomes are stored. Changes of which the reviewer kept fields, or
    rejected one of the two that undo them, are not undone; those whose rows were as before already are.
    """
    original = revert.reverts
    assert original is not None
    whole = {"decision": Decision.ACCEPTED.value, "kept": {}}
    written, left = (
        {number for number in changes.values_list("undoes", flat=True) if number is not None}
        for changes in (revert.changes.filter(**whole), revert.changes.exclude(**whole))
    )
    nothing: list[int] = [] if revert.pull is None else revert.pull.report.get("nothing", [])
    count = 0
    for numbers in batches(sorted((written - left).union(nothing))):
        count += undoable(original, numbers).update(reverted_by=revert.pk)
    detail = {"by": revert.pk, "changes": count}
    if undoable(original).exists():
        audit.record(original.pk, actor, "partly_reverted", detail)
        return
    applied = Changeset.objects.filter(pk=original.pk, state=ChangesetState.APPLIED.value)
    if applied.update(state=ChangesetState.REVERTED.value, reverted_at=UtcNow()):
        audit.record(original.pk, actor, "reverted", detail)
