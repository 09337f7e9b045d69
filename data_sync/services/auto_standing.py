"""Whether what was or is to be approved without review may still rely on the trust in its source."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from data_sync.core.states import AutoApply, ChangesetState
from data_sync.models import Changeset, DataPull, DataSource, Trust

from . import trust
from .auto_approval import AUTO_APPROVED, Reasons, release
from .auto_facts import standing_facts
from .auto_rules import reasons
from .transitions import VOID


def not_meant(changeset: Changeset, policy: Trust) -> list[dict[str, str]]:
    """Why trust that a source has now does not mean a changeset that was stored before."""
    against = _set_anew(policy, changeset.created_at)
    if not policy.unattended and not DataPull.objects.filter(changeset=changeset, wants_apply=True).exists():
        message = "The source is trusted with one click only, and nobody asked for this with “Pull and apply”."
        against.append({"code": "one_click", "message": message})
    return against


def unfounded(changeset: Changeset) -> list[dict[str, str]]:
    """Why an approval that was made without review is not to be relied on any more, as of now.

    Empty where it is; and where a person has approved, whose approval rests on nobody's trust.
    """
    if changeset.auto_state != AutoApply.APPROVED:
        return []
    # Looked up anew: a source that was removed is trusted with nothing.
    policy = trust.standing(DataSource.objects.filter(changesets=changeset.pk).first())
    against = reasons(trust.limits_of(policy), standing_facts(policy))
    if policy is not None and changeset.approved_at is not None:
        against += _set_anew(policy, changeset.approved_at)
    return against


def take_back(changeset_id: int) -> str:
    """Takes an approval back that was made without review and is not to be relied on any more, and says so; "" if there
    is none. One whose apply a worker has claimed is left to that worker."""
    approved = Changeset.objects.filter(AUTO_APPROVED, pk=changeset_id, state=ChangesetState.APPROVED.value)
    changeset = approved.first()
    against = [] if changeset is None else unfounded(changeset)
    return taken_back(changeset_id, against, state=ChangesetState.APPROVED.value) if against else ""


def taken_back(changeset_id: int, against: Reasons, **held: str) -> str:
    """Takes it back for these reasons, and says so; "" where the changeset is not as it was `held` any more."""
    with transaction.atomic():
        ours = Changeset.objects.filter(AUTO_APPROVED, pk=changeset_id, **held)
        if not ours.update(state=ChangesetState.PENDING.value, **VOID):
            return ""
        release(changeset_id, against)
    return (
        f"The approval of changeset {changeset_id} was made without review and does not hold any more: "
        f"{' '.join(reason['message'] for reason in against)} Nothing was written; it is pending again. Review it, and "
        "approve what you accept."
    )


def _set_anew(policy: Trust, seen_at: datetime) -> list[dict[str, str]]:
    if policy.since <= seen_at:
        return []
    return [{"code": "limits_changed", "message": "What the source is trusted with was set anew since."}]
