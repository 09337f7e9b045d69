"""On whose authority a changeset is applied, and whether that suffices for all that the apply does."""

from __future__ import annotations

from collections.abc import Iterator

from data_sync.core.errors import NotPermitted
from data_sync.core.states import Decision, Operation
from data_sync.models import Changeset

from .actors import Actor

_OF_OPERATION = {Operation.CREATE: "add", Operation.UPDATE: "change", Operation.DELETE: "delete"}
_OF_EFFECT = {"delete": "delete", "null": "change", "default": "change"}


def requester(changeset: Changeset) -> Actor:
    """Who asked for the apply, with the permissions they have now: none, if the user is gone."""
    return Actor(
        label=changeset.apply_actor, user=changeset.apply_requested_by, unrestricted=changeset.apply_unrestricted
    )


def require_authority(changeset: Changeset, actor: Actor) -> None:
    """Raises `NotPermitted`, naming the permission, unless the actor may apply the accepted changes.

    That takes `apply_changeset`; each model's own add, change or delete permission; and for rows that
    deletes take along, the delete permission of their models (change, where a column is only set).
    """
    if actor.unrestricted:
        return
    if actor.user is None:
        raise NotPermitted(f"{actor.label} is not a user here, or no longer; somebody else has to apply this.")
    if not actor.user.is_active:
        raise NotPermitted(f"The user {actor.label} is not active; somebody else has to apply this.")
    actor.require("data_sync.apply_changeset")
    for permission in sorted(set(_permissions(changeset))):
        actor.require(permission)


def _permissions(changeset: Changeset) -> Iterator[str]:
    accepted = changeset.changes.filter(decision=Decision.ACCEPTED.value).order_by()
    for label, operation in accepted.values_list("model", "operation").distinct():
        yield _permission(_OF_OPERATION[Operation(operation)], label)
    with_cascades = accepted.filter(has_cascades=True).values_list("cascades", flat=True)
    for cascades in with_cascades.iterator(chunk_size=100):
        for label, effect in {(cascade["model"], cascade["effect"]) for cascade in cascades}:
            if effect in _OF_EFFECT:
                yield _permission(_OF_EFFECT[effect], label)


def _permission(action: str, label: str) -> str:
    app_label, name = label.split(".")
    return f"{app_label}.{action}_{name}"
