"""A later complete pull retires open changesets of its source, and takes their decisions over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

from django.db.models import F, Value

from data_sync.core.states import ChangesetState, Decision
from data_sync.models import Change, Changeset, DataPull
from data_sync.models.fields import as_stored

from . import audit
from .actors import Actor
from .review import ABSENT

OPEN = (ChangesetState.PENDING, ChangesetState.BLOCKED, ChangesetState.APPROVED)
GIVEN_UP = (ChangesetState.STALE, ChangesetState.FAILED)
"""Not superseded, but to be pulled again."""
LOOKED_BACK = 20
"""So many of a source's latest changesets may be ones that an apply has given up."""
BATCH = 500

_IDENTITY = ("model", "key_digest", "operation", "before_digest", "after_digest")


def supersede(pull: DataPull, labels: Collection[str], changeset: Changeset | None) -> None:
    """Retires open changesets of the same source whose models this complete pull has covered.

    Their decisions stand in the new changeset where a change is the same: key, operation, before- and after-digest,
    and what it takes along. So do those of changesets whose apply wrote nothing. To be called in the transaction
    that stores the new changeset.
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
    sources = sorted([*retired, *_given_up(pull, changeset, covered)], key=lambda old: old.pk)
    for old in sources:  # The latest last, so that its decisions stand.
        counts += _carry_over(old, changeset)
    if counts:
        audit.record(changeset.pk, actor, "carried_over", {"from": [old.pk for old in sources], "counts": dict(counts)})


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
    """Copies the decisions of one changeset, in batches; gives how many of each."""
    counts: Counter[str] = Counter()
    last = 0
    while decided := _decided(old, last):
        last = decided[-1]["number"]
        decisions = {_identity(row): row for row in decided}
        groups: dict[tuple[str, str, str], list[int]] = {}
        for row in _candidates(changeset, decided):
            decided_row = decisions.get(_identity(row))
            if decided_row is not None and _may_stand(row, decided_row):
                seen = _what_was_seen(row) if row["is_conflict"] and decided_row["acknowledged_digest"] else ""
                groups.setdefault((decided_row["decision"], decided_row["rename_choice"], seen), []).append(row["pk"])
        for (decision, choice, seen), pks in groups.items():
            counts[decision] += Change.objects.filter(pk__in=pks).update(
                decision=decision,
                rename_choice=choice,
                acknowledged_digest=F("before_digest") if seen == "here" else Value(seen),
            )
    return counts


def _decided(old: Changeset, after: int) -> list[dict[str, Any]]:
    """The next decided changes by number."""
    decided = old.changes.exclude(decision=Decision.UNDECIDED.value).filter(number__gt=after).order_by("number")
    rows = decided.annotate(taken=as_stored("cascades"))
    return list(rows.values(*_IDENTITY, "taken", "number", "decision", "acknowledged_digest", "rename_choice")[:BATCH])


def _candidates(changeset: Changeset, decided: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The new changes with the keys of decided ones."""
    found = Change.objects.filter(
        model__in={row["model"] for row in decided}, key_digest__in=[row["key_digest"] for row in decided]
    )
    # A database knows little yet of rows that were just added, and would look through the whole changeset for each
    # batch if it could: the sum leaves it the index on keys.
    rows = found.annotate(of=F("changeset_id") + 0, taken=as_stored("cascades")).filter(of=changeset.pk).order_by()
    return list(rows.values(*_IDENTITY, "taken", "pk", "has_problems", "is_conflict"))


def _identity(row: dict[str, Any]) -> tuple[str, ...]:
    """What makes two changes the same to a reviewer. What a delete takes along counts: it was part of what was seen."""
    return (*(row[name] for name in _IDENTITY), row["taken"])


def _may_stand(row: dict[str, Any], decided: dict[str, Any]) -> bool:
    """Nothing is accepted by carrying over that could not be accepted here."""
    if decided["decision"] != Decision.ACCEPTED:
        return True
    return not row["has_problems"] and (not row["is_conflict"] or bool(decided["acknowledged_digest"]))


def _what_was_seen(row: dict[str, Any]) -> str:
    return "here" if row["before_digest"] else ABSENT
