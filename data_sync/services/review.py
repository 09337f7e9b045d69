"""Reviewing: deciding on selected changes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction
from django.db.models import Case, Count, F, QuerySet, Value, When

from data_sync.core.errors import RevisionConflict
from data_sync.core.states import Decision, Operation, RenameChoice
from data_sync.models import Change, Changeset
from data_sync.orm.batches import batches

from . import audit, by_number, keeping, moved, requirements, undoing
from .acknowledging import LOCAL_DIGEST
from .actors import Actor
from .matching import matching
from .revision import raise_revision
from .selection import Selection, select

__all__ = ["Decided", "Selection", "decide", "decision_counts", "select"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What a decision came to: changes decided, the new revision, and how many were left out and why.

    `skipped_decided` are those of a whole selection that had been decided before; the others were undecided.
    `skipped_requirements` are those that require a rejected change, or, of a rejection, that accepted ones require.
    `also_decided` are the changes, counted too, that were decided because the selected ones require it.
    """

    count: int
    revision: int
    skipped_deletes: int = 0
    skipped_renames: int = 0
    skipped_conflicts: int = 0
    skipped_problems: int = 0
    skipped_decided: int = 0
    skipped_requirements: int = 0
    also_decided: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Consent:
    """What is said beyond the decision; see `decide`."""

    acknowledge: bool
    with_requirements: bool
    rename_choice: RenameChoice | None
    keep: Collection[str] | None
    seen: str | None


def decide(
    changeset_id: int,
    selection: Selection,
    decision: Decision,
    actor: Actor,
    *,
    revision: int | None,
    expected: int | None = None,
    acknowledge: bool = False,
    with_requirements: bool = False,
    rename_choice: RenameChoice | None = None,
    keep: Collection[str] | None = None,
    seen: str | None = None,
) -> Decided:
    """Decides on the selected changes, in one transaction. `revision` is that of the page decided on.

    Nothing with a problem can be accepted, and a conflict only with `acknowledge`, which says that its local row has
    been seen; so has the row of a change named by number that was edited here since the pull, and `seen`, if given,
    must be the digest of the row as it is now.

    On changes named by number the decision is made, or nothing is: `NotAcknowledged` is raised for what has to be
    seen, `RequirementRejected` where an accepted change would lack one that it requires, unless `with_requirements`
    decides on those too, `InvalidTransition` for a number that there is not and for problems. `keep` names the fields
    and files that a single update leaves as they are here, instead of those it left before; it is not looked at where
    the change is rejected.

    On all changes of a selection, it leaves out what has been decided already, unless the selection says which
    decision it means, and what requirements forbid; accepting also leaves out problems, conflicts, deletes unless
    deletes are what is selected, and renames unless they are, or `rename_choice` says how to write them. `expected` is
    how many changes it was said to be about: `RevisionConflict` is raised where it is about another number. Where it
    would decide on none, nothing is recorded.

    `rename_choice` is kept for the renames among the changes; it cannot be to replace a row that others refer to. A
    later decision voids an approval. Raises `RevisionConflict`.
    """
    actor.require("data_sync.approve_changeset")
    consent = _Consent(
        acknowledge=acknowledge,
        with_requirements=with_requirements,
        rename_choice=rename_choice,
        keep=None if decision == Decision.REJECTED else keep,
        seen=seen,
    )
    try:
        with transaction.atomic():
            changeset = raise_revision(changeset_id, revision)
            if selection.numbers is None:
                decided = _decide_matching(changeset, selection, decision, consent, expected)
            else:
                decided = _decide_named(changeset, selection, decision, consent)
            if selection.numbers is None or decided.count > 1:
                undoing.remember(changeset, decision, decided.count, actor)
            audit.record(changeset_id, actor, "decided", _detail(selection, decision, consent, decided))
    except _NothingToDecide as nothing:
        return nothing.decided
    return decided


class _NothingToDecide(Exception):
    def __init__(self, decided: Decided) -> None:
        super().__init__()
        self.decided = decided


