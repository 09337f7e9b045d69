"""Retention: the values of changesets that were closed long ago are purged; digests, decisions and the trail stay.

A changeset is purged in one transaction, or not at all; files that nothing needs any more go after it. Whatever ends a
run, the next one goes on from there.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from data_sync import conf
from data_sync.core.redaction import new_key
from data_sync.core.seal import RemainsDigest
from data_sync.core.states import ChangesetState, PullState
from data_sync.models import Change, Changeset, DataPull, Event, KeptRow
from data_sync.models.time import UtcNow
from data_sync.orm.batches import batches

from . import audit, left_files
from .actors import Actor
from .document_changes import exported_changes

logger = logging.getLogger("data_sync")

CLOSED = tuple(
    state.value
    for state in (
        ChangesetState.APPLIED,
        ChangesetState.REJECTED,
        ChangesetState.SUPERSEDED,
        ChangesetState.REVERTED,
        ChangesetState.STALE,
        ChangesetState.FAILED,
    )
)
_OPEN = tuple(state.value for state in ChangesetState if state.value not in CLOSED)
_ACTIVE = tuple(state.value for state in PullState if state.is_active)
EMPTY: dict[str, Any] = {
    "before": None,
    "after": None,
    "base": None,
    "diff": [],
    "carried": {},
    "cascades": [],
    "problems": [],
    "warnings": [],
    "restores": [],
    "conflict": {},
    "seen": {},
    "outcome_reason": "",
}
"""What a purged change holds where it held values, or sentences that may quote some."""
PULL_PURGED = "Its reason was purged."


@dataclass(slots=True, kw_only=True)
class Pruned:
    """What a run has purged, or would purge (`is_dry_run`; of files, then at most so many). `before`: what was closed
    earlier than that is purged; None: nothing ever is.

    `failures` are the changesets that could not be purged, and why.
    """

    before: datetime | None
    is_dry_run: bool
    changesets: list[int] = field(default_factory=list)
    changes: int = 0
    kept_rows: int = 0
    pulls: int = 0
    staged_files: int = 0
    left_files: int = 0
    failures: dict[int, str] = field(default_factory=dict)


class _BeingReverted(Exception):
    pass


def cutoff() -> datetime | None:
    """What was closed before this is to be purged; None where everything is kept."""
    days = conf.retention_days()
    return None if days is None else timezone.now() - timedelta(days=days)


def expired(before: datetime) -> QuerySet[Changeset]:
    """The changesets to purge, the oldest first, each with `closed_at`. Never one that is open, nor one of which a
    revert is being made or reviewed."""
    closing = Event.objects.filter(changeset=OuterRef("pk"), action=OuterRef("state")).order_by("-number")
    closed_at = Coalesce(Subquery(closing.values("at")[:1]), "reverted_at", "applied_at", "created_at")
    reverting = Changeset.objects.filter(reverts=OuterRef("pk"), state__in=_OPEN)
    asked = DataPull.objects.filter(reverts=OuterRef("pk"), state__in=_ACTIVE)
    return (
        Changeset.objects.filter(state__in=CLOSED, purged_at=None)
        .annotate(closed_at=closed_at)
        .filter(~Exists(reverting), ~Exists(asked), closed_at__lt=before)
        .order_by("pk")
    )


def would_prune(actor: Actor) -> Pruned:
    """What `prune` would do now. Alters nothing."""
    actor.require("data_sync.view_changeset")
    before = cutoff()
    pruned = Pruned(before=before, is_dry_run=True)
    if before is None:
        return pruned
    pruned.changesets = list(expired(before).values_list("pk", flat=True))
    for some in batches(pruned.changesets):
        pruned.changes += Change.objects.filter(changeset__in=some).count()
        pruned.kept_rows += KeptRow.objects.filter(changeset__in=some, values__isnull=False).count()
    pruned.pulls = _failed_pulls(before).count()
    pruned.staged_files = sum(1 for _ in left_files.unneeded(pruned.changesets))
    pruned.left_files = sum(len(set(left_files.left_by(Changeset(pk=pk)))) for pk in pruned.changesets)
    return pruned


def prune(actor: Actor) -> Pruned:
    """Purges what is due, a changeset in each transaction, then removes the files that nothing needs any more.

    What fails holds up nothing else. Does nothing without `DATA_SYNC_RETENTION_DAYS`.
    """
    actor.require("data_sync.pull_datasource")
    before = cutoff()
    pruned = Pruned(before=before, is_dry_run=False)
    if before is None:
        return pruned
    for pk in list(expired(before).values_list("pk", flat=True)):
        try:
            done = purge(pk, actor)
        except Exception as error:
            logger.exception("Changeset %s could not be purged.", pk)
            pruned.failures[pk] = type(error).__name__
            continue
        if done is not None:
            pruned.changesets.append(pk)
            pruned.changes += done["changes"]
            pruned.kept_rows += done["kept_rows"]
    pruned.pulls = _failed_pulls(before).update(error=PULL_PURGED)
    pruned.left_files = left_files.discard_left()
    pruned.staged_files = left_files.discard_staged()
    return pruned


def purge(changeset_id: int, actor: Actor) -> dict[str, int] | None:
    """Purges one changeset, in one transaction: how many changes, kept rows and files that it left; None where it is
    not closed any more, is purged already, or is being reverted.

    Keys, operations, decisions, outcomes, comments and digests stay, and of files the sizes and checksums.
    """
    actor.require("data_sync.pull_datasource")
    try:
        with transaction.atomic():
            taken = Changeset.objects.filter(pk=changeset_id, state__in=CLOSED, purged_at=None)
            # Whoever had the key of its leaves could try which redacted value a digest is of. Another fits none.
            if not taken.update(purged_at=UtcNow(), leaf_key=new_key(), undoable={}):
                return None
            if _is_being_reverted(changeset_id):
                raise _BeingReverted
            changeset = Changeset.objects.get(pk=changeset_id)
            detail = {
                # First: where they are stands in what is purged.
                "files": left_files.note_left(changeset),
                "changes": changeset.changes.update(**EMPTY),
                "kept_rows": changeset.kept_rows.filter(values__isnull=False).update(values=None),
            }
            left_files.forget_names(changeset)
            DataPull.objects.filter(changeset=changeset).update(upload_name="")
            # The digests of their contents no longer tell whether somebody alters what is left.
            told = {"days": conf.retention_days(), "remains": _remains(changeset)}
            audit.record(changeset_id, actor, "purged", detail | told)
    except _BeingReverted:
        return None
    return detail


def _remains(changeset: Changeset) -> str:
    remains = RemainsDigest()
    for text in exported_changes(changeset):
        remains.add(text)
    return remains.digest


def _is_being_reverted(changeset_id: int) -> bool:
    """Looked at apart: MariaDB takes no condition on the table that it updates."""
    return (
        Changeset.objects.filter(reverts=changeset_id, state__in=_OPEN).exists()
        or DataPull.objects.filter(reverts=changeset_id, state__in=_ACTIVE).exists()
    )


def _failed_pulls(before: datetime) -> QuerySet[DataPull]:
    """Those that have no changeset and whose reason may quote values."""
    ended = DataPull.objects.filter(
        state__in=[PullState.FAILED.value, PullState.CANCELLED.value], changeset=None, finished_at__lt=before
    )
    return ended.exclude(error__in=["", PULL_PURGED])


def latest_purged() -> QuerySet[Changeset]:
    """The purged changesets, the latest first."""
    return Changeset.objects.filter(purged_at__isnull=False).order_by("-purged_at", "-pk")
