"""Reviewing: selecting changes, deciding on them, approving what was decided."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import Case, Count, F, IntegerField, QuerySet, When

from data_sync import conf
from data_sync.core import ordering
from data_sync.core.errors import InvalidTransition, NotPermitted, RevisionConflict
from data_sync.core.states import ChangesetState, Decision, Operation
from data_sync.models import Change, Changeset
from data_sync.models.time import UtcNow

from . import audit
from .actors import Actor
from .content import wanted_files
from .seals import current_approval_seal, current_content_seal
from .transitions import move, refusal

DECIDABLE = (ChangesetState.PENDING, ChangesetState.BLOCKED, ChangesetState.APPROVED, ChangesetState.FAILED)
APPROVABLE = (ChangesetState.PENDING, ChangesetState.FAILED)


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
    """What a decision came to: changes decided, the new revision, and how many were left out and why."""

    count: int
    revision: int
    skipped_deletes: int = 0
    skipped_problems: int = 0


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

    Nothing with a problem can be accepted. A decision on a whole selection leaves deletes out unless
    deletes are what is selected. A later decision voids an approval. Raises `RevisionConflict`.
    """
    actor.require("data_sync.approve_changeset")
    with transaction.atomic():
        changeset = _raise_revision(changeset_id, revision)
        changes = select(changeset, selection).order_by()
        skipped_deletes = skipped_problems = 0
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
    )


def _raise_revision(changeset_id: int, revision: int | None) -> Changeset:
    """Raises the revision, which also takes the row's lock; voids an approval."""
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
    Changeset.objects.filter(
        pk=changeset_id, state__in=[ChangesetState.APPROVED.value, ChangesetState.FAILED.value]
    ).update(state=ChangesetState.PENDING.value, **VOID)
    return Changeset.objects.get(pk=changeset_id)


VOID: dict[str, Any] = {
    "approval_seal": "",
    "approved_revision": None,
    "approved_at": None,
    "approved_by": None,
    "apply_requested_at": None,
    "apply_requested_by": None,
    "apply_actor": "",
    "state_reason": "",
}


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


def unmet_requirements(changeset: Changeset) -> dict[int, list[int]]:
    """For each accepted change, the changes it requires that are not accepted; empty when closed."""
    accepted = changeset.changes.filter(decision=Decision.ACCEPTED.value).order_by()
    requires: dict[int, list[int]] = dict(accepted.values_list("number", "requires"))
    return ordering.unmet(requires, requires)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequences:
    """What applying the accepted changes would do. `models` maps labels to counts per operation; `cascades`
    has the stored cascades, each with its `change` number; sizes are in bytes."""

    models: dict[str, dict[str, int]] = field(default_factory=dict)
    cascades: list[dict[str, Any]] = field(default_factory=list)
    files: int = 0
    file_bytes: int = 0
    unmet: dict[int, list[int]] = field(default_factory=dict)
    left_out: int = 0

    def total(self, operation: Operation) -> int:
        return sum(counts.get(operation.value, 0) for counts in self.models.values())


def consequences(changeset: Changeset) -> Consequences:
    accepted = changeset.changes.filter(decision=Decision.ACCEPTED.value).order_by()
    per_model: dict[str, dict[str, int]] = {}
    for label, operation, count in accepted.values_list("model", "operation").annotate(count=Count("pk")):
        per_model.setdefault(label, {})[operation] = count
    cascades = [
        {**cascade, "change": number}
        for number, of_change in accepted.filter(has_cascades=True).order_by("number").values_list("number", "cascades")
        for cascade in of_change
    ]
    files = list(_files(accepted))
    return Consequences(
        models=per_model,
        cascades=cascades,
        files=len(files),
        file_bytes=sum(files),
        unmet=unmet_requirements(changeset),
        left_out=changeset.changes.exclude(decision=Decision.ACCEPTED.value).count(),
    )


def _files(accepted: QuerySet[Change]) -> Iterable[int]:
    with_files = accepted.exclude(files="{}").only("operation", "files")
    for change in with_files.iterator(chunk_size=500):
        yield from (file.size for file in wanted_files(change).values())