def _decide_matching(
    changeset: Changeset, selection: Selection, decision: Decision, consent: _Consent, expected: int | None
) -> Decided:
    found = matching(
        changeset,
        selection,
        select(changeset, selection),
        [decision],
        acknowledge=consent.acknowledge,
        rename_choice=consent.rename_choice,
        with_requirements=consent.with_requirements,
    )[decision]
    skipped: dict[str, Any] = {f"skipped_{why}": number for why, number in found.skipped.items()}
    decided = Decided(count=found.count, revision=changeset.revision, **skipped)
    if expected not in (None, found.count):
        raise RevisionConflict(
            f"The page said that this is about {expected} changes; by now it is about {found.count}. Nothing was "
            "changed; reload the page, look again, and decide."
        )
    if not found.count:
        raise _NothingToDecide(replace(decided, revision=changeset.revision - 1))
    if consent.keep is not None:
        keeping.keep(changeset, found.changes, consent.keep)
    also = by_number.decided_along(changeset, found.changes, decision) if consent.with_requirements else []
    parts = found.parts(changeset)
    _store_rename_choice(changeset, parts, consent)
    for part in parts:
        part.update(**undoing.replaced(changeset.revision), **_values(decision, consent.acknowledge, ()))
    _decide_along(changeset, also, decision)
    return replace(decided, count=found.count + len(also), also_decided=tuple(also))


def _decide_named(changeset: Changeset, selection: Selection, decision: Decision, consent: _Consent) -> Decided:
    changes = select(changeset, selection).order_by()
    by_number.require_there(changeset, changes, selection.numbers or ())
    changes.update(**undoing.replaced(changeset.revision))  # What is acknowledged from here on belongs to the decision.
    edited: list[int] = []
    if decision == Decision.ACCEPTED:
        edited = by_number.require_acceptable(changeset, changes, acknowledge=consent.acknowledge, seen=consent.seen)
    elif consent.keep:  # What differs, and can be kept, depends on the row as it is now.
        moved.acknowledge_moved(changeset, changes, acknowledge=consent.acknowledge, seen=consent.seen)
    if consent.keep is not None:
        keeping.keep(changeset, changes, consent.keep)
    also: list[int] = []
    if consent.with_requirements:
        also = by_number.decided_along(changeset, changes, decision)
    else:
        by_number.refuse_alone(changeset, changes, decision)
    _store_rename_choice(changeset, [changes], consent)
    count = changes.update(**_values(decision, consent.acknowledge, edited)) + _decide_along(changeset, also, decision)
    if decision == Decision.ACCEPTED:
        keeping.refuse_held(changeset, {*(selection.numbers or ()), *also})
    return Decided(count=count, revision=changeset.revision, also_decided=tuple(also))


def _store_rename_choice(changeset: Changeset, parts: Sequence[QuerySet[Change]], consent: _Consent) -> None:
    if consent.rename_choice is None:
        return
    for part in parts:
        if consent.rename_choice == RenameChoice.REPLACE:
            requirements.refuse_replacement(changeset, part)
        part.filter(operation=Operation.RENAME.value).update(rename_choice=consent.rename_choice.value)


def _decide_along(changeset: Changeset, also: Collection[int], decision: Decision) -> int:
    """Decides on what belongs to the changes; an acknowledgement is of those themselves. Gives how many there are."""
    count = 0
    for batch in batches(also):
        values = undoing.replaced(changeset.revision) | _values(decision, False, ())
        count += changeset.changes.filter(number__in=batch).update(**values)
    return count


def _values(decision: Decision, acknowledge: bool, edited: Collection[int]) -> dict[str, Any]:
    """What a decided change gets. An acknowledgement is part of the acceptance, and goes with it; those of rows that
    were `edited` after the pull have been stored."""
    values: dict[str, Any] = {"decision": decision.value}
    if decision != Decision.ACCEPTED:
        return values | {"acknowledged_digest": ""}
    if not acknowledge:
        return values
    stored = [When(number__in=edited, then=F("acknowledged_digest"))] if edited else []
    seen = Case(*stored, When(is_conflict=False, then=Value("")), default=LOCAL_DIGEST)
    return values | {"acknowledged_digest": seen}


def _detail(selection: Selection, decision: Decision, consent: _Consent, decided: Decided) -> dict[str, Any]:
    """What the event says."""
    return {
        "decision": decision.value,
        "count": decided.count,
        "revision": decided.revision,
        "selection": selection.to_plain(),
        "also": list(decided.also_decided),
        "acknowledged": consent.acknowledge and decision == Decision.ACCEPTED,
        "rename_choice": consent.rename_choice and consent.rename_choice.value,
        "kept": None if consent.keep is None else sorted(consent.keep),
    }


def decision_counts(changeset: Changeset) -> dict[str, int]:
    """How many changes are undecided, accepted and rejected."""
    rows = changeset.changes.order_by().values_list("decision").annotate(count=Count("pk"))
    return {decision.value: 0 for decision in Decision} | {decision: count for decision, count in rows}
