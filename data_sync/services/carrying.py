"""Taking over what people said of a change in an earlier changeset, where it is the same change."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from django.db.models import Exists, Max, OuterRef, Q, QuerySet

from data_sync.core import canonical
from data_sync.core.errors import InvalidTransition
from data_sync.core.states import Decision
from data_sync.models import Change, Changeset, Comment, Viewing
from data_sync.models.fields import as_stored
from data_sync.orm.batches import batches

from . import keeping
from .acknowledging import ABSENT, LOCAL_DIGEST
from .content import incoming_record, pulled_record

RANGE = 500
AT_ONCE = 100_000
"""So many decisions are held in memory: some 15 MB."""

_IDENTITY = ("model", "key_digest", "operation", "before_digest", "after_digest", "left_scope", "taken")
_RECORDS = ("key", "previous_key", "before", "after", "files", "carried")


class _Decision(NamedTuple):
    decision: str
    rename_choice: str
    was_seen: bool
    kept: tuple[str, ...]


def carry_decisions(old: Changeset, changeset: Changeset, labels: Collection[str]) -> None:
    """Copies the decisions on changes of these models, also that they were set to undecided again; but none that was
    made without review.

    Both are read by ranges of numbers. To look up each key would be fewer rows, but databases know too little of
    rows that have just been added to choose the index for it.
    """
    decisions: dict[bytes, _Decision] = {}
    was_decided = ~Q(decision=Decision.UNDECIDED.value) | Q(decided_revision__isnull=False)
    decided = old.changes.filter(was_decided, model__in=labels)
    if old.auto_revision is not None:
        decided = decided.exclude(decided_revision=old.auto_revision)
    for rows in _in_ranges(decided, old, "decision", "acknowledged_digest", "rename_choice", "kept", "is_conflict"):
        for row in rows:
            decisions[row["identity"]] = _Decision(
                decision=row["decision"],
                rename_choice=row["rename_choice"],
                # Not what was seen of a row that was edited after the pull: that is another change now.
                was_seen=row["is_conflict"] and row["acknowledged_digest"] == (row["before_digest"] or ABSENT),
                kept=tuple(row["kept"].get("fields", ())),
            )
        if len(decisions) >= AT_ONCE:
            _decide_same(old, changeset, decisions)
            decisions = {}
    if decisions:
        _decide_same(old, changeset, decisions)


def _decide_same(old: Changeset, changeset: Changeset, decisions: Mapping[bytes, _Decision]) -> None:
    for rows in _in_ranges(changeset.changes.all(), changeset, "pk", "has_problems", "is_conflict"):
        groups: dict[_Decision, list[int]] = {}
        for row in rows:
            decision = decisions.get(row["identity"])
            if decision is not None and _may_stand(row, decision):
                was_seen = decision.was_seen and row["is_conflict"]
                groups.setdefault(decision._replace(was_seen=was_seen), []).append(row["pk"])
        for decision, pks in groups.items():
            if decision.kept:
                able = _keep_again(changeset, pks, decision.kept)
                # What would have kept a field is not accepted without that.
                pks = able if decision.decision == Decision.ACCEPTED else pks
            Change.objects.filter(pk__in=pks).update(
                decision=decision.decision,
                rename_choice=decision.rename_choice,
                acknowledged_digest=LOCAL_DIGEST if decision.was_seen else "",
                carried_from=None if decision.decision == Decision.UNDECIDED else old.pk,
            )


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


def carry_remarks(old: Changeset, changeset: Changeset, labels: Collection[str]) -> list[dict[str, Any]]:
    """Copies comments, with who and when, and what people have ticked off; gives the comments, for the event."""
    has_remarks = Exists(Comment.objects.filter(change=OuterRef("pk"))) | Exists(
        Viewing.objects.filter(change=OuterRef("pk"))
    )
    remarked = {
        row["identity"]: row["pk"]
        for rows in _in_ranges(old.changes.filter(has_remarks, model__in=labels), old, "pk")
        for row in rows
    }
    if not remarked:
        return []
    same = {
        remarked[identity]: (row["pk"], row["number"])
        for rows in _in_ranges(changeset.changes.all(), changeset, "pk", "number")
        for row in rows
        if (identity := row["identity"]) in remarked
    }
    told: list[dict[str, Any]] = []
    for pks in batches(same):
        here = Comment.objects.filter(change__in=[same[pk][0] for pk in pks])
        taken = set(here.values_list("change", "origin"))
        comments = [
            one
            for one in Comment.objects.filter(change__in=pks).order_by("pk")
            if (same[one.change_id][0], one.origin or one.pk) not in taken
        ]
        Comment.objects.bulk_create(
            Comment(
                change_id=same[one.change_id][0],
                origin=one.origin or one.pk,
                user_id=one.user_id,
                actor=one.actor,
                at=one.at,
                text=one.text,
            )
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


def _in_ranges(changes: QuerySet[Change], changeset: Changeset, *columns: str) -> Iterator[list[dict[str, Any]]]:
    """The changes by ranges of numbers, which every database finds without sorting; each with its `identity`."""
    highest = changes.aggregate(highest=Max("number"))["highest"] or 0
    rows = changes.order_by().annotate(taken=as_stored("cascades")).values("number", *_IDENTITY, *columns)
    for start in range(0, highest, RANGE):
        in_range = changes.filter(number__gt=start, number__lte=start + RANGE)
        if found := list(rows.filter(number__gt=start, number__lte=start + RANGE)):
            plain = _plain_digests(in_range, changeset)
            for row in found:
                row["identity"] = _identity(row | plain.get(row["number"], {}))
            yield found


def _plain_digests(changes: QuerySet[Change], changeset: Changeset) -> dict[int, dict[str, str]]:
    """By number, digests that another changeset's can be compared with: those of models with redacted fields are
    stored under a key that is this changeset's alone."""
    labels = [label for label, names in changeset.redacted.items() if names]
    if not labels:
        return {}
    found = {}
    for change in changes.filter(model__in=labels).order_by().only("number", "model", "operation", *_RECORDS):
        found[change.number] = {
            "before_digest": "" if change.before is None else pulled_record(change).digest(),
            "after_digest": "" if change.after is None else incoming_record(change).digest(),
        }
    return found


def _identity(row: dict[str, Any]) -> bytes:
    """What makes two changes the same to a reviewer: what was seen of a delete, its reach and its cause, counts."""
    return hashlib.sha256(canonical.dumps([row[name] for name in _IDENTITY]).encode()).digest()[:16]


def _may_stand(row: dict[str, Any], decision: _Decision) -> bool:
    """Nothing is accepted by carrying over that could not be accepted here."""
    if decision.decision != Decision.ACCEPTED:
        return True
    return not row["has_problems"] and (not row["is_conflict"] or decision.was_seen)
