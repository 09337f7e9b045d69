"""What the deletes of a changeset would take along, need first, or are forbidden by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from django.db import models

from data_sync import registry
from data_sync.core import canonical
from data_sync.core.claims import Claims
from data_sync.core.equality import same
from data_sync.core.records import key_text
from data_sync.core.states import Operation
from data_sync.orm.batches import batches
from data_sync.orm.cascades import Cascade, Reach, Row, reach_of
from data_sync.orm.labels import labels_of
from data_sync.orm.limits import Problem, problem
from data_sync.orm.redacted import redacting_models
from data_sync.orm.references import KeysOfRows
from data_sync.orm.resolution import target_schema
from data_sync.orm.schema import Link, ModelSchema
from data_sync.orm.tables import table

from .comparison import Comparison, Numbered, Sides

LABELLED = 100
"""How many rows a delete takes along are shown by name; more are shown by primary key."""


_LEADS_AWAY = "which refers to a row that goes with this delete"


class _Writer(NamedTuple):
    """A write that holds on to what a delete would take: what it is called, and what it does."""

    name: str
    does: str


class Deletions:
    """The reach of the deletes of one batch. All deletes of the comparison stand for each other, in whatever batch.

    A rename is looked at as well, for what it would take along if the reviewer had the row deleted and made anew.
    `claims` has the rows that the writes, which come before all deletes, refer to (`claim_of`).
    """

    def __init__(self, comparison: Comparison, batch: Sequence[Sides], claims: Claims, using: str) -> None:
        self._using = using
        self._comparison = comparison
        self._claims = claims
        self._writers: dict[Cascade, _Writer] = {}
        self._defaults: dict[tuple[type[models.Model], str], bool] = {}
        compared = comparison.schemas
        self._reaches = reach_of(_rows(batch, Operation.DELETE), using, compared, self._is_apart)
        self._replaced = reach_of(_rows(batch, Operation.RENAME), using, compared, alone=True)
        taken = [cascade for reach in self._reaches.values() for cascade in reach.cascades]
        self._add_linking(cascade for cascade in taken if cascade.effect == "unlink")
        self._add_referring([cascade for cascade in taken if cascade.effect == "delete"])
        rows = {claim_of(*row): row for row in self._reaches}
        self._referred_to_by = {rows[text]: name for text, name in claims.of(rows)}
        shown = [reach.cascades for reach in self._reaches.values()]
        shown += [_held_by_old(reach) for reach in self._replaced.values()]
        labelled = ((cascade.model, cascade.pk) for cascades in shown for cascade in cascades[:LABELLED])
        self._labels = labels_of(labelled, using, redacting_models(compared.values()))

    def _is_apart(self, cascade: Cascade) -> bool:
        """Whether a change of its own deals with the row first. Notes the writes that hold on to what would go."""
        if cascade in self._writers:
            return False
        change = self._change(cascade)
        if change is None or change.operation == Operation.DELETE:
            return change is not None
        sides = self._comparison.sides_of(change)
        if _is_moved(sides, cascade.column):
            return True
        assert sides.after is not None
        if cascade.effect == "delete":
            self._writers[cascade] = _Writer(name_of(sides), f"writes {_going(cascade)}")
        elif sides.after.fields.get(cascade.column) is not None:
            self._writers[cascade] = _Writer(name_of(sides), f"keeps {cascade.column}, {_LEADS_AWAY}")
        return False

    def _change(self, cascade: Cascade) -> Numbered | None:
        return self._comparison.change_of_row(cascade.model._meta.label_lower, cascade.pk)

    def cascades(self, row: Row) -> list[dict[str, Any]]:
        """Rows that are no changes of their own and that the delete would delete, null or unlink."""
        return self._plain(self._reaches[row].cascades)

    def cascades_of_replacement(self, row: Row) -> list[dict[str, Any]]:
        """The same for a renamed row, and all else that refers to it: it would be replaced before anything moves."""
        return self._plain(_held_by_old(self._replaced[row]))

    def _plain(self, cascades: list[Cascade]) -> list[dict[str, Any]]:
        return [
            {
                "model": cascade.model._meta.label_lower,
                "pk": str(cascade.pk),
                "label": self._labels.get((cascade.model, cascade.pk), ""),
                "effect": cascade.effect,
                "column": cascade.column,
            }
            for cascade in cascades
        ]

    def requires(self, row: Row) -> set[int]:
        """Numbers of the changes that delete, or move away, the rows that refer to this one."""
        changes = (self._change(cascade) for cascade in self._reaches[row].apart)
        return {change.number for change in changes if change is not None}

    def problems(self, row: Row) -> list[Problem]:
        """Rows that refer to this one, that no change deletes or moves, and that forbid the delete."""
        reach = self._reaches[row]
        obstacles = Counter((cascade.model, cascade.column) for cascade in reach.obstacles)
        obstacles.update(
            (cascade.model, cascade.column)
            for cascade in reach.cascades
            if cascade.effect == "default" and self._default_goes(cascade)
        )
        kept = Counter(
            (cascade.model, cascade.column)
            for cascade in reach.cascades
            if cascade.effect == "delete" and _is_kept(cascade.model)
        )
        return [
            *(_protected(*which, count, "which forbids the delete") for which, count in obstacles.items()),
            *(_protected(*which, count, 'and are registered with deletes="never"') for which, count in kept.items()),
            *self._held(reach),
            *self._referred_to(row),
        ]

    def _referred_to(self, row: Row) -> Iterator[Problem]:
        """A problem where a write is about to refer to the very row: the source has it, outside of what is synced."""
        if row in self._referred_to_by:
            yield problem(
                "protected",
                "",
                f"Change {self._referred_to_by[row]} refers to it. At the source, let that refer to another row, or "
                "bring this one into what is synced; or reject this delete.",
            )

    def _held(self, reach: Reach) -> Iterator[Problem]:
        """A problem for each column by which other changes would have what goes with the delete."""
        held: dict[tuple[str, str], list[str]] = {}
        for cascade in reach.cascades:
            if cascade in self._writers:
                writer = self._writers[cascade]
                held.setdefault((cascade.column, writer.does), []).append(writer.name)
        for (column, does), names in held.items():
            others = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            yield problem(
                "protected",
                column,
                f"Change {names[0]}{others} {does}. At the source, let it refer to another row, or bring the row that "
                "goes into what is synced; or reject this delete.",
            )

    def _default_goes(self, cascade: Cascade) -> bool:
        """Whether the row that a reference would get by default is deleted too, maybe in another batch.

        The default that a database gives (`DB_SET_DEFAULT`) is not known.
        """
        which = (cascade.model, cascade.column)
        column: Any = cascade.model._meta.get_field(cascade.column)
        if column.remote_field.on_delete is not models.SET_DEFAULT:
            return False
        if which not in self._defaults:
            registration = registry.registration_of(column.related_model)
            default = column.get_default()
            change = None
            if registration is not None and default is not None:
                rows = table(registration.model, self._using).filter(**{column.target_field.attname: default})
                pk = rows.values_list("pk", flat=True).first()
                change = None if pk is None else self._comparison.change_of_row(registration.label, pk)
            self._defaults[which] = change is not None and change.operation == Operation.DELETE
        return self._defaults[which]

    def _add_linking(self, unlinked: Iterable[Cascade]) -> None:
        """Notes the writes that keep links to rows that would go."""
        by_column: dict[tuple[type[models.Model], str], dict[Any, Cascade]] = {}
        for cascade in unlinked:
            by_column.setdefault((cascade.model, cascade.column), {})[cascade.pk] = cascade
        for schema in self._comparison.schemas.values():
            for link in schema.links:
                which = (link.through, link.field.m2m_reverse_field_name())
                for some in batches(by_column.get(which, {}).items()):
                    self._add_linking_by(schema, link, dict(some))

    def _add_linking_by(self, schema: ModelSchema, link: Link, unlinked: dict[Any, Cascade]) -> None:
        rows = table(link.through, self._using).filter(pk__in=unlinked)
        changes = {
            (pk, target): change
            for pk, source, target in rows.values_list("pk", link.source_column, link.target_column)
            if (change := self._comparison.change_of_row(schema.label, source)) is not None
        }
        if not changes:
            return
        keys = KeysOfRows(link.target, "pk", self._using, leaves_out=True).load([target for _, target in changes])
        label, rekeying = target_schema(link).label, self._comparison.rekeying
        for (pk, target), change in changes.items():
            if target in keys:
                sides = self._comparison.sides_of(change)
                linked = () if sides.after is None else sides.after.fields[link.name]
                if rekeying.key(label, canonical.array(keys[target])).text in map(canonical.dumps, linked):
                    self._writers[unlinked[pk]] = _Writer(name_of(sides), f"keeps {link.name}, {_LEADS_AWAY}")

    def _add_referring(self, deleted: Sequence[Cascade]) -> None:
        """Notes the writes that newly refer to rows that would be deleted along."""
        by_claim: dict[str, list[Cascade]] = {}
        for cascade in deleted:
            by_claim.setdefault(claim_of(cascade.model, cascade.pk), []).append(cascade)
        for text, name in self._claims.of(by_claim):
            for cascade in by_claim[text]:
                self._writers.setdefault(cascade, _Writer(name, f"refers to {_going(cascade)}"))


def name_of(sides: Sides) -> str:
    """What a problem of another change calls this one."""
    return f"#{sides.entry.number} ({sides.entry.schema.label} {key_text(sides.record.key)})"


def claim_of(model: type[models.Model], pk: Any) -> str:
    """What stands for a row here that a write refers to."""
    return canonical.dumps(["row", model._meta.label_lower, str(pk)])


def _rows(batch: Iterable[Sides], operation: Operation) -> Iterator[Row]:
    for sides in batch:
        if sides.entry.operation == operation and sides.row is not None:
            yield sides.row


def _going(cascade: Cascade) -> str:
    return f"a row of {cascade.model._meta.label_lower} that would go with this delete, by its {cascade.column}"


def _is_moved(sides: Sides, column: str) -> bool:
    assert sides.before is not None and sides.after is not None
    return not same(sides.before.fields.get(column), sides.after.fields.get(column))


def _held_by_old(reach: Reach) -> list[Cascade]:
    return [*reach.cascades, *reach.obstacles]


def _is_kept(model: type[models.Model]) -> bool:
    registration = registry.registration_of(model)
    return registration is not None and registration.deletes == "never"


def _protected(model: type[models.Model], column: str, count: int, why: str) -> Problem:
    rows = "row" if count == 1 else "rows"
    return problem(
        "protected",
        column,
        f"{count} {rows} of {model._meta.label_lower} here refer to it by {column}, {why}. Move or remove them first.",
    )
