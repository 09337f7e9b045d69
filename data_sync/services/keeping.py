"""Keeping some fields of an update as they are here: what the update then leads to, and what follows from that."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from django.db import DEFAULT_DB_ALIAS, models
from django.db.models import Q, QuerySet

from data_sync.core import canonical
from data_sync.core.errors import InvalidTransition
from data_sync.core.records import Record, differing, keeping
from data_sync.core.states import Decision, Operation
from data_sync.models import Change, Changeset
from data_sync.orm.batches import batches
from data_sync.orm.check_problems import check_problems
from data_sync.orm.conditions import names_in
from data_sync.orm.limits import value_problems
from data_sync.orm.references import targets_of
from data_sync.orm.resolution import schemas, target_schema
from data_sync.orm.schema import ModelSchema
from data_sync.orm.uniqueness import unique_sets
from data_sync.orm.writes import columns_of

from . import requirements
from .content import before_record, compared_schemas, incoming_record, key_digest

Place = tuple[str, str]
"""A row's model label and the canonical text of its natural key."""


def keep(changeset: Changeset, changes: QuerySet[Change], names: Collection[str]) -> None:
    """Stores which fields and files an update keeps; none for no names. Raises `InvalidTransition`, by name."""
    found = list(changes[:2])
    if len(found) > 1:
        raise InvalidTransition("Fields are kept of one update at a time: name the change.")
    for change in found:
        kept = kept_of(changeset, change, names, rows_made_by(changeset, change.requires)) if names else {}
        changes.filter(pk=change.pk).update(kept=kept)


def rows_made_by(changeset: Changeset, numbers: Iterable[int]) -> dict[int, Place]:
    """The rows that some changes create, by their numbers."""
    found: dict[int, Place] = {}
    for batch in batches(set(numbers)):
        creates = changeset.changes.filter(number__in=batch, operation=Operation.CREATE.value)
        for number, model, key in creates.values_list("number", "model", "key"):
            found[number] = model, canonical.dumps(key)
    return found


def kept_of(changeset: Changeset, change: Change, names: Collection[str], made: Mapping[int, Place]) -> dict[str, Any]:
    """What is stored of an update that keeps these fields and files. Raises `InvalidTransition`, by name.

    `made` are the rows that the changes it requires create. What it requires for the sake of kept fields alone is
    waived.
    """
    before, incoming, named = before_record(change), incoming_record(change), requirements.name_of(change)
    if change.operation != Operation.UPDATE:
        raise InvalidTransition(f"Change {named} is not an update: there are no fields to keep. Accept or reject it.")
    differ = differing(before, incoming)
    if unknown := sorted(set(names).difference(differ)):
        raise InvalidTransition(
            f"{', '.join(unknown)} cannot be kept in change {named}: only {', '.join(sorted(differ))} differ there."
        )
    if not set(differ).difference(names):
        raise InvalidTransition(f"Change {named} would keep everything as it is here. Reject it instead.")
    schema = compared_schemas(changeset).get(change.model)
    if schema is None:
        raise InvalidTransition(f"{change.model} is no longer registered here.")
    if before.fields.keys() != set(schema.field_names) or incoming.fields.keys() != before.fields.keys():
        raise InvalidTransition(f"{schema.label} has got other fields since the pull. Pull again.")
    halves = [link.name for link in schema.links if link.field.remote_field.symmetrical and link.name in names]
    if halves:
        raise InvalidTransition(
            f"{', '.join(halves)} cannot be kept in change {named}: the other row has the other half of each link. "
            "Reject the change, and with it the other halves."
        )
    after = keeping(incoming, before, names)
    _refuse_problems(schema, before, after, named)
    return {
        "fields": sorted(names),
        "waives": _waived(schema, before, incoming, after, made),
        "holds": _may_hold(schema, names),
    }


