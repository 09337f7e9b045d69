"""Storing what a pull found as a changeset, with its guards and its content seal.

Changes are made ready first, in a private file: the transaction that stores them, which locks a SQLite
database for everybody else, only writes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from django.db import DEFAULT_DB_ALIAS

from data_sync import conf
from data_sync.core import canonical
from data_sync.core.distinct import Distinct
from data_sync.core.redaction import new_key
from data_sync.core.seal import content_digest, content_seal_of_digests
from data_sync.core.source import Outside
from data_sync.core.states import AutoApply, ChangesetState, Operation
from data_sync.models import Change, Changeset, DataPull, DataSource
from data_sync.models.fields import CanonicalJSONField
from data_sync.orm.batches import batches
from data_sync.orm.insertion import insert_plain

from . import audit
from .actors import Actor
from .agreement import Agreement
from .classify import classified
from .comparison import Comparison
from .content import CONTENT, change_content, content_text
from .first_pulls import unreviewed
from .guards import Rows, guards_of, reason_of
from .limits import limits_of
from .progress import Advance
from .severing import severed
from .trust import is_wanted

BATCH = 400
COUNTS = (
    "create",
    "update",
    "delete",
    "rename",
    "cascades",
    "problems",
    "warnings",
    "conflicts",
    "left_scope",
    "large_files",
    "severed",
)
LARGE_FILE = 5_000_000
"""Bytes of an incoming file from which on a reviewer is told."""

_LATER = (
    "decision",
    "acknowledged_digest",
    "decided_revision",
    "decision_before",
    "acknowledged_before",
    "carried_from",
    "carried_before",
    "rename_choice",
    "seen",
    "kept",
    "outcome",
    "outcome_reason",
    "reverted_by",
)
_DECIDED_LATER: list[Any] = [Change._meta.get_field(name) for name in _LATER]
_IS_JSON = {
    column.name: isinstance(column, CanonicalJSONField)
    for column in Change._meta.concrete_fields
    if column.name not in ("id", "changeset", *_LATER)
}
"""The columns that are stored with a change and never alter, and whether each is canonical JSON."""


@dataclass(slots=True)
class Prepared:
    """What is ready to be stored. `models` has, per model, label, name, compared, kept, whether nothing was agreed on
    with the source before or nobody has looked at what was found then (`is_new`), and each of `COUNTS`; `along`, by
    label, how many rows that are no changes would be deleted along with others."""

    content_seal: str
    models: list[dict[str, Any]] = field(default_factory=list)
    along: dict[str, int] = field(default_factory=dict)

    def total(self, what: str) -> int:
        return sum(row[what] for row in self.models)


def prepare(
    comparison: Comparison,
    outside: Outside,
    source: DataSource | None,
    advance: Advance,
    *,
    knows: Callable[[str], bool],
    complete: Callable[[Sequence[Change]], None] = lambda changes: None,
) -> Prepared:
    """Classifies every difference and keeps the change in `comparison.differences`, as the texts of its columns.

    `advance` is told after each batch of how many; `knows` says whether anything was agreed on of a model; `complete`
    adds to a batch what the pull's origin knows of it.
    """
    differing = [label for label in comparison.schemas if any(comparison.count(label, one) for one in Operation)]
    unknown = unreviewed(source, list(filter(knows, differing)))
    per_model = {
        label: _row(label, comparison) | {"is_new": label in unknown or not knows(label)}
        for label in comparison.schemas
    }
    with closing(Distinct(conf.spool_dir())) as along:
        seal = content_seal_of_digests(_prepared(comparison, outside, source, per_model, along, advance, complete))
        return Prepared(content_seal=seal, models=list(per_model.values()), along=along.counts())


def _prepared(
    comparison: Comparison,
    outside: Outside,
    source: DataSource | None,
    per_model: dict[str, dict[str, Any]],
    along: Distinct,
    advance: Advance,
    complete: Callable[[Sequence[Change]], None],
) -> Iterator[str]:
    """The digest of each change's content, as it is made ready."""
    for batch in classified(comparison, outside, source):
        complete(batch)
        kept = []
        for change in batch:
            _count(per_model[change.model], change)
            per_model[change.model]["severed"] += severed(comparison.schemas[change.model], change)
            along.add(_along(change))
            values = {name: _value(change, name) for name in _IS_JSON}
            if comparison.redaction.of(change.model) or change.undoes is not None:
                text = canonical.dumps(change_content(change, comparison.redaction))
            else:
                text = content_text(
                    {
                        name: values[name] or "null" if _IS_JSON[name] else canonical.dumps(values[name])
                        for name in CONTENT.values()
                    }
                )
            values["content_digest"] = content_digest(text)
            kept.append((change.number, json.dumps(list(values.values()))))
            yield values["content_digest"]
        comparison.differences.keep(kept)
        advance(len(kept))


