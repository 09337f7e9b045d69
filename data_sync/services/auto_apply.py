"""Applying without review: whether a changeset of a trusted source may be, decided once, and on whose authority.

A pull stores that its changeset is `due` for it, in the transaction that stores the changeset. The worker of its apply
settles it: all changes are accepted, approved and asked to be applied, in one transaction, or the changeset is left for
review and says why. A worker that is killed on the way leaves it due.
"""

from __future__ import annotations

import logging

from django.db import Error, transaction
from django.db.models import QuerySet

from data_sync.core.errors import Busy, DataSyncError
from data_sync.core.states import AutoApply, ChangesetState, Decision, RenameChoice
from data_sync.models import Changeset, DataPull, Trust
from data_sync.orm.refusals import words_of

from . import audit, auto_standing, leases, trust
from .apply import approve_and_request
from .auto_approval import SYSTEM, leave
from .auto_facts import facts_of
from .auto_rules import reasons
from .due import ABANDONED_AUTO, AUTO_DUE
from .redaction import every_redacted, unexpected
from .revision import raise_revision
from .source_rows import locked
from .undoing import replaced

logger = logging.getLogger("data_sync")


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
    return not auto_standing.take_back(changeset_id)


def _decide(due: QuerySet[Changeset], changeset_id: int, deadline: float | None) -> bool:
    try:
        with transaction.atomic():
            leases.refuse_held_open(due, f"Changeset {changeset_id}")
            # Writes first, and takes the changeset: whoever comes later finds that it is not due any more.
            if not due.update(auto_state=AutoApply.LEFT.value):
                return False
            changeset = Changeset.objects.select_related("source").get(pk=changeset_id)
            is_approved, policy = _decided(changeset, deadline)
    except Busy:
        raise
    except (Error, DataSyncError) as error:
        if not due.filter(submissions__gt=leases.MAX_LOSSES).exists():
            raise
        # Left for review: tried again, it would fail again, for ever.
        logger.warning("Changeset %s is left for review: it cannot be looked at.", changeset_id)
        _leave_broken(
            changeset_id, f"It could not be looked at, time after time: {words_of(error, _redacted(changeset_id))}"
        )
        return False
    except Exception as error:
        what = f"Changeset {changeset_id} could not be looked at for applying without review."
        _leave_broken(changeset_id, unexpected(what, error, _redacted(changeset_id)))
        return False
    if policy is not None and (lacks := trust.lacking(policy)):
        _end(policy, lacks)
    return is_approved


def _decided(changeset: Changeset, deadline: float | None) -> tuple[bool, Trust | None]:
    """Whether it was approved, and by which trust, if there is any. In the transaction that has taken it."""
    policy = trust.standing(changeset.source)
    limits = trust.limits_of(policy)
    against = reasons(limits, facts_of(changeset, policy))
    if policy is not None:
        against += auto_standing.not_meant(changeset, policy)
    if policy is not None and not against:
        try:
            with transaction.atomic():
                _approve(changeset, policy, deadline)
        except DataSyncError as error:
            against = [{"code": "refused", "message": str(error)}]
        else:
            return True, policy
    leave(changeset.pk, against, None if limits is None else limits.to_plain())
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
    detail = {"policy": limits.to_plain(), "since": policy.since.isoformat(), "count": count, "revision": revision}
    audit.record(changeset.pk, actor, "auto_approved", detail)
    approve_and_request(changeset.pk, actor, revision=revision, deadline=deadline)
    # Only now: until here it looks like the approval of a person.
    Changeset.objects.filter(pk=changeset.pk).update(
        auto_state=AutoApply.APPROVED.value, auto_reasons=[], auto_revision=revision, undoable={}
    )


def _leave_broken(changeset_id: int, message: str) -> None:
    with transaction.atomic():
        if Changeset.objects.filter(AUTO_DUE, pk=changeset_id).update(auto_state=AutoApply.LEFT.value):
            leave(changeset_id, [{"code": "failed", "message": message}])


def _redacted(changeset_id: int) -> list[str]:
    return every_redacted(Changeset.objects.get(pk=changeset_id))


def _end(policy: Trust, reason: str) -> None:
    """By itself, and not while a changeset is held: a pull that is being stored holds both in the other order."""
    with transaction.atomic():
        source = locked(policy.source)
        trust.end(source, SYSTEM, reason, since=policy.since)
