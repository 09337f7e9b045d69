"""Changes of state: each one conditional UPDATE that names the old state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data_sync.core.errors import InvalidTransition
from data_sync.core.states import ChangesetState
from data_sync.models import Changeset

UNREQUESTED: dict[str, Any] = {
    "apply_requested_at": None,
    "apply_requested_by": None,
    "apply_actor": "",
    "apply_unrestricted": False,
    "submitted_at": None,
    "submissions": 0,
    "losses": 0,
}
"""What a changeset loses when nobody's request to apply it stands any more."""

VOID: dict[str, Any] = {
    **UNREQUESTED,
    "approval_seal": "",
    "approved_revision": None,
    "approved_at": None,
    "approved_by": None,
    "approval_actor": "",
    "approval_unrestricted": False,
    "state_reason": "",
}
"""What a changeset loses when its approval is void."""


def move(
    changeset_id: int,
    old: Sequence[ChangesetState],
    new: ChangesetState,
    *,
    only_if: dict[str, Any] | None = None,
    **values: Any,
) -> None:
    """Moves a changeset from one of the old states to the new one, and sets `values`.

    Raises `InvalidTransition`, naming the state found, if it was in none of them or `only_if` (more
    conditions, such as the lease's token) did not hold: somebody else was quicker.
    """
    moved = Changeset.objects.filter(
        pk=changeset_id, state__in=[state.value for state in old], **(only_if or {})
    ).update(state=new.value, **values)
    if not moved:
        raise InvalidTransition(refusal(changeset_id, f"become {new.value}"))


def refusal(changeset_id: int, what: str) -> str:
    """Why a changeset cannot do something: its state, or that it does not exist."""
    changeset = Changeset.objects.filter(pk=changeset_id).first()
    if changeset is None:
        return f"There is no changeset {changeset_id}."
    if changeset.purged_at is not None:
        return (
            f"The values of changeset {changeset_id} were purged on {changeset.purged_at:%Y-%m-%d}: it cannot {what}. "
            "Pull again."
        )
    reason = f": {changeset.state_reason}" if changeset.state_reason else "."
    return f"Changeset {changeset_id} is {changeset.state} and cannot {what}{reason}"
