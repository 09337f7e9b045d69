"""What the rules of applying without review look at, read from the database."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Exists, OuterRef, Q, QuerySet

from data_sync import conf
from data_sync.core.states import ChangesetState, Decision, Operation
from data_sync.models import Changeset, Event, Trust
from data_sync.models.fields import as_stored

from . import trust
from .approval import needs_others
from .auto_rules import Facts
from .held_rows import held_rows
from .selection import Selection, select

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
    held = held_rows(changeset)
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
        severed=sum(row.get("severed", row.get("update", 0)) for row in summary),
        conflicts=_number(changeset, "conflicts"),
        unknown_base=_number(changeset, "unknown_base"),
        cascades=_number(changeset, "cascades"),
        missing_references=missing,
        other_problems=with_problems.count() - missing,
        warnings=_number(changeset, "warnings"),
        rejected_before=held.rejected,
        kept_before=held.kept,
        others_at_it=tuple(_others_at_it(changeset)),
    )


def _guards(changeset: Changeset) -> Iterator[str]:
    yield from (guard["message"] for guard in changeset.guards)
    if changeset.state == ChangesetState.BLOCKED and not changeset.guards:
        yield changeset.state_reason or "The changeset is blocked."


def _number(changeset: Changeset, flag: str) -> int:
    return select(changeset, Selection(flag=flag)).order_by().count()


def _others_at_it(changeset: Changeset) -> Iterator[int]:
    """This changeset, and earlier ones of its models, where somebody has said something that had no end yet."""
    said = Event.objects.filter(changeset=OuterRef("pk"), action__in=BY_SOMEBODY)
    ours = Event.objects.filter(changeset=OuterRef("changeset"), actor=OuterRef("actor"), action="auto_approved")
    of_source = Changeset.objects.filter(source=changeset.source_id).order_by("-pk")
    spoken = of_source.filter(Exists(said.exclude(Exists(ours))))
    yield from reversed(list(_unfinished(changeset, of_source, spoken)))
    if _has_opinions(changeset) or spoken.filter(pk=changeset.pk).exists():
        yield changeset.pk


def _unfinished(changeset: Changeset, of_source: QuerySet[Changeset], spoken: QuerySet[Changeset]) -> Iterator[int]:
    """Those of the `spoken` that came before this one, the latest first: all, however long ago that was."""
    earlier = {"pk__lt": changeset.pk}
    finished = Q(state__in=[state.value for state in FINISHED])
    open_ones = list(spoken.filter(~finished, **earlier).values_list("pk", "model_labels"))
    if not open_ones:
        return
    later = of_source.filter(finished, pk__gt=open_ones[-1][0], **earlier).values_list("pk", "model_labels")
    ends = later.iterator(chunk_size=100)
    labels = set(changeset.model_labels)
    end = next(ends, None)
    for pk, others in open_ones:
        while end is not None and end[0] > pk and labels:
            labels -= set(end[1])
            end = next(ends, None)
        if labels & set(others):
            yield pk


def _has_opinions(changeset: Changeset) -> bool:
    """Whether decisions were carried over from whatever changeset."""
    decided = Q(decision__in=[Decision.ACCEPTED.value, Decision.REJECTED.value]) | ~Q(kept={}) | ~Q(carried_from=None)
    return changeset.changes.filter(decided).exists() or changeset.changes.filter(comments__isnull=False).exists()
