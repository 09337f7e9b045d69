"""Trusting a source: its changes may be applied without review, within limits, until somebody or something ends that.

Each beginning and end is an event of the source's chain ("source:7"), with the limits before and after.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from data_sync.core.errors import InvalidInput, InvalidTransition
from data_sync.core.states import AutoApply, Operation
from data_sync.models import Changeset, DataPull, DataSource, Trust
from data_sync.models.time import UtcNow
from data_sync.orm.resolution import schemas

from . import audit
from .actors import Actor
from .auto_approval import leave
from .auto_rules import TrustLimits
from .due import AUTO_DUE
from .source_rows import chain, identity_of, locked, refuse_other

PERMISSION = "data_sync.trust_datasource"
NEEDED = (PERMISSION, "data_sync.change_datasource", "data_sync.approve_changeset", "data_sync.apply_changeset")
"""What it takes to switch trust on; and to be answerable for what is applied later."""
USUAL_OPERATIONS = (Operation.CREATE, Operation.UPDATE)
USUAL_CHANGES, USUAL_DELETES = 100, 10
MOST = 1_000_000
ANSWERABLE = "auto-apply for "
"""How the label begins of who approves and applies without review."""


def switch_on(
    source: DataSource,
    actor: Actor,
    *,
    models: Collection[str],
    operations: Collection[str] = USUAL_OPERATIONS,
    max_changes: int = USUAL_CHANGES,
    max_deletes: int = USUAL_DELETES,
    unattended: bool = False,
    seen: str | None = None,
) -> Trust:
    """From now on, what a complete pull finds may be applied without review, on this actor's authority: with one click,
    or `unattended` without one. Switching on again sets the limits anew, and makes this actor answerable.

    `seen` is the `identity_of` the source that a page showed. Raises `NotPermitted` for lack of one of `NEEDED`,
    `InvalidInput` for limits that make no sense, and `RevisionConflict` where the source has become another.
    """
    for permission in NEEDED:
        actor.require(permission)
    limits = _limits(models, operations, max_changes, max_deletes, unattended)
    with transaction.atomic():
        row = locked(source)
        refuse_other(seen, identity_of(row))
        before = limits_of(standing(row))
        trust, _ = Trust.objects.update_or_create(
            source=row,
            defaults={
                "is_on": True,
                "unattended": limits.unattended,
                "model_labels": list(limits.models),
                "operations": [operation.value for operation in limits.operations],
                "max_changes": limits.max_changes,
                "max_deletes": limits.max_deletes,
                "user": actor.user,
                "actor": actor.label,
                "unrestricted": actor.unrestricted,
                "since": UtcNow(),
                "ended_at": None,
                "ended_by": "",
                "end_reason": "",
            },
        )
        audit.record_of(chain(row.pk), actor, "trusted", _detail(row, before, limits))
    trust.refresh_from_db()
    return trust


def switch_off(source: DataSource, actor: Actor, reason: str = "") -> None:
    """Ends trust; what is approved but not begun is taken back when its turn comes. Takes the permission to trust or to
    change sources. Raises `NotPermitted`, and `InvalidTransition` where the source is not trusted."""
    if not actor.may("data_sync.change_datasource"):
        actor.require(PERMISSION)
    with transaction.atomic():
        if not end(locked(source), actor, reason.strip() or f"Ended by {actor.label}."):
            raise InvalidTransition(f"The source {source.name} is not trusted; there is nothing to end.")


def end(source: DataSource, actor: Actor, reason: str, *, since: datetime | None = None) -> bool:
    """Ends trust in a source whose row is locked, in the caller's transaction; whether there was any to end.

    `since`: ends only the trust that began then, and not one that was given since. What is still due for applying
    without review is left for review; what is approved is taken back before it is written.
    """
    ended = standing(source)
    before = limits_of(ended)
    if ended is None or before is None or since not in (None, ended.since):
        return False
    Trust.objects.filter(source=source).update(is_on=False, ended_at=UtcNow(), ended_by=actor.label, end_reason=reason)
    audit.record_of(chain(source.pk), actor, "trust_ended", _detail(source, before, None) | {"reason": reason})
    _leave_due(source, reason)
    return True


def _leave_due(source: DataSource, reason: str) -> None:
    due = Changeset.objects.filter(AUTO_DUE, source=source)
    # Not those that a transaction holds: it may wait for the source, and asks itself since when that is trusted.
    can_skip = connections[DEFAULT_DB_ALIAS].features.has_select_for_update_skip_locked
    for pk in list((due.select_for_update(skip_locked=True) if can_skip else due).values_list("pk", flat=True)):
        if due.filter(pk=pk).update(auto_state=AutoApply.LEFT.value):
            leave(pk, [{"code": "not_trusted", "message": f"Trust in the source has ended: {reason}"}])


def standing(source: DataSource | None) -> Trust | None:
    """The trust that a source has now."""
    return None if source is None else Trust.objects.filter(source=source, is_on=True).select_related("user").first()


def limits_of(trust: Trust | None) -> TrustLimits | None:
    if trust is None:
        return None
    return TrustLimits(
        models=tuple(trust.model_labels),
        operations=tuple(Operation(name) for name in trust.operations),
        max_changes=trust.max_changes,
        max_deletes=trust.max_deletes,
        unattended=trust.unattended,
    )


def answerable(trust: Trust) -> Actor:
    """On whose authority changes are applied: who switched it on, with the permissions they have now."""
    return Actor(label=f"{ANSWERABLE}{trust.actor}", user=trust.user, unrestricted=trust.unrestricted)


def lacking(trust: Trust) -> str:
    """Why who switched it on can no longer answer for what is applied; "" where they can."""
    actor = answerable(trust)
    if actor.unrestricted:
        return ""
    if actor.user is None:
        return f"{trust.actor}, who switched trust on, is no user here any more."
    if not actor.user.is_active:
        return f"The user {trust.actor}, who switched trust on, is not active any more."
    for permission in NEEDED:
        if not actor.may(permission):
            return f"{trust.actor}, who switched trust on, lacks the permission {permission} by now."
    return ""


def is_wanted(pull: DataPull) -> bool:
    """Whether what this pull stores is to be looked at for applying without review."""
    if pull.wants_apply:
        return True
    trust = standing(pull.source)
    return trust is not None and trust.unattended


def _limits(
    models: Collection[str], operations: Collection[str], max_changes: int, max_deletes: int, unattended: bool
) -> TrustLimits:
    known = schemas()
    chosen = tuple(dict.fromkeys(models))
    unknown = [label for label in chosen if label not in known]
    if not chosen:
        raise InvalidInput("Name the models that the source is trusted with; there is no “all”.")
    if unknown:
        raise InvalidInput(f"Not registered here: {', '.join(unknown)}. Known: {', '.join(sorted(known))}.")
    strange = sorted(set(operations) - {operation.value for operation in Operation})
    if strange:
        raise InvalidInput(f"There is no operation {', '.join(strange)}; there are {', '.join(Operation)}.")
    if not operations:
        raise InvalidInput("Name the operations that the source is trusted with, such as create and update.")
    deletes = Operation.DELETE.value in operations
    if not 1 <= max_changes <= MOST:
        raise InvalidInput(f"The most changes must be 1 to {MOST:,}.")
    if deletes and not 1 <= max_deletes <= MOST:
        raise InvalidInput(f"The most deletes must be 1 to {MOST:,}; leave out the operation if there should be none.")
    return TrustLimits(
        models=chosen,
        operations=tuple(operation for operation in Operation if operation.value in operations),
        max_changes=max_changes,
        max_deletes=max_deletes if deletes else 0,
        unattended=unattended,
    )


def _detail(source: DataSource, before: TrustLimits | None, after: TrustLimits | None) -> dict[str, Any]:
    return {
        "source": source.name,
        "before": before and before.to_plain(),
        "after": after and after.to_plain(),
    }
