"""What the rules of applying without review look at, read from the database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Exists, OuterRef, Q

from data_sync import conf
from data_sync.core.states import ChangesetState, Decision, Operation
from data_sync.models import Change, Changeset, Event, Trust
from data_sync.models.fields import as_stored

from . import trust
from .approval import needs_others
from .auto_rules import Facts
from .selection import Selection, select

LOOKED_BACK = 20
"""So many of a source's latest changesets are asked whether somebody is at them."""
FINISHED = (ChangesetState.APPLIED, ChangesetState.REVERTED, ChangesetState.REJECTED)
"""With these, what was said in earlier changesets of the same models has had its end."""
BY_SOMEBODY = ("decided", "undone", "commented", "approved", "withdrawn", "overridden")


def standing_facts(policy: Trust | None) -> Facts:
    """What holds for a source whatever its changesets are."""
    return Facts(is_allowed=conf.auto_apply(), lacks="" if policy is None else trust.lacking(policy))


def facts_of(changeset: Changeset, policy: Trust | None) -> Facts:
    """As of now; `policy` is the trust that its source has."""
    summary = [row for row in changeset.summary if any(row.get(operation.value) for operation in Operation)]
    with_problems = changeset.changes.filter(has_problems=True).annotate(text=as_stored("problems"))
    missing = with_problems.filter(text__contains='"code":"missing_reference"').count()
    return Facts(
        is_allowed=conf.auto_apply(),
        lacks="" if policy is None else trust.lacking(policy),
        needs_others=policy is not None and needs_others(changeset, trust.answerable(policy)),
        guards=tuple(_guards(changeset)),
        omitted=tuple(changeset.omitted),
        models=tuple(row["label"] for row in summary),
        # Where a row does not say, an older version has stored it.
        unagreed=tuple(row["label"] for row in summary if row.get("is_new", True)),
        counts={
            Operation.CREATE: changeset.creates,
            Operation.UPDATE: changeset.updates,
            Operation.DELETE: changeset.deletes,
            Operation.RENAME: changeset.renames,
        },
        conflicts=_number(changeset, "conflicts"),
        unknown_base=_number(changeset, "unknown_base"),
        cascades=_number(changeset, "cascades"),
        missing_references=missing,
        other_problems=with_problems.count() - missing,
        warnings=_number(changeset, "warnings"),
        rejected_before=_rejected_before(changeset),
        others_at_it=tuple(_others_at_it(changeset)),
    )


def _guards(changeset: Changeset) -> Iterator[str]:
    yield from (guard["message"] for guard in changeset.guards)
    if changeset.state == ChangesetState.BLOCKED and not changeset.guards:
        yield changeset.state_reason or "The changeset is blocked."


def _number(changeset: Changeset, flag: str) -> int:
    return select(changeset, Selection(flag=flag)).order_by().count()


def _rejected_before(changeset: Changeset) -> int:
    """How many of the changes somebody has said no to, alone or as part of a whole, in a changeset of this source."""
    said_no = Q(decision=Decision.REJECTED.value) | Q(changeset__state=ChangesetState.REJECTED.value)
    same: dict[str, Any] = {
        name: OuterRef(name) for name in ("model", "key_digest", "operation", "before_digest", "after_digest")
    }
    earlier = Change.objects.filter(
        said_no, changeset__source=changeset.source_id, changeset__lt=changeset.pk, **same
    ).order_by()
    return changeset.changes.filter(Exists(earlier)).order_by().count()


def _others_at_it(changeset: Changeset) -> Iterator[int]:
    """This changeset, and earlier ones of its models, where somebody has said something that had no end yet."""
    concerned = [changeset.pk, *_unfinished(changeset)]
    events = list(
        Event.objects.filter(changeset__in=concerned).order_by("number").values_list("changeset", "action", "actor")
    )
    ours = {(number, actor) for number, action, actor in events if action == "auto_approved"}
    found = {number for number, action, actor in events if action in BY_SOMEBODY and (number, actor) not in ours}
    if _has_opinions(changeset):
        found.add(changeset.pk)
    yield from sorted(found)


def _unfinished(changeset: Changeset) -> Iterator[int]:
    labels = set(changeset.model_labels)
    earlier = Changeset.objects.filter(source=changeset.source_id, pk__lt=changeset.pk).order_by("-pk")
    for pk, state, others in earlier.values_list("pk", "state", "model_labels")[:LOOKED_BACK]:
        if state in FINISHED:
            labels -= set(others)
        elif labels & set(others):
            yield pk


def _has_opinions(changeset: Changeset) -> bool:
    """Whether decisions were carried over from whatever changeset."""
    decided = Q(decision__in=[Decision.ACCEPTED.value, Decision.REJECTED.value]) | ~Q(kept={}) | ~Q(carried_from=None)
    return changeset.changes.filter(decided).exists() or changeset.changes.filter(comments__isnull=False).exists()
