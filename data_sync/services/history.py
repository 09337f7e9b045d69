"""Entries in the admin's own History of the rows an apply has touched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from django.apps import apps

from data_sync.core import canonical
from data_sync.core.records import key_text
from data_sync.core.states import Operation
from data_sync.models import Changeset

from .actors import Actor
from .plan import Entry, Plan

if TYPE_CHECKING:
    from django.contrib.admin.models import LogEntry


def record_history(changeset: Changeset, plan: Plan, actor: Actor) -> None:
    """One entry a row, in the actor's name; none where the actor is no user or the admin is not installed."""
    if actor.user is None or not apps.is_installed("django.contrib.admin"):
        return
    from django.contrib.admin.models import LogEntry
    from django.contrib.contenttypes.models import ContentType

    # `conflicts` knows entries of ours by these words.
    about = f"Changeset {changeset.pk} from {changeset.source_name}"
    for label, schema in plan.schemas.items():
        for batch in plan.entries(label):
            kind = ContentType.objects.get_for_model(schema.model).pk
            LogEntry.objects.bulk_create(
                entry for change in batch for entry in _entries(plan, change, kind, about, actor.user.pk)
            )


def _entries(plan: Plan, change: Entry, kind: int, about: str, user: int) -> Iterator[LogEntry]:
    from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry

    flags = {
        Operation.CREATE: ADDITION,
        Operation.UPDATE: CHANGE,
        Operation.RENAME: ADDITION if change.is_replaced else CHANGE,
        Operation.DELETE: DELETION,
    }
    names = plan.names(change.number)
    yield LogEntry(
        user_id=user,
        content_type_id=kind,
        object_id=str(change.pk),
        object_repr=key_text(tuple(canonical.loads(change.key_text)))[:200],
        action_flag=flags[change.operation],
        change_message=f"{about}: {', '.join(names)}" if names else about,
    )
    if change.is_replaced:
        yield LogEntry(
            user_id=user,
            content_type_id=kind,
            object_id=str(plan.replaced_pk(change)),
            object_repr=key_text(tuple(canonical.loads(change.previous_key or "[]")))[:200],
            action_flag=DELETION,
            change_message=about,
        )