def _value(change: Change, name: str) -> Any:
    value = getattr(change, name)
    if not _IS_JSON[name] or value is None:
        return value
    # Most columns of most changes are empty.
    return canonical.dumps(value) if value or type(value) not in _EMPTY else _EMPTY[type(value)]


_EMPTY: dict[type, str] = {list: "[]", dict: "{}"}


def _count(row: dict[str, Any], change: Change) -> None:
    row[change.operation] += 1
    row["cascades"] += 0 if change.operation == Operation.RENAME else len(change.cascades)
    row["problems"] += change.has_problems
    row["warnings"] += bool(change.warnings)
    row["conflicts"] += change.is_conflict
    row["left_scope"] += change.left_scope
    row["large_files"] += sum(
        side["after"] is not None and side["after"]["size"] > LARGE_FILE for side in change.files.values()
    )


def _along(change: Change) -> Iterator[tuple[str, str]]:
    """The rows that a delete would delete along, one that cannot be applied none."""
    if change.operation == Operation.DELETE and not change.has_problems:
        for cascade in change.cascades:
            if cascade["effect"] == "delete":
                yield cascade["model"], cascade["pk"]


def _row(label: str, comparison: Comparison) -> dict[str, Any]:
    return {
        "label": label,
        "name": str(comparison.schemas[label].model._meta.verbose_name),
        "compared": comparison.compared(label),
        "kept": comparison.kept[label],
        **dict.fromkeys(COUNTS, 0),
    }


def store_changeset(
    pull: DataPull,
    agreement: Agreement,
    comparison: Comparison,
    prepared: Prepared,
    rows_here: Mapping[str, int] | None,
) -> Changeset | None:
    """Stores the changes, one row each, inside the caller's transaction. Nothing differs: no changeset.

    `rows_here` has the number of rows by label where not all of them were compared.
    """
    if not comparison.total:
        return None
    guards = [*agreement.guards(), *guards_of(_rows(comparison, prepared, rows_here), limits_of(pull.source))]
    counts = {operation.value: prepared.total(operation.value) for operation in Operation}
    changeset = Changeset.objects.create(
        pull=pull,
        kind=pull.kind,
        reverts=pull.reverts,
        source=pull.source,
        source_name=pull.source_name,
        model_labels=list(agreement.schemas),
        state=ChangesetState.BLOCKED.value if guards else ChangesetState.PENDING.value,
        state_reason=reason_of(guards),
        requested_by=pull.requested_by,
        actor=pull.actor,
        compared=prepared.total("compared"),
        creates=counts["create"],
        updates=counts["update"],
        deletes=counts["delete"],
        renames=counts["rename"],
        conflicts=prepared.total("conflicts"),
        omitted=agreement.omitted(),
        redacted=dict(comparison.redaction.names),
        leaf_key=comparison.redaction.key or new_key(),
        shapes=agreement.shapes(),
        summary=prepared.models,
        guards=guards,
        content_seal=prepared.content_seal,
        auto_state=AutoApply.DUE.value if is_wanted(pull) else "",
    )
    later = [column.get_prep_value(column.get_default()) for column in _DECIDED_LATER]
    rows = ([changeset.pk, *json.loads(row), *later] for row in comparison.differences.kept())
    columns = [Change._meta.get_field(name) for name in ("changeset", *_IS_JSON)] + _DECIDED_LATER
    for batch in batches(rows, BATCH):
        insert_plain(Change, columns, batch, DEFAULT_DB_ALIAS)
    audit.record(
        changeset.pk,
        Actor(label=pull.actor, user=pull.requested_by),
        "pulled",
        {
            "pull": pull.pk,
            "source": pull.source_name,
            "url": "" if pull.source is None else pull.source.url,
            "compared": changeset.compared,
            "counts": counts,
            "conflicts": changeset.conflicts,
            "omitted": changeset.omitted,
            "content_seal": changeset.content_seal,
            "guards": guards,
            **({} if pull.reverts_id is None else {"reverts": pull.reverts_id}),
            **({"file": pull.upload_name, "checksum": pull.upload_checksum} if pull.upload_checksum else {}),
        },
    )
    return changeset


def _rows(comparison: Comparison, prepared: Prepared, rows_here: Mapping[str, int] | None) -> Iterator[Rows]:
    """What the guards look at: per model that was compared, or that deletes reach.

    Rows that were not compared are on both sides alike.
    """
    for row in prepared.models:
        label = row["label"]
        others = 0 if rows_here is None else max(0, rows_here[label] - comparison.here[label])
        yield Rows(
            label=label,
            here=comparison.here[label] + others,
            there=comparison.there[label] + others,
            deletes=row["delete"],
            along=prepared.along.get(label, 0),
        )
    for label, along in prepared.along.items():
        if label not in comparison.schemas:
            yield Rows(label=label, along=along)
