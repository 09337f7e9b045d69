"""What a changeset's events say of its state."""

from __future__ import annotations

from collections.abc import Collection

from .states import ChangesetState

_P, _B, _A = ChangesetState.PENDING, ChangesetState.BLOCKED, ChangesetState.APPROVED
_WRITING, _APPLIED, _REVERTED = ChangesetState.APPLYING, ChangesetState.APPLIED, ChangesetState.REVERTED

_AFTER: dict[str, Collection[ChangesetState]] = {
    "pulled": (_P, _B),
    "overridden": (_P,),
    "approved": (_A, _WRITING),
    "withdrawn": (_P,),
    "approval_expired": (_P,),
    "rejected": (ChangesetState.REJECTED,),
    "superseded": (ChangesetState.SUPERSEDED,),
    "applied": (_APPLIED, _REVERTED),
    "stale": (ChangesetState.STALE,),
    "failed": (ChangesetState.FAILED,),
}
_DECIDING = ("decided", "undone", "auto_approved", "left_for_review")


def possible_states(before: Collection[ChangesetState], action: str) -> Collection[ChangesetState]:
    """In which states a changeset may be after an event, by those in which it may have been before.

    Most events alter none; a decision voids an approval, or reopens what has failed.
    """
    if action in _AFTER:
        return _AFTER[action]
    if action in _DECIDING:
        return tuple(dict.fromkeys(_P if state in (_A, _WRITING, ChangesetState.FAILED) else state for state in before))
    return before
