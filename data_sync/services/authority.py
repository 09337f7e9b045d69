"""On whose authority a changeset is applied, and whether that suffices for all that the apply does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, assert_never

from django.apps import apps

from data_sync.core.errors import InvalidTransition, NotPermitted
from data_sync.core.states import Decision, Operation, RenameChoice
from data_sync.models import Changeset

from .actors import Actor
from .selection import KEPT_ROW

_OF_EFFECT = {"delete": "delete", "null": "change", "default": "change", "set": "change"}


def requester(changeset: Changeset) -> Actor:
    """Who asked for the apply, with the permissions they have now: none, if the user is gone."""
    return Actor(
        label=changeset.apply_actor, user=changeset.apply_requested_by, unrestricted=changeset.apply_unrestricted
    )


def require_approver(changeset: Changeset) -> None:
    """Raises `InvalidTransition`, naming who approved, unless they could still approve today.

    An approval speaks for its approver: one that has been deactivated, deleted or stripped of the permission speaks
    for nobody.
    """
    if changeset.approval_unrestricted:
        return
    approver = Actor(label=changeset.approval_actor, user=changeset.approved_by)
    try:
        if approver.user is None or not approver.user.is_active:
            raise NotPermitted(f"The user {approver.label} is not active any more.")
        approver.require("data_sync.approve_changeset")
    except NotPermitted as error:
        raise InvalidTransition(
            f"The approval of changeset {changeset.pk} does not count any more. {error} Withdraw it, and have somebody "
            "else approve."
        ) from None


def require_authority(changeset: Changeset, actor: Actor) -> None:
    """Raises `NotPermitted`, naming the permission, unless the actor may apply the accepted changes.

    That takes `apply_changeset`; each model's own add, change or delete permission (add and delete for a rename that
    replaces its row); for rows that deletes take along, the delete permission of their models, and for rows that come
    back with others, the add permission of theirs (change, where a column is only set).
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
    for label, operation, choice in accepted.values_list("model", "operation", "rename_choice").distinct():
        for action in _actions(Operation(operation), RenameChoice(choice)):
            yield permission_of(action, label)
    with_cascades = accepted.filter(has_cascades=True).exclude(KEPT_ROW).values_list("cascades", flat=True)
    for cascades in with_cascades.iterator(chunk_size=100):
        for label, effect in {(cascade["model"], cascade["effect"]) for cascade in cascades}:
            if effect in _OF_EFFECT:
                yield permission_of(_OF_EFFECT[effect], label)
    for restores in accepted.exclude(restores=[]).values_list("restores", flat=True).iterator(chunk_size=100):
        for label, effect in {(row["model"], row["effect"]) for row in restores if row["column"]}:
            if _owner(label) is None:
                yield permission_of("add" if effect == "create" else "change", label)


def _actions(operation: Operation, choice: RenameChoice) -> tuple[str, ...]:
    match operation:
        case Operation.CREATE:
            return ("add",)
        case Operation.UPDATE:
            return ("change",)
        case Operation.DELETE:
            return ("delete",)
        case Operation.RENAME:
            return ("change",) if choice == RenameChoice.RENAME else ("add", "delete")
        case _:
            assert_never(operation)


def permission_of(action: str, label: str) -> str:
    """The permission for an action on a model. The links of a plain many-to-many relation have none of their own: they
    are part of the row that declares it, as in the admin."""
    owner = _owner(label)
    if owner is not None:
        label, action = owner._meta.label_lower, "change"
    app_label, name = label.split(".")
    return f"{app_label}.{action}_{name}"


def _owner(label: str) -> Any | None:
    """The model that declares a plain many-to-many relation, of whose table this is the label; else None."""
    with suppress(LookupError):
        return apps.get_model(label)._meta.auto_created or None
    return None
