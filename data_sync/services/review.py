"""Reviewing: deciding on selected changes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, assert_never

from django.db import transaction
from django.db.models import Case, Count, F, Q, QuerySet, Value, When

from data_sync.core.errors import NotAcknowledged
from data_sync.core.states import Decision, Operation, RenameChoice
from data_sync.models import Change, Changeset
from data_sync.orm.batches import batches

from . import audit, keeping, moved, requirements, undoing
from .actors import Actor
from .revision import raise_revision
from .selection import Selection, select

__all__ = ["LOCAL_DIGEST", "Decided", "Selection", "decide", "decision_counts", "require_acknowledged", "select"]

FEW = 1000
"""So many changes are left out by one statement; it is more statements where there are more of them."""
ABSENT = "absent"
"""The acknowledged digest of a conflict whose row is gone here."""
LOCAL_DIGEST = Case(When(before_digest="", then=Value(ABSENT)), default=F("before_digest"))
"""The digest that is acknowledged: of the local row, as it was at the pull."""


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


def decide(
    changeset_id: int,
    selection: Selection,
    decision: Decision,
    actor: Actor,
    *,
    revision: int | None,
    acknowledge: bool = False,
    with_requirements: bool = False,
    rename_choice: RenameChoice | None = None,
    keep: Collection[str] | None = None,
    seen: str | None = None,
) -> Decided:
    """Decides on the selected changes, in one transaction. `revision` is that of the page decided on.

    Nothing with a problem can be accepted, and a conflict only with `acknowledge`, which says that its local row has
    been seen. Of changes named by number, a conflict raises `NotAcknowledged` otherwise, and `RequirementRejected`
    is raised where an accepted change would lack one that it requires, unless `with_requirements` decides on those
    too; a conflict or a problem among those raises, too. `rename_choice` is kept for the renames among the selected; it
    cannot be to replace a row that others refer to. `keep` names the fields and files that a single update leaves as
    they are here, instead of those it left before; it is not looked at where the change is rejected.
    Where the row of a change named by number was edited here since the pull, it takes `acknowledge`, too, and `seen`,
    if given, must be the digest of the row as it is now.

    A decision on a whole selection leaves out what has been decided already, unless the selection says which
    decision it means, and what requirements forbid; accepting one also leaves conflicts out, deletes unless
    deletes are what is selected, and renames unless they are, or `rename_choice` says how to write them. A later
    decision voids an approval. Raises `RevisionConflict`.
    """
    actor.require("data_sync.approve_changeset")
    with transaction.atomic():
        changeset = raise_revision(changeset_id, revision)
        changes = select(changeset, selection).order_by()
        is_acceptance, is_bulk = decision == Decision.ACCEPTED, selection.numbers is None
        skipped: dict[str, int] = {}
        if is_bulk and not selection.decision:
            skipped["decided"], changes = _without(changes, ~Q(decision=Decision.UNDECIDED.value))
        if is_bulk and is_acceptance and not selection.is_of(Operation.DELETE):
            skipped["deletes"], changes = _without(changes, Q(operation=Operation.DELETE.value))
        if is_bulk and is_acceptance and not selection.is_of(Operation.RENAME) and rename_choice is None:
            skipped["renames"], changes = _without(changes, Q(operation=Operation.RENAME.value))
        if is_bulk and is_acceptance and not acknowledge:
            skipped["conflicts"], changes = _without(changes, Q(is_conflict=True))
        if is_acceptance:
            skipped["problems"], changes = _without(changes, Q(has_problems=True))
        edited: list[int] = []
        if is_acceptance and not is_bulk:
            edited = moved.acknowledge_moved(changeset, changes, acknowledge=acknowledge, seen=seen)
            if not acknowledge:
                require_acknowledged(changes)
        if keep is not None and decision == Decision.REJECTED:
            keep = None
        if keep is not None:
            keeping.keep(changeset, changes, keep)
        also: list[int] = []
        parts = [changes]
        if with_requirements:
            also = _closure(changeset, changes, decision)
        elif is_bulk:
            skipped["requirements"], parts = _without_unmet(changeset, changes, decision)
        else:
            _refuse_unmet(changeset, changes, decision)
        if rename_choice is not None:
            for part in parts:
                if rename_choice == RenameChoice.REPLACE:
                    requirements.refuse_replacement(changeset, part)
                part.filter(operation=Operation.RENAME.value).update(rename_choice=rename_choice.value)
        revised = changeset.revision
        count = sum(part.update(**_values(revised, decision, acknowledge, edited)) for part in parts)
        count += sum(part.update(**_values(revised, decision, False, [])) for part in _numbered(changeset, also))
        if is_acceptance and not is_bulk:
            keeping.refuse_held(changeset)
        if is_bulk and rename_choice is None:
            undoing.remember(changeset, decision, count, actor)
        audit.record(
            changeset_id,
            actor,
            "decided",
            {
                "decision": decision.value,
                "count": count,
                "revision": changeset.revision,
                "selection": selection.to_plain(),
                "also": also,
                "acknowledged": acknowledge and is_acceptance,
                "rename_choice": rename_choice and rename_choice.value,
                "kept": None if keep is None else sorted(keep),
            },
        )
    return Decided(
        count=count,
        revision=changeset.revision,
        also_decided=tuple(also),
        **{f"skipped_{why}": number for why, number in skipped.items()},
    )


def require_acknowledged(changes: QuerySet[Change]) -> None:
    """Raises `NotAcknowledged`, naming the first conflict among these changes that nobody has said to have seen."""
    others = changes.exclude(conflict={}).exclude(acknowledged_digest=LOCAL_DIGEST).order_by("number")
    for change in others.iterator(chunk_size=100):
        if change.seen and change.seen["digest"] == change.acknowledged_digest:
            continue  # It was edited after the pull, and seen as it is now.
        raise NotAcknowledged(
            f"Change {requirements.name_of(change)} is a conflict: its row was {change.conflict['kind']} here since "
            "both sides last agreed. Look at what happened here, then accept it and say that you have seen that.",
            change.number,
        )


def _values(revision: int, decision: Decision, acknowledge: bool, edited: Collection[int]) -> dict[str, Any]:
    """What a decided change gets. An acknowledgement is part of the acceptance, and goes with it; those of rows that
    were `edited` after the pull have been stored."""
    values = undoing.before(revision) | {"decision": decision.value}
    if decision != Decision.ACCEPTED:
        return values | {"acknowledged_digest": ""}
    if not acknowledge:
        return values
    stored = [When(number__in=edited, then=F("acknowledged_digest"))] if edited else []
    seen = Case(*stored, When(is_conflict=False, then=Value("")), default=LOCAL_DIGEST)
    return values | {"acknowledged_digest": seen}


def _without(changes: QuerySet[Change], left_out: Q) -> tuple[int, QuerySet[Change]]:
    return changes.filter(left_out).count(), changes.exclude(left_out)


def _numbered(changeset: Changeset, numbers: Iterable[int]) -> list[QuerySet[Change]]:
    return [changeset.changes.filter(number__in=batch) for batch in batches(numbers)]


def _closure(changeset: Changeset, changes: QuerySet[Change], decision: Decision) -> list[int]:
    """What has to be decided with the changes. Of what is to be accepted, all must be fit for it."""
    also = requirements.closure_of(changeset, changes, decision)
    if decision == Decision.ACCEPTED:
        for part in _numbered(changeset, also):
            requirements.refuse_problems(part)
            require_acknowledged(part)
    return also


def _refuse_unmet(changeset: Changeset, changes: QuerySet[Change], decision: Decision) -> None:
    match decision:
        case Decision.ACCEPTED:
            requirements.refuse_rejected_requirements(changeset, changes)
        case Decision.REJECTED:
            requirements.refuse_accepted_dependents(changeset, changes)
        case Decision.UNDECIDED:
            pass
        case _:
            assert_never(decision)


def _without_unmet(
    changeset: Changeset, changes: QuerySet[Change], decision: Decision
) -> tuple[int, list[QuerySet[Change]]]:
    """Leaves out what cannot be decided so without deciding on others, too; the rest, in parts."""
    match decision:
        case Decision.ACCEPTED:
            left_out = requirements.needing_rejected(changeset, changes)
        case Decision.REJECTED:
            left_out = requirements.needed_by_accepted(changeset, changes)
        case Decision.UNDECIDED:
            left_out = set()
        case _:
            assert_never(decision)
    if len(left_out) <= FEW:
        return changes.filter(number__in=left_out).count(), [changes.exclude(number__in=left_out)]
    numbers = set(changes.values_list("number", flat=True))
    return len(numbers & left_out), _numbered(changeset, sorted(numbers - left_out))


def decision_counts(changeset: Changeset) -> dict[str, int]:
    """How many changes are undecided, accepted and rejected."""
    rows = changeset.changes.order_by().values_list("decision").annotate(count=Count("pk"))
    return {decision.value: 0 for decision in Decision} | {decision: count for decision, count in rows}
