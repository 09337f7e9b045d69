"""Rows that somebody has said no to, or has kept fields of, and has not decided on otherwise since.

A row is meant by its model and natural key, whatever the change was: a rename is of both its keys. So a no stands
where the row comes back with another field changed beside, or as a delete and a create.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from django.db.models import Exists, F, Max, OuterRef, Q, QuerySet

from data_sync.core import canonical
from data_sync.core.states import ChangesetState, Decision, Operation, Outcome
from data_sync.models import Change, Changeset, Event
from data_sync.orm.batches import batches

from .content import key_digest

_SAID_NO = Q(decision=Decision.REJECTED.value) | Q(changeset__state=ChangesetState.REJECTED.value)
_KEPT = ~Q(kept={})
_BY_SOMEBODY = Q(changeset__auto_revision=None) | ~Q(decided_revision=F("changeset__auto_revision"))
_SAID_YES = _BY_SOMEBODY & Q(
    decision=Decision.ACCEPTED.value,
    kept={},
    outcome__in=[Outcome.APPLIED.value, Outcome.UNCHANGED.value],
    changeset__state=ChangesetState.APPLIED.value,
)

Place = tuple[str, str]
"""A row by model label and the digest of its natural key."""


class Held(NamedTuple):
    """How many changes of a changeset are of rows that were rejected, and of rows of which fields were kept."""

    rejected: int = 0
    kept: int = 0


class _Words(NamedTuple):
    """The latest changeset in which each was said of a row; 0 for none. `yes`: accepted by somebody, and applied."""

    no: int = 0
    kept: int = 0
    yes: int = 0

    def later(self, other: _Words) -> _Words:
        return _Words(*map(max, self, other))


def held_rows(changeset: Changeset) -> Held:
    """By what was said in earlier changesets of the source, however many there are of them."""
    earlier = Changeset.objects.filter(source=changeset.source_id, pk__lt=changeset.pk).order_by()
    decided = Event.objects.filter(changeset=OuterRef("pk"), action__in=("decided", "carried_over"))
    spoken = earlier.filter(Q(state=ChangesetState.REJECTED.value) | Exists(decided))
    if not spoken.exists():
        return Held()
    words = Change.objects.filter(changeset__in=spoken.values("pk")).order_by()
    rejected = kept = 0
    rows = changeset.changes.order_by("number").values_list("model", "key_digest", "key", "previous_key")
    for batch in batches(rows.iterator(chunk_size=400)):
        said = _said(words, batch)
        for label, digest, _, previous in batch:
            of_row = [said.get(place, _Words()) for place in _places(label, digest, previous)]
            rejected += any(0 < one.no >= one.yes for one in of_row)
            kept += any(0 < one.kept >= one.yes for one in of_row)
    return Held(rejected, kept)


def _places(label: str, digest: str, previous: list[Any] | None) -> list[Place]:
    return [(label, digest)] if previous is None else [(label, digest), (label, _digest(previous))]


def _digest(key: list[Any]) -> str:
    return key_digest(canonical.dumps(key))


def _said(
    words: QuerySet[Change], batch: Collection[tuple[str, str, list[Any], list[Any] | None]]
) -> dict[Place, _Words]:
    """What was said of the rows of some changes, under any of their keys."""
    keys: dict[str, dict[str, list[Any]]] = {}
    for label, digest, key, previous in batch:
        keys.setdefault(label, {})[digest] = key
        if previous is not None:
            keys[label][_digest(previous)] = previous
    said: dict[Place, _Words] = {}
    for place, found in _latest(words, keys):
        said[place] = said.get(place, _Words()).later(found)
    return said


def _latest(words: QuerySet[Change], keys: Mapping[str, Mapping[str, list[Any]]]) -> Iterator[tuple[Place, _Words]]:
    latest = {
        "no": Max("changeset", filter=_SAID_NO),
        "kept_in": Max("changeset", filter=_KEPT),
        "yes": Max("changeset", filter=_SAID_YES),
    }
    for label, of_model in keys.items():
        changes = words.filter(model=label)
        for digest, *found in changes.filter(key_digest__in=of_model).values_list("key_digest").annotate(**latest):
            yield (label, digest), _words(found)
        renames = changes.filter(operation=Operation.RENAME.value, previous_key__in=list(of_model.values()))
        for previous, *found in renames.values_list("previous_key").annotate(**latest):
            yield (label, _digest(previous)), _words(found)


def _words(latest: Iterable[int | None]) -> _Words:
    return _Words(*(number or 0 for number in latest))
