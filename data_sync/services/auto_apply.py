"""Applying without review: whether a changeset of a trusted source may be, decided once, and on whose authority.

A pull stores that its changeset is `due` for it, in the transaction that stores the changeset. The worker of its apply
settles it: all changes are accepted, approved and asked to be applied, in one transaction, or the changeset is left for
review and says why. A worker that is killed on the way leaves it due.
"""

from __future__ import annotations

from typing import Any

from django.db import Error, transaction
from django.db.models import F, QuerySet

from data_sync.core.errors import DataSyncError
from data_sync.core.states import AutoApply, ChangesetState, Decision, RenameChoice
from data_sync.models import Changeset, DataPull, Trust

from . import audit, leases, trust
from .actors import Actor
from .apply import approve_and_request
from .auto_facts import facts_of, standing_facts
from .auto_rules import reasons
from .due import ABANDONED_AUTO, AUTO_DUE
from .redaction import names_of, unexpected
from .revision import raise_revision
from .source_rows import locked
from .undoing import replaced

SYSTEM = Actor(label="auto-apply")
"""Who leaves changesets for review: nobody's authority is needed for that."""


def due_of(pull: DataPull) -> int | None:
    """The changeset of a pull that is over, if it is still to be looked at here."""
    return Changeset.objects.filter(AUTO_DUE, pull=pull).values_list("pk", flat=True).first()


def is_due(changeset: Changeset) -> bool:
    """Whether it is still to be looked at."""
    return changeset.auto_state == AutoApply.DUE and changeset.state in (ChangesetState.PENDING, ChangesetState.BLOCKED)


def is_abandoned(changeset: Changeset) -> bool:
    """Whether it is still to be looked at, and nobody does or will, as far as can be told."""
    return Changeset.objects.filter(ABANDONED_AUTO, pk=changeset.pk).exists()


def settle(changeset_id: int, *, deadline: float | None = None) -> bool:
    """To be called by a worker before it applies a changeset; whether it is to go on with that.

    Decides on one that is due, the first that comes and nobody after it. One that was approved here and is not begun is
    taken back where the source is not trusted any more, or nothing is to be applied without review by now. Others are
    left as they are. `deadline`: seconds that the apply will have. Raises `Busy` while another worker decides.
    """
    due = Changeset.objects.filter(AUTO_DUE, pk=changeset_id)
    if due.exists():
        return _decide(due, changeset_id, deadline)
    return not _take_back(changeset_id)


def _decide(due: QuerySet[Changeset], changeset_id: int, deadline: float | None) -> bool:
    try:
        with transaction.atomic():
            leases.refuse_held_open(due, f"Changeset {changeset_id}")
            # Writes first, and takes the changeset: whoever comes later finds that it is not due any more.
            if not due.update(auto_state=AutoApply.LEFT.value):
                return False
            changeset = Changeset.objects.select_related("source").get(pk=changeset_id)
            is_approved, policy = _decided(changeset, deadline)
    except (Error, DataSyncError):
        raise
    except Exception as error:
        # Left for review: tried again, it would fail again, for ever.
        redacted = Changeset.objects.values_list("redacted", flat=True).get(pk=changeset_id)
        what = f"Changeset {changeset_id} could not be looked at for applying without review."
        _leave_broken(due, unexpected(what, error, names_of(redacted)))
        return False
    if policy is not None and (lacks := trust.lacking(policy)):
        _end(policy, lacks)
    return is_approved


def _decided(changeset: Changeset, deadline: float | None) -> tuple[bool, Trust | None]:
    """Whether it was approved, and by which trust, if there is any. In the transaction that has taken it."""
    policy = trust.standing(changeset.source)
    limits = trust.limits_of(policy)
    against = reasons(limits, facts_of(changeset, policy))
    if policy is not None and not against:
        try:
            with transaction.atomic():
                _approve(changeset, policy, deadline)
        except DataSyncError as error:
            against = [{"code": "refused", "message": str(error)}]
        else:
            return True, policy
    _leave(changeset.pk, against, None if limits is None else limits.to_plain())
    return False, policy


def _approve(changeset: Changeset, policy: Trust, deadline: float | None) -> None:
    """Accepts all, approves and asks for the apply, as a person would who sees nothing against it."""
    actor, limits = trust.answerable(policy), trust.limits_of(policy)
    assert limits is not None
    revision = raise_revision(changeset.pk, changeset.revision).revision
    changes = changeset.changes.order_by()
    changes.update(**replaced(revision))
    count = changes.update(
        decision=Decision.ACCEPTED.value, acknowledged_digest="", rename_choice=RenameChoice.RENAME.value
    )
    Changeset.objects.filter(pk=changeset.pk).update(
        auto_state=AutoApply.APPROVED.value, auto_reasons=[], auto_revision=revision, undoable={}
    )
    detail = {"policy": limits.to_plain(), "since": policy.since.isoformat(), "count": count, "revision": revision}
    audit.record(changeset.pk, actor, "auto_approved", detail)
    approve_and_request(changeset.pk, actor, revision=revision, deadline=deadline)


def _leave(changeset_id: int, against: list[dict[str, str]], policy: dict[str, Any] | None) -> None:
    Changeset.objects.filter(pk=changeset_id).update(auto_state=AutoApply.LEFT.value, auto_reasons=against)
    audit.record(changeset_id, SYSTEM, "left_for_review", {"reasons": against, "policy": policy})


def _leave_broken(due: QuerySet[Changeset], message: str) -> None:
    with transaction.atomic():
        for pk in list(due.values_list("pk", flat=True)):
            if due.update(auto_state=AutoApply.LEFT.value):
                _leave(pk, [{"code": "failed", "message": message}], None)


def _take_back(changeset_id: int) -> bool:
    """Whether an approval of ours was taken back, as nobody may rely on it any more."""
    ours = Changeset.objects.filter(
        pk=changeset_id,
        state=ChangesetState.APPROVED.value,
        auto_state=AutoApply.APPROVED.value,
        approved_revision=F("auto_revision"),
        apply_actor=F("approval_actor"),
    )
    changeset = ours.select_related("source").first()
    if changeset is None or not changeset.apply_actor.startswith(trust.ANSWERABLE):
        return False
    policy = trust.standing(changeset.source)
    against = reasons(trust.limits_of(policy), standing_facts(policy))
    if policy is not None and changeset.approved_at is not None and policy.since > changeset.approved_at:
        against.append({"code": "limits_changed", "message": "What the source is trusted with was set anew since."})
    if not against:
        return False
    with transaction.atomic():
        if not ours.update(auto_state=AutoApply.LEFT.value):
            return False
        taken = changeset.changes.filter(decided_revision=changeset.auto_revision)
        raise_revision(changeset_id, changeset.revision)  # Which voids the approval.
        taken.update(decision=F("decision_before"), carried_from=F("carried_before"), decided_revision=None)
        _leave(changeset_id, against, None)
    return True


def _end(policy: Trust, reason: str) -> None:
    """By itself, and not while a changeset is held: a pull that is being stored holds both in the other order."""
    with transaction.atomic():
        source = locked(policy.source)
        trust.end(source, SYSTEM, reason)
