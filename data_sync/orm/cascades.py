"""What a delete would take along: computed as Django's deletion collector would, and shown first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from django.db import models

from .batches import batches
from .tables import lock, table

Effect = Literal["delete", "null", "default", "protect", "nothing", "unlink"]
Row = tuple[type[models.Model], Any]
"""A row by model and primary key."""

_EFFECTS: dict[str, Effect] = {
    "CASCADE": "delete",
    "DB_CASCADE": "delete",
    "PROTECT": "protect",
    "RESTRICT": "protect",
    "SET_NULL": "null",
    "DB_SET_NULL": "null",
    "SET_DEFAULT": "default",
    "DB_SET_DEFAULT": "default",
    "DO_NOTHING": "nothing",
}


@dataclass(frozen=True, slots=True)
class Cascade:
    """One row that a delete reaches, by which column, and what becomes of it."""

    model: type[models.Model]
    pk: Any
    effect: Effect
    column: str


@dataclass(slots=True)
class Reach:
    """What deleting one root row reaches.

    `cascades` would be written or deleted, `obstacles` stand in the way (PROTECT, RESTRICT,
    DO_NOTHING), `apart` are roots themselves or were spared, and have to be dealt with first.
    """

    cascades: list[Cascade] = field(default_factory=list)
    obstacles: list[Cascade] = field(default_factory=list)
    apart: list[Cascade] = field(default_factory=list)


def reach_of(
    roots: Iterable[Row],
    using: str,
    is_spared: Callable[[Cascade], bool] = lambda cascade: False,
    *,
    locked: bool = False,
) -> dict[Row, Reach]:
    """What deleting each of these rows would reach; a handful of queries a level, not a row.

    A row that several roots reach is listed with each. `is_spared` says of a row that it will no
    longer refer by that column when the delete comes; it is not followed. `locked`: each level is locked
    before the next is looked for, so that none can be added until the transaction ends.
    """
    reaches = {root: Reach() for root in roots}
    level: dict[Row, set[Row]] = {root: {root} for root in reaches}
    seen: set[tuple[Row, Row, str]] = set()
    while level:
        by_model = _by_model(level)
        if locked:
            for model, pks in by_model.items():
                lock(model, pks, using)
        following: dict[Row, set[Row]] = {}
        for cascade, parent in _referring(by_model, using):
            row = (cascade.model, cascade.pk)
            for root in level[parent]:
                mark = (root, row, "" if cascade.effect == "delete" else cascade.column)
                if mark in seen:
                    continue
                seen.add(mark)
                reach = reaches[root]
                if row == root:
                    continue
                if row in reaches or is_spared(cascade):
                    reach.apart.append(cascade)
                elif cascade.effect in ("protect", "nothing"):
                    reach.obstacles.append(cascade)
                else:
                    reach.cascades.append(cascade)
                    if cascade.effect == "delete":
                        following.setdefault(row, set()).add(root)
        level = following
    return reaches


def _by_model(rows: Iterable[Row]) -> dict[type[models.Model], list[Any]]:
    by_model: dict[type[models.Model], list[Any]] = {}
    for model, pk in rows:
        by_model.setdefault(model, []).append(pk)
    return by_model


def _referring(by_model: dict[type[models.Model], list[Any]], using: str) -> Iterator[tuple[Cascade, Row]]:
    """Every row that refers to a row of this level, with that row."""
    for model, pks in by_model.items():
        for relation in model._meta.get_fields(include_hidden=True):
            if not relation.auto_created or relation.concrete or not (relation.one_to_many or relation.one_to_one):
                continue
            yield from _rows_of_relation(model, relation, pks, using)
        for generic in model._meta.private_fields:
            if hasattr(generic, "bulk_related_objects"):
                yield from _generic_rows(model, generic, pks, using)


def _rows_of_relation(
    model: type[models.Model], relation: Any, pks: list[Any], using: str
) -> Iterator[tuple[Cascade, Row]]:
    column = relation.field
    referring = relation.related_model
    target = column.target_field.attname
    if _is_own_link(model, column):
        return
    on_delete = getattr(relation.on_delete, "__name__", "") or str(relation.on_delete)
    effect: Effect = "unlink" if referring._meta.auto_created else _EFFECTS.get(on_delete, "default")
    for batch in batches(pks):
        values: dict[Any, Any] = {pk: pk for pk in batch}
        if target != model._meta.pk.attname:
            values = dict(table(model, using).filter(pk__in=batch).values_list(target, "pk"))
        rows = table(referring, using).filter(**{f"{column.attname}__in": list(values)}).order_by("pk")
        for pk, value in rows.values_list("pk", column.attname).iterator(chunk_size=2000):
            yield Cascade(referring, pk, effect, column.name), (model, values[value])


def _is_own_link(model: type[models.Model], column: Any) -> bool:
    """Whether a column of a through table is the declaring side's: those rows are part of its record."""
    through = column.model
    return through._meta.auto_created is not False and any(
        link.remote_field.through is through and link.m2m_field_name() == column.name
        for link in model._meta.local_many_to_many
    )


def _generic_rows(model: type[models.Model], generic: Any, pks: list[Any], using: str) -> Iterator[tuple[Cascade, Row]]:
    """Rows of a `GenericRelation`, which Django deletes along."""
    from django.contrib.contenttypes.models import ContentType

    related = generic.related_model
    kind = ContentType.objects.db_manager(using).get_for_model(model, for_concrete_model=generic.for_concrete_model)
    for batch in batches(pks):
        keys = {model._meta.pk.get_prep_value(pk): pk for pk in batch}
        keys |= {str(pk): pk for pk in batch}
        rows = table(related, using).filter(
            **{generic.content_type_field_name: kind, f"{generic.object_id_field_name}__in": batch}
        )
        for pk, value in rows.order_by("pk").values_list("pk", generic.object_id_field_name):
            yield Cascade(related, pk, "delete", generic.name), (model, keys[value])
