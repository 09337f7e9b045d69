"""A later complete pull retires open changesets of its source; what people said of the same changes goes over."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

from django.db.models import Count, Q

from data_sync.core.errors import Busy
from data_sync.core.states import ChangesetState, Operation, PullKind, PullState
from data_sync.models import Change, Changeset, DataPull

from . import audit
from .actors import Actor
from .carrying import carry_decisions, carry_remarks
from .freeing import free_lost_apply

OPEN = (ChangesetState.PENDING, ChangesetState.BLOCKED, ChangesetState.APPROVED)
GIVEN_UP = (ChangesetState.STALE, ChangesetState.FAILED)
"""Not superseded, but to be pulled again."""
LOOKED_BACK = 20
"""So many of a source's latest changesets may be ones that an apply has given up."""


def supersede(
    pull: DataPull,
    labels: Collection[str],
    changeset: Changeset | None,
    has_seen: Callable[[Change], bool] = lambda change: True,
) -> None:
    """Retires open changesets of the same origin whose models this complete pull has covered.

    `has_seen`: whether the pull has looked at all that a change of these models is about, where it has not looked at
    every row and column. Their decisions, comments and ticks stand in the new changeset where a change is the same:
    key, operation, before- and after-digest, and what it takes along. So do those of changesets whose apply wrote
    nothing. What was decided later counts, and nothing that was decided before a changeset of the same models was
    applied or rejected, or both sides were found equal. To be called in the transaction that stores the new changeset.
    """
    covered = set(labels)
    actor = Actor(label=pull.actor, user=pull.requested_by)
    retired = [
        old for old in _open(pull, changeset) if _covers(pull, old, covered, has_seen) and _retire(old, pull, changeset)
    ]
    for old in retired:
        audit.record(old.pk, actor, "superseded", {"by": changeset.pk if changeset else None, "pull": pull.pk})
    if changeset is None:
        return
    comments: list[dict[str, Any]] = []
    sources = _asked(pull, changeset, covered, retired)
    for old, labels in sources.items():  # The latest last, so that its decisions stand.
        carry_decisions(old, changeset, labels)
        comments += carry_remarks(old, changeset, labels)
    carried = changeset.changes.filter(carried_from__isnull=False).order_by()
    counts = dict(carried.values_list("decision").annotate(count=Count("pk")))
    if counts or comments:
        detail = {"from": sorted(old.pk for old in sources), "counts": counts}
        audit.record(changeset.pk, actor, "carried_over", detail | ({"comments": comments} if comments else {}))


def _open(pull: DataPull, changeset: Changeset | None) -> list[Changeset]:
    """Also those whose apply has lost its worker, unless a transaction of that worker holds one."""
    applying = Changeset.objects.filter(_same_origin(pull), state=ChangesetState.APPLYING.value)
    for pk in list(applying.values_list("pk", flat=True)):
        with suppress(Busy):
            free_lost_apply(pk)
    older = Changeset.objects.filter(_same_origin(pull), state__in=[state.value for state in OPEN])
    return list(older if changeset is None else older.exclude(pk=changeset.pk))


def _same_origin(pull: DataPull) -> Q:
    """The pulls and changesets that this pull can take the place of.

    Those of its source. Those of a file are of the same kind, and came by the same name: where one by another name came
    from, nobody knows. Changesets of sources that are gone are nobody's; what undoes a changeset is retired by what
    undoes the same one.
    """
    if pull.source_id is not None:
        return Q(source=pull.source_id)
    return Q(source=None, kind=pull.kind, source_name=pull.source_name, reverts=pull.reverts_id)


def _covers(pull: DataPull, old: Changeset, covered: set[str], has_seen: Callable[[Change], bool]) -> bool:
    """Whether a pull has looked at all that an older changeset is about."""
    if pull.kind == PullKind.SHEET:
        changes = old.changes.only("model", "key", "before", "after").iterator(chunk_size=500)
        return set(old.model_labels) <= covered and all(map(has_seen, changes))
    if pull.kind != PullKind.REVERT:
        return set(old.model_labels) <= covered
    numbers = pull.options.get("numbers")
    return numbers is None or set(old.changes.order_by().values_list("undoes", flat=True)) <= set(numbers)


def _retire(old: Changeset, pull: DataPull, changeset: Changeset | None) -> bool:
    """In whichever of its states it is by now: one that somebody approves at this moment is retired all the same."""
    reason = f"Superseded by changeset {changeset.pk}." if changeset else f"Pull {pull.pk} found no difference."
    return bool(
        Changeset.objects.filter(pk=old.pk, state__in=[state.value for state in OPEN]).update(
            state=ChangesetState.SUPERSEDED.value, state_reason=reason
        )
    )


def _asked(
    pull: DataPull, changeset: Changeset, covered: set[str], retired: Collection[Changeset]
) -> dict[Changeset, set[str]]:
    """The changesets that are taken from, the earliest first, each with the models of which what was said still stands:
    no later changeset of theirs was closed otherwise, and no later pull found both sides equal."""
    earlier = Changeset.objects.filter(_same_origin(pull), pk__lt=changeset.pk).order_by("-pk")
    equal = _found_equal(pull)
    asked: dict[Changeset, set[str]] = {}
    standing = set(covered)
    for old in sorted({*earlier[:LOOKED_BACK], *retired}, key=lambda old: -old.pk):
        labels = set(old.model_labels)
        if old in retired or (old.state in GIVEN_UP and old.purged_at is None):
            asked[old] = {label for label in standing & labels if equal.get(label, -1) < (old.pull_id or 0)}
        else:
            standing -= labels
    return dict(reversed(asked.items()))


def _found_equal(pull: DataPull) -> dict[str, int]:
    """Of each model, the latest of the source's pulls that found no difference in it."""
    done = DataPull.objects.filter(_same_origin(pull), state=PullState.DONE.value, pk__lt=pull.pk).order_by("-pk")
    found: dict[str, int] = {}
    for pk, report in done.values_list("pk", "report")[:LOOKED_BACK]:
        for row in report.get("models", ()):
            if not any(row.get(operation.value) for operation in Operation):
                found.setdefault(row["label"], pk)
    return found
