"""A later complete pull retires open changesets of its source, and takes their decisions and remarks over."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from django.db.models import Exists, Max, OuterRef, QuerySet

from data_sync.core import canonical
from data_sync.core.errors import InvalidTransition
from data_sync.core.states import ChangesetState, Decision
from data_sync.models import Change, Changeset, Comment, DataPull, Viewing
from data_sync.models.fields import as_stored
from data_sync.orm.batches import batches

from . import audit, keeping
from .actors import Actor
from .review import ABSENT, LOCAL_DIGEST

OPEN = (ChangesetState.PENDING, ChangesetState.BLOCKED, ChangesetState.APPROVED)
GIVEN_UP = (ChangesetState.STALE, ChangesetState.FAILED)
"""Not superseded, but to be pulled again."""
LOOKED_BACK = 20
"""So many of a source's latest changesets may be ones that an apply has given up."""
RANGE = 500
AT_ONCE = 100_000
"""So many decisions are held in memory: some 15 MB."""

_IDENTITY = ("model", "key_digest", "operation", "before_digest", "after_digest", "left_scope", "taken")


class _Decision(NamedTuple):
    decision: str
    rename_choice: str
    was_seen: bool
    kept: tuple[str, ...]


def supersede(pull: DataPull, labels: Collection[str], changeset: Changeset | None) -> None:
    """Retires open changesets of the same source whose models this complete pull has covered.

    Their decisions, comments and ticks stand in the new changeset where a change is the same: key, operation, before-
    and after-digest, and what it takes along. So do those of changesets whose apply wrote nothing. To be called in
    the transaction that stores the new changeset.
    """
    covered = set(labels)
    actor = Actor(label=pull.actor, user=pull.requested_by)
    retired = [
        old for old in _open(pull, changeset) if set(old.model_labels) <= covered and _retire(old, pull, changeset)
    ]
    for old in retired:
        audit.record(old.pk, actor, "superseded", {"by": changeset.pk if changeset else None, "pull": pull.pk})
    if changeset is None:
        return
    counts: Counter[str] = Counter()
    comments: list[dict[str, Any]] = []
    sources = sorted([*retired, *_given_up(pull, changeset, covered)], key=lambda old: old.pk)
    for old in sources:  # The latest last, so that its decisions stand.
        counts += _carry_over(old, changeset)
        comments += _carry_remarks(old, changeset)
    if counts or comments:
        detail = {"from": [old.pk for old in sources], "counts": dict(counts)}
        audit.record(changeset.pk, actor, "carried_over", detail | ({"comments": comments} if comments else {}))


def _open(pull: DataPull, changeset: Changeset | None) -> list[Changeset]:
    older = Changeset.objects.filter(source=pull.source, state__in=[state.value for state in OPEN])
    return list(older if changeset is None else older.exclude(pk=changeset.pk))


def _retire(old: Changeset, pull: DataPull, changeset: Changeset | None) -> bool:
    reason = f"Superseded by changeset {changeset.pk}." if changeset else f"Pull {pull.pk} found no difference."
    return bool(
        Changeset.objects.filter(pk=old.pk, state=old.state).update(
            state=ChangesetState.SUPERSEDED.value, state_reason=reason
        )
    )


def _given_up(pull: DataPull, changeset: Changeset, covered: set[str]) -> Iterator[Changeset]:
    """Changesets that an apply gave up, unless a later one has covered their models, and has their decisions."""
    seen: set[str] = set()
    for old in Changeset.objects.filter(source=pull.source, pk__lt=changeset.pk).order_by("-pk")[:LOOKED_BACK]:
        labels = set(old.model_labels)
        if old.state in GIVEN_UP and labels <= covered and not labels <= seen:
            yield old
        seen |= labels


def _carry_over(old: Changeset, changeset: Changeset) -> Counter[str]:
    """Copies the decisions of one changeset; gives how many of each.

    Both are read by ranges of numbers. To look up each key would be fewer rows, but databases know too little of
    rows that have just been added to choose the index for it.
    """
    counts: Counter[str] = Counter()
    decisions: dict[bytes, _Decision] = {}
    decided = old.changes.exclude(decision=Decision.UNDECIDED.value)
    for rows in _in_ranges(decided, "decision", "acknowledged_digest", "rename_choice", "kept", "is_conflict"):
        for row in rows:
            decisions[_identity(row)] = _Decision(
                decision=row["decision"],
                rename_choice=row["rename_choice"],
                # Not what was seen of a row that was edited after the pull: that is another change now.
                was_seen=row["is_conflict"] and row["acknowledged_digest"] == (row["before_digest"] or ABSENT),
                kept=tuple(row["kept"].get("fields", ())),
            )
        if len(decisions) >= AT_ONCE:
            counts += _decide_same(changeset, decisions)
            decisions = {}
    return counts + _decide_same(changeset, decisions) if decisions else counts


