"""The revision of a changeset's decisions: who decides says which one was seen."""

from __future__ import annotations

from django.db.models import F

from data_sync.core.errors import InvalidTransition, RevisionConflict
from data_sync.core.states import ChangesetState
from data_sync.models import Changeset

from .auto_approval import release
from .outcomes import forget_outcomes
from .transitions import VOID, refusal

DECIDABLE = (ChangesetState.PENDING, ChangesetState.BLOCKED, ChangesetState.APPROVED, ChangesetState.FAILED)


def is_decidable(changeset: Changeset) -> bool:
    """Whether anything can be decided on it still."""
    return changeset.state in DECIDABLE and changeset.purged_at is None


def raise_revision(changeset_id: int, revision: int | None) -> Changeset:
    """Raises the revision, which also takes the row's lock; voids an approval, and outcomes. Of an approval without
    review, the decisions that nobody made go too.

    `revision` is the one that was seen; None takes any. Raises `RevisionConflict`, and `InvalidTransition` where
    nothing can be decided any more.
    """
    open_ones = Changeset.objects.filter(
        pk=changeset_id, state__in=[state.value for state in DECIDABLE], purged_at=None
    )
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
        release(changeset_id, [{"code": "decided", "message": "Somebody has decided on its changes since."}])
    return Changeset.objects.get(pk=changeset_id)
