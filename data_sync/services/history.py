"""Entries in the admin's own History of the rows an apply has touched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from django.apps import apps

from data_sync.core.records import key_text
from data_sync.core.states import Operation
from data_sync.models import Changeset
from data_sync.orm.batches import batches

from .actors import Actor
from .plan import Plan

if TYPE_CHECKING:
    from django.contrib.admin.models import LogEntry


def record_history(changeset: Changeset, plan: Plan, actor: Actor) -> None:
    """One entry a row, in the actor's name; none where the actor is no user or the admin is not installed."""
    if actor.user is None or not apps.is_installed("django.contrib.admin"):
        return
    from django.contrib.admin.models import LogEntry

    for batch in batches(_entries(changeset, plan, actor)):
        LogEntry.objects.bulk_create(batch)


def _entries(changeset: Changeset, plan: Plan, actor: Actor) -> Iterator[LogEntry]:
    from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
    from django.contrib.contenttypes.models import ContentType

    flags = {Operation.CREATE: ADDITION, Operation.UPDATE: CHANGE, Operation.DELETE: DELETION}
    for schema, operation, pk, record, names in plan.touched():
        fields = f": {', '.join(names)}" if names else ""
        yield LogEntry(
            user_id=actor.user.pk,
            content_type_id=ContentType.objects.get_for_model(schema.model).pk,
            object_id=str(pk),
            object_repr=key_text(record.key)[:200],
            action_flag=flags[operation],
            change_message=f"Changeset {changeset.pk} from {changeset.source_name}{fields}",
        )
