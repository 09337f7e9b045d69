"""Work that nobody is at although it was asked for: never handed to a queue, lost there, or its worker was lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias, assert_never

from django.db import transaction
from django.db.models import Count, Exists, F, Min, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Coalesce

from data_sync.core.states import AutoApply, ChangesetState, PullState
from data_sync.models import ApplyHeartbeat, Changeset, DataPull, PullHeartbeat
from data_sync.models.time import UtcNow

from .leases import Heartbeats, expired, is_held_open

Kind: TypeAlias = Literal["pull", "apply"]
TaskKind: TypeAlias = Literal["pull", "apply", "notify"]
"""Of tasks. `notify` tells others of an event, whose primary key it has; nobody looks for one that was lost."""

GRACE = timedelta(minutes=1)
"""So long whoever asked for work has to hand it over."""
WAITS = tuple(timedelta(minutes=minutes) for minutes in (5, 10, 20, 40, 60))
"""So long a queue has after the first, second … time that it was handed the same work; from then on the last one."""

_ASKED_AT: dict[Kind, Any] = {"pull": F("created_at"), "apply": Coalesce("apply_requested_at", "created_at")}
PULL_LEASE_EXPIRED = Q(state__in=[PullState.READING.value, PullState.COMPARING.value]) & expired(PullHeartbeat)
APPLY_LEASE_EXPIRED = Q(state=ChangesetState.APPLYING.value) & expired(ApplyHeartbeat)

_QUEUED = Q(state=PullState.QUEUED.value)
_REQUESTED = Q(state=ChangesetState.APPROVED.value, apply_requested_at__isnull=False)
AUTO_DUE = Q(auto_state=AutoApply.DUE.value, state__in=[ChangesetState.PENDING.value, ChangesetState.BLOCKED.value])
"""Changesets of which it is still to be decided whether they are applied without review."""
WAITING_PULL = _QUEUED | PULL_LEASE_EXPIRED
"""Pulls that a worker may claim."""
WAITING_APPLY = _REQUESTED | APPLY_LEASE_EXPIRED
"""Changesets whose apply a worker may claim."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One time that work is handed to a queue; `number` counts from 1."""

    kind: TaskKind
    pk: int
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Work that nobody is at. `overdue` of it should have been brought by now; the oldest was asked for at `since`."""

    pulls: int
    applies: int
    overdue: int
    since: datetime | None


def _is_overdue(asked_at: str) -> Q:
    """Whether a queue has had its time, or has not taken it, or the one who asked had theirs to hand it over."""
    never = Q(submitted_at=None) & (Q(submissions__gt=0) | Q(**{f"{asked_at}__lt": UtcNow() - Value(GRACE)}))
    again = Q()
    for number, wait in enumerate(WAITS, 1):
        counted = Q(submissions=number) if number < len(WAITS) else Q(submissions__gte=number)
        again |= counted & Q(submitted_at__lt=UtcNow() - Value(wait))
    return never | again


ABANDONED_PULL = (_QUEUED & _is_overdue("created_at")) | PULL_LEASE_EXPIRED
"""Pulls that nobody is at, or will be, as far as can be told."""
ABANDONED_APPLY = (_REQUESTED & _is_overdue("apply_requested_at")) | APPLY_LEASE_EXPIRED
"""Applies that were asked for and that nobody is at, or will be."""
ABANDONED_AUTO = AUTO_DUE & _is_overdue("created_at")
"""Changesets that are to be looked at, which nobody does."""


def _waiting(kind: Kind) -> QuerySet[Any]:
    match kind:
        case "pull":
            return DataPull.objects.filter(WAITING_PULL)
        case "apply":
            return Changeset.objects.filter(WAITING_APPLY | AUTO_DUE)
        case _:
            assert_never(kind)


def _due(kind: Kind) -> QuerySet[Any]:
    """What is to be handed over, or again."""
    match kind:
        case "pull":
            overdue = _is_overdue("created_at") | (PULL_LEASE_EXPIRED & _is_untold(PullHeartbeat))
        case "apply":
            overdue = _is_overdue("apply_requested_at") | (APPLY_LEASE_EXPIRED & _is_untold(ApplyHeartbeat))
            overdue |= ABANDONED_AUTO
        case _:
            assert_never(kind)
    return _waiting(kind).filter(overdue)


def _is_untold(heartbeats: Heartbeats) -> Q:
    """Whether the worker was lost after the queue had last been told."""
    later = heartbeats._base_manager.filter(work=OuterRef("pk"), lease_expires_at__gt=OuterRef("submitted_at"))
    return Q(submitted_at=None) | Q(Exists(later))


def backlog() -> Backlog:
    pulls, applies = (
        _waiting(kind).aggregate(number=Count("pk"), since=Min(asked_at)) for kind, asked_at in _ASKED_AT.items()
    )
    times = [found["since"] for found in (pulls, applies) if found["since"] is not None]
    return Backlog(
        pulls=pulls["number"],
        applies=applies["number"],
        overdue=sum(_due(kind).count() for kind in _ASKED_AT),
        since=min(times, default=None),
    )


def due(limit: int) -> list[tuple[Kind, int]]:
    """What was lost, the oldest first."""
    found: list[tuple[Any, Kind, int]] = []
    for kind, asked_at in _ASKED_AT.items():
        rows = _due(kind).annotate(asked_at=asked_at).order_by("asked_at", "pk").values_list("asked_at", "pk")[:limit]
        found += [(asked, kind, pk) for asked, pk in rows]
    return [(kind, pk) for _, kind, pk in sorted(found, key=lambda row: (row[0], row[2]))[:limit]]


def take(kind: Kind, pk: int) -> Submission | None:
    """Takes one that is due, so that nobody else does for a while; None if it is not due any more.

    Also None, instead of waiting, where a transaction holds it.
    """
    with transaction.atomic():
        rows = _due(kind).filter(pk=pk)
        return None if is_held_open(rows) else _submitted(kind, pk, rows)


def note_submission(kind: Kind, pk: int) -> Submission | None:
    """Counts that waiting work is handed over; None where nobody waits for it any more."""
    with transaction.atomic():
        return _submitted(kind, pk, _waiting(kind).filter(pk=pk))


def give_back(submission: Submission) -> None:
    """Makes due again at once what the queue did not take after all."""
    if submission.kind == "notify":
        return
    _waiting(submission.kind).filter(pk=submission.pk, submissions=submission.number).update(submitted_at=None)


def _submitted(kind: Kind, pk: int, rows: QuerySet[Any]) -> Submission | None:
    if not rows.update(submitted_at=UtcNow(), submissions=F("submissions") + 1):
        return None
    number = rows.model._base_manager.values_list("submissions", flat=True).get(pk=pk)
    return Submission(kind=kind, pk=pk, number=number)