def approve(changeset_id: int, actor: Actor, *, revision: int) -> Changeset:
    """Approves the decisions of this revision, and seals them.

    Raises `RevisionConflict` if somebody decided meanwhile, `InvalidTransition` with the reason if
    nothing is accepted, a requirement is not, or the stored changes are not those that were pulled.
    """
    actor.require("data_sync.approve_changeset")
    with transaction.atomic():
        taken = Changeset.objects.filter(
            pk=changeset_id, state__in=[state.value for state in APPROVABLE], revision=revision
        ).update(revision=revision)
        changeset = Changeset.objects.filter(pk=changeset_id).first()
        if not taken or changeset is None:
            if changeset is not None and changeset.state in APPROVABLE:
                raise RevisionConflict(
                    f"Somebody else has decided on changeset {changeset_id} meanwhile. Nothing was approved; reload."
                )
            raise InvalidTransition(refusal(changeset_id, "be approved"))
        _require_approvable(changeset, actor)
        seal = current_approval_seal(changeset)
        move(
            changeset_id,
            APPROVABLE,
            ChangesetState.APPROVED,
            only_if={"revision": revision},
            approval_seal=seal,
            approved_revision=revision,
            approved_at=UtcNow(),
            approved_by=actor.user,
            state_reason="",
        )
        audit.record(
            changeset_id,
            actor,
            "approved",
            {"revision": revision, "approval_seal": seal, "counts": decision_counts(changeset)},
        )
    return Changeset.objects.get(pk=changeset_id)


def _require_approvable(changeset: Changeset, actor: Actor) -> None:
    if conf.four_eyes() and (actor.user is None or actor.user == changeset.requested_by):
        raise NotPermitted("Four eyes are required: somebody other than who asked for the pull must approve, by name.")
    if current_content_seal(changeset) != changeset.content_seal:
        raise InvalidTransition(
            f"The stored changes of changeset {changeset.pk} are not those that were pulled: its content seal differs. "
            "Find out who altered them, and pull again."
        )
    if not changeset.changes.filter(decision=Decision.ACCEPTED.value).exists():
        raise InvalidTransition(f"No change of changeset {changeset.pk} is accepted; accept some, or reject it.")
    unmet = unmet_requirements(changeset)
    if unmet:
        number, missing = next(iter(unmet.items()))
        named = ", ".join(f"#{other}" for other in missing)
        more = f" ({len(unmet) - 1} more like it)" if len(unmet) > 1 else ""
        raise InvalidTransition(
            f"Change #{number} is accepted and requires {named}, not accepted{more}. Accept that too, or reject this."
        )


def withdraw(changeset_id: int, actor: Actor) -> None:
    """Takes an approval back."""
    actor.require("data_sync.approve_changeset")
    with transaction.atomic():
        move(changeset_id, [ChangesetState.APPROVED], ChangesetState.PENDING, **VOID)
        audit.record(changeset_id, actor, "withdrawn", {})


def reject(changeset_id: int, actor: Actor, reason: str = "") -> None:
    """Closes a changeset without applying it."""
    actor.require("data_sync.approve_changeset")
    open_states = [ChangesetState.PENDING, ChangesetState.APPROVED, ChangesetState.BLOCKED]
    with transaction.atomic():
        move(changeset_id, open_states, ChangesetState.REJECTED, **(VOID | {"state_reason": reason}))
        audit.record(changeset_id, actor, "rejected", {"reason": reason})


def override(changeset_id: int, actor: Actor, reason: str) -> None:
    """Lets a blocked changeset through its guards. The reason is kept; an empty one is refused."""
    actor.require("data_sync.override_changeset_guard")
    if not reason.strip():
        raise InvalidTransition("Say why the guard does not apply here; the reason is kept with the changeset.")
    with transaction.atomic():
        move(changeset_id, [ChangesetState.BLOCKED], ChangesetState.PENDING, state_reason="")
        guards = Changeset.objects.get(pk=changeset_id).guards
        audit.record(changeset_id, actor, "overridden", {"reason": reason.strip(), "guards": guards})
