"""Entries in the admin's own History of the rows an apply has touched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from data_sync.core.records import key_text
from data_sync.core.states import Operation
from data_sync.models import Changeset
from data_sync.orm.insertion import insert_plain, prepared

from .actors import Actor
from .entries import Entry
from .plan import Plan


def record_history(changeset: Changeset, plan: Plan, actor: Actor) -> None:
    """One entry a row, in the actor's name; none where the actor is no user or the admin is not installed."""
    if actor.user is None or not apps.is_installed("django.contrib.admin"):
        return
    from django.contrib.admin.models import LogEntry
    from django.contrib.contenttypes.models import ContentType

    # `conflicts` knows entries of ours by these words.
    about = f"Changeset {changeset.pk} from {changeset.source_name}"
    fields: list[Any] = [LogEntry._meta.get_field(name) for name in _FIELDS]
    for label, schema in plan.schemas.items():
        for batch in plan.entries(label):
            known = (timezone.now(), actor.user.pk, ContentType.objects.get_for_model(schema.model).pk)
            always = prepared(fields[:3], known, DEFAULT_DB_ALIAS)
            insert_plain(
                LogEntry,
                fields,
                ((*always, *entry) for change in batch for entry in _entries(plan, change, about)),
                DEFAULT_DB_ALIAS,
            )


_FIELDS = ("action_time", "user", "content_type", "object_id", "object_repr", "action_flag", "change_message")


def _entries(plan: Plan, change: Entry, about: str) -> Iterator[tuple[str, str, int, str]]:
    """Object, its name, flag and message of each entry: two where a row is deleted to be made anew."""
    from django.contrib.admin.models import ADDITION, CHANGE, DELETION

    flag = {Operation.CREATE: ADDITION, Operation.UPDATE: CHANGE, Operation.RENAME: CHANGE, Operation.DELETE: DELETION}
    names = plan.written.names(change.number)
    message = f"{about}: {', '.join(names)}" if names else about
    if change.is_replaced:
        yield str(change.replaced_pk), _name(change.previous_key or change.key_text), DELETION, about
    yield (
        str(change.pk),
        _name(change.key_text),
        ADDITION if change.is_replaced else flag[change.operation],
        message,
    )


def _name(text: str) -> str:
    """What people call the row. Its `str()` is not asked: that may query."""
    return key_text(tuple(json.loads(text)))[:200]