def _refuse_problems(schema: ModelSchema, before: Record, after: Record, named: str) -> None:
    problems = value_problems(schema, before, after, DEFAULT_DB_ALIAS)
    problems += check_problems(schema, before, after, DEFAULT_DB_ALIAS)
    if problems:
        words = " ".join(problem["message"] for problem in problems)
        raise InvalidTransition(f"Change {named} cannot be applied with these fields kept: {words}")


def _waived(
    schema: ModelSchema, before: Record, incoming: Record, after: Record, made: Mapping[int, Place]
) -> list[int]:
    """Which creates only kept fields refer to."""
    wanted, left = (
        {(target.label, text) for _, target, text in targets_of(schema, record, before)} for record in (incoming, after)
    )
    return sorted(number for number, place in made.items() if place in wanted - left)


def _may_hold(schema: ModelSchema, names: Collection[str]) -> bool:
    """Whether the row may hold on to what other changes need it to let go: a reference, or a unique value."""
    plain = {value.name for value in schema.values} | {file.name for file in schema.files}
    if not plain.issuperset(names):
        return True
    unique: set[str] = set()
    for model in schema.tables:
        for constraint in model._meta.constraints:
            if not isinstance(constraint, models.UniqueConstraint | models.CheckConstraint):
                return True
        for one in unique_sets(model):
            unique.update(one.names)
            unique.update(names_in(one.condition) if isinstance(one.condition, Q) else ())
    return not unique.isdisjoint([*columns_of(schema, names), *names])


# What accepted changes require of those that keep fields


def refuse_held(changeset: Changeset, among: Collection[int] | None = None) -> None:
    """Raises `InvalidTransition` where an accepted change requires one that holds on to what it needs, or deletes a row
    that another one keeps a link to; `among`: where one of the two is among these."""
    accepted = changeset.changes.filter(decision=Decision.ACCEPTED.value).order_by()
    held = [change for change in accepted.exclude(kept={}).iterator(chunk_size=500) if change.kept["holds"]]
    if not held:
        return
    by_number = {change.number: change for change in held}
    if among is None:
        requires = requirements.requires_of(accepted)
    else:
        requires = requirements.requires_that_may_include(changeset, by_number.keys() & set(among))
        for some in batches(among):
            requires |= requirements.requires_of(accepted.filter(number__in=some))

    def concerns(*numbers: int) -> bool:
        return among is None or not set(numbers).isdisjoint(among)

    for number, needs in sorted(requires.items()):
        for need in sorted(set(needs) & by_number.keys()):
            if concerns(number, need):
                _refuse(changeset, number, by_number[need])
    kept_links = {place: change for change in held for place in _kept_links(change)}
    for batch in batches(kept_links):
        digests = {key_digest(text) for _, text in batch}
        deletes = accepted.filter(operation=Operation.DELETE.value, key_digest__in=digests).order_by("number")
        for number, label, key in deletes.values_list("number", "model", "key"):
            keeper = kept_links.get((label, canonical.dumps(key)))
            if keeper is not None and concerns(number, keeper.number):
                _refuse(changeset, number, keeper)


def _refuse(changeset: Changeset, number: int, keeper: Change) -> None:
    raise InvalidTransition(
        f"Change {requirements.named(changeset, [number])} requires {requirements.name_of(keeper)}, which keeps "
        f"{', '.join(keeper.kept['fields'])} as it is here. Take that from the source, too, or reject the change that "
        "needs it."
    )


def _kept_links(change: Change) -> Iterator[Place]:
    """The rows that an update keeps links to which the source does not have."""
    schema = schemas().get(change.model)
    before, after = before_record(change), incoming_record(change)
    for link in () if schema is None else schema.links:
        if link.name in change.kept["fields"]:
            left = {canonical.dumps(key) for key in after.fields[link.name]}
            texts = map(canonical.dumps, before.fields[link.name])
            yield from ((target_schema(link).label, text) for text in texts if text not in left)