def _decide_same(changeset: Changeset, decisions: Mapping[bytes, _Decision]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for rows in _in_ranges(changeset.changes.all(), "pk", "has_problems", "is_conflict"):
        groups: dict[_Decision, list[int]] = {}
        for row in rows:
            decision = decisions.get(_identity(row))
            if decision is not None and _may_stand(row, decision):
                was_seen = decision.was_seen and row["is_conflict"]
                groups.setdefault(decision._replace(was_seen=was_seen), []).append(row["pk"])
        for decision, pks in groups.items():
            if decision.kept and decision.decision == Decision.ACCEPTED:
                pks = _keep_again(changeset, pks, decision.kept)
            counts[decision.decision] += Change.objects.filter(pk__in=pks).update(
                decision=decision.decision,
                rename_choice=decision.rename_choice,
                acknowledged_digest=LOCAL_DIGEST if decision.was_seen else "",
            )
    return counts


def _keep_again(changeset: Changeset, pks: list[int], names: tuple[str, ...]) -> list[int]:
    """Has these updates keep the same fields as before; gives those that can."""
    changes = list(changeset.changes.filter(pk__in=pks))
    made = keeping.rows_made_by(changeset, {number for change in changes for number in change.requires})
    able = []
    for change in changes:
        of_change = {number: made[number] for number in change.requires if number in made}
        with suppress(InvalidTransition):
            change.kept = keeping.kept_of(changeset, change, names, of_change)
            able.append(change)
    Change.objects.bulk_update(able, ["kept"])
    return [change.pk for change in able]


def _carry_remarks(old: Changeset, changeset: Changeset) -> list[dict[str, Any]]:
    """Copies comments, with who and when, and what people have ticked off; gives the comments, for the event."""
    has_remarks = Exists(Comment.objects.filter(change=OuterRef("pk"))) | Exists(
        Viewing.objects.filter(change=OuterRef("pk"))
    )
    remarked = {_identity(row): row["pk"] for rows in _in_ranges(old.changes.filter(has_remarks), "pk") for row in rows}
    if not remarked:
        return []
    same = {
        remarked[identity]: (row["pk"], row["number"])
        for rows in _in_ranges(changeset.changes.all(), "pk", "number")
        for row in rows
        if (identity := _identity(row)) in remarked
    }
    told: list[dict[str, Any]] = []
    for pks in batches(same):
        comments = list(Comment.objects.filter(change__in=pks).order_by("pk"))
        Comment.objects.bulk_create(
            Comment(change_id=same[one.change_id][0], user_id=one.user_id, actor=one.actor, at=one.at, text=one.text)
            for one in comments
        )
        told += [
            {"change": same[one.change_id][1], "actor": one.actor, "at": one.at.isoformat(), "text": one.text}
            for one in comments
        ]
        ticks = Viewing.objects.filter(change__in=pks)
        Viewing.objects.bulk_create(
            [Viewing(change_id=same[one.change_id][0], user_id=one.user_id) for one in ticks], ignore_conflicts=True
        )
    return told


def _in_ranges(changes: QuerySet[Change], *columns: str) -> Iterator[list[dict[str, Any]]]:
    """The changes by ranges of numbers, which every database finds without sorting."""
    highest = changes.aggregate(highest=Max("number"))["highest"] or 0
    rows = changes.order_by().annotate(taken=as_stored("cascades")).values(*_IDENTITY, *columns)
    for start in range(0, highest, RANGE):
        if found := list(rows.filter(number__gt=start, number__lte=start + RANGE)):
            yield found


def _identity(row: dict[str, Any]) -> bytes:
    """What makes two changes the same to a reviewer: what was seen of a delete, its reach and its cause, counts."""
    return hashlib.sha256(canonical.dumps([row[name] for name in _IDENTITY]).encode()).digest()[:16]


def _may_stand(row: dict[str, Any], decision: _Decision) -> bool:
    """Nothing is accepted by carrying over that could not be accepted here."""
    if decision.decision != Decision.ACCEPTED:
        return True
    return not row["has_problems"] and (not row["is_conflict"] or decision.was_seen)
