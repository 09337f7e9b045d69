"""Storing what a pull found as a changeset, with its guards and its content seal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_sync.core.seal import content_seal
from data_sync.core.states import ChangesetState, Operation
from data_sync.models import Change, Changeset, DataPull
from data_sync.registry import registrations

from . import audit
from .actors import Actor
from .classify import classified
from .comparison import Comparison
from .content import change_content

OPEN = (ChangesetState.PENDING, ChangesetState.BLOCKED, ChangesetState.APPROVED)


@dataclass(slots=True)
class Totals:
    """What a pull came to. `models` has, per model, label, name, compared, create, update, delete, kept,
    cascades and problems."""

    changeset: Changeset | None = None
    compared: int = 0
    models: list[dict[str, Any]] = field(default_factory=list)


def store_changeset(pull: DataPull, comparison: Comparison) -> Totals:
    """Stores the changes, one row each, inside the caller's transaction. Nothing differs: no changeset."""
    per_model = {label: _row(label, comparison) for label in comparison.here.models}
    totals = Totals(compared=sum(row["compared"] for row in per_model.values()), models=list(per_model.values()))
    if not comparison.numbered:
        return totals
    guards = _guards(comparison)
    changeset = Changeset.objects.create(
        pull=pull,
        source=pull.source,
        source_name=pull.source_name,
        model_labels=comparison.here.models,
        state=ChangesetState.BLOCKED.value if guards else ChangesetState.PENDING.value,
        state_reason=" ".join(guard["message"] for guard in guards),
        requested_by=pull.requested_by,
        actor=pull.actor,
        compared=totals.compared,
        guards=guards,
    )
    changeset.content_seal = content_seal(_store(changeset, comparison, per_model))
    changeset.creates, changeset.updates, changeset.deletes = (
        sum(row[operation.value] for row in per_model.values())
        for operation in (Operation.CREATE, Operation.UPDATE, Operation.DELETE)
    )
    changeset.summary = totals.models
    changeset.save(update_fields=["content_seal", "creates", "updates", "deletes", "summary"])
    audit.record(
        changeset.pk,
        Actor(label=pull.actor, user=pull.requested_by),
        "pulled",
        {
            "pull": pull.pk,
            "source": pull.source_name,
            "compared": totals.compared,
            "counts": {"create": changeset.creates, "update": changeset.updates, "delete": changeset.deletes},
            "content_seal": changeset.content_seal,
            "guards": guards,
        },
    )
    totals.changeset = changeset
    return totals


def supersede(pull: DataPull, labels: Sequence[str], changeset: Changeset | None) -> None:
    """Retires open changesets of the same source whose models this complete pull has covered."""
    older = Changeset.objects.filter(source=pull.source, state__in=[state.value for state in OPEN])
    for old in older:
        if old == changeset or not set(old.model_labels) <= set(labels):
            continue
        reason = f"Superseded by changeset {changeset.pk}." if changeset else f"Pull {pull.pk} found no difference."
        moved = Changeset.objects.filter(pk=old.pk, state=old.state).update(
            state=ChangesetState.SUPERSEDED.value, state_reason=reason
        )
        if moved:
            actor = Actor(label=pull.actor, user=pull.requested_by)
            audit.record(old.pk, actor, "superseded", {"by": changeset.pk if changeset else None, "pull": pull.pk})


def _row(label: str, comparison: Comparison) -> dict[str, Any]:
    name = next(str(r.model._meta.verbose_name) for r in registrations() if r.label == label)
    return {
        "label": label,
        "name": name,
        "compared": comparison.compared(label),
        "create": 0,
        "update": 0,
        "delete": 0,
        "kept": comparison.kept[label],
        "cascades": 0,
        "problems": 0,
    }


def _store(
    changeset: Changeset, comparison: Comparison, per_model: dict[str, dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    for batch in classified(comparison):
        for change in batch:
            change.changeset = changeset
            row = per_model[change.model]
            row[change.operation] += 1
            row["cascades"] += len(change.cascades)
            row["problems"] += change.has_problems
        Change.objects.bulk_create(batch)
        yield from (change_content(change) for change in batch)


def _guards(comparison: Comparison) -> list[dict[str, Any]]:
    """Why this changeset may not be approved before a person has said why it is right."""
    return [
        {
            "code": "empty_side",
            "model": label,
            "rows": comparison.here.counts[label],
            "message": f"The source has no rows of {label}; here there are {comparison.here.counts[label]}.",
        }
        for label in comparison.here.models
        if comparison.there.counts[label] == 0
        and comparison.here.counts[label] > 0
        and comparison.kept[label] < comparison.here.counts[label]
    ]
