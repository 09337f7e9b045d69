"""What people leave at changes beside their decisions: that they have looked, and comments."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from data_sync.core.errors import DataSyncError
from data_sync.models import Change, Comment, Viewing

from . import audit
from .actors import Actor

LONGEST = 5000
"""Characters of a comment."""
JUST_NOW = timedelta(minutes=1)


def set_viewed(change: Change, actor: Actor, *, is_viewed: bool) -> None:
    """Ticks a change off for one person, or takes that back. Raises `NotPermitted`."""
    actor.require("data_sync.view_changeset")
    if is_viewed:
        Viewing.objects.get_or_create(change=change, user=actor.user)
    else:
        Viewing.objects.filter(change=change, user=actor.user).delete()


def comment(change: Change, text: str, actor: Actor) -> Comment:
    """Adds a comment to a change, in whatever state its changeset is. What the same person has just said there is not
    added again: a form was sent twice. Raises `DataSyncError`, `NotPermitted`."""
    actor.require("data_sync.view_changeset")
    text = text.replace("\r\n", "\n").strip()
    if not text:
        raise DataSyncError("The comment is empty; nothing was added. Write something.")
    if len(text) > LONGEST:
        raise DataSyncError(
            f"The comment has {len(text)} characters, and {LONGEST} is the most; nothing was added. Shorten it."
        )
    if "\x00" in text:
        raise DataSyncError("The comment holds the character U+0000; nothing was added. Leave that out.")
    with transaction.atomic():
        latest = Comment.objects.filter(change=change).order_by("pk").last()
        if latest is not None and (latest.user_id, latest.text) == (actor.user and actor.user.pk, text):
            if timezone.now() - latest.at < JUST_NOW:
                return latest
        added = Comment.objects.create(change=change, user=actor.user, actor=actor.label, at=timezone.now(), text=text)
        audit.record(change.changeset_id, actor, "commented", {"change": change.number, "text": text})
    return added
