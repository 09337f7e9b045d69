"""The part of a revert's apply that no record tells of: what rows held besides, and what their deletes took along."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Exists, OuterRef

from data_sync.models import Change, KeptRow
from data_sync.orm.batches import batches
from data_sync.orm.cascades import STAYING
from data_sync.orm.going import children_first
from data_sync.orm.remains import ROOT
from data_sync.orm.restoration import Kept, Restoration
from data_sync.orm.schema import ModelSchema
from data_sync.orm.writes import Write
from data_sync.registry.inheritance import tables_of

from .kept_rows import kept_digest
from .plan import Plan
from .restores import Place, gone, is_installed, place_of


class Restoring:
    """Gives new rows back what they held, and brings back what went along, of the changes of a plan.

    What was kept must be what the sealed content of the change says: else `fail` is told.
    """

    def __init__(self, plan: Plan, fail: Callable[[int, str], None], *, is_rehearsal: bool) -> None:
        self._plan = plan
        self._fail = fail
        self._restoration = Restoration(DEFAULT_DB_ALIAS, fail, self._taken, is_silent=is_rehearsal)
        self._roots: dict[int, Kept] = {}
        self._numbers: list[int] = []
        original = plan.changeset.reverts
        self._key = b"" if original is None else bytes(original.leaf_key)

    def equip(self, schema: ModelSchema, writes: Sequence[Write]) -> None:
        """Adds to new rows what is in no record of theirs."""
        if self._plan.changeset.reverts_id is None:
            return
        changes = self._changes([write.number for write in writes])
        self._numbers += changes
        kept = {row.number: row for row in self._kept(changes, only_roots=True)}
        new = [write for write in writes if write.before is None and write.number in kept]
        beside = self._restoration.beside(schema, [kept[write.number] for write in new]) if new else {}
        for write in new:
            write.beside = beside[write.number]
        self._roots |= kept

    def note(self, writes: Sequence[Write]) -> None:
        """To be called once they are written."""
        for write in writes:
            root = self._roots.get(write.number)
            if root is not None and write.pk is not None:
                self._restoration.note_root(root.model, root.pk, write.pk)

    def bring_back(self) -> bool:
        """Once all rows of their own changes are there: what went along, parents first, then references. Whether there
        was any."""
        numbers = [number for number in self._numbers if number not in self._plan.dropped]
        if not numbers:
            return False
        models: dict[Any, None] = {}
        for changes in self._batches(numbers):
            models |= dict.fromkeys(row.model for row in self._kept(changes) if row.effect not in STAYING)
        parts = dict.fromkeys(part for model in models for part in tables_of(model))
        for part in reversed(children_first(parts)):
            for changes in self._batches(numbers):
                rows = (row for row in self._kept(changes) if row.effect not in (ROOT, *STAYING))
                for batch in batches(row for row in rows if part in tables_of(row.model)):
                    self._restoration.insert(part, batch)
        self._restoration.finish()
        for changes in self._batches(numbers):
            groups: dict[tuple[Any, str], list[Kept]] = {}
            for row in self._kept(changes):
                if row.effect in STAYING:
                    groups.setdefault((row.model, row.column), []).append(row)
            for group in groups.values():
                self._restoration.set_back(group)
        return True

    def _taken(self, table: Any, pks: Collection[Any]) -> set[Any]:
        """Those of some primary keys in a table whose rows went by changes of the reverted changeset that no revert has
        undone."""
        original = self._plan.changeset.reverts_id
        undone = Change.objects.filter(changeset=original, number=OuterRef("change_number"), reverted_by__isnull=False)
        rows = KeptRow.objects.filter(~Exists(undone), changeset=original).exclude(effect__in=STAYING)
        plain = {pk if isinstance(pk, int) else str(pk): pk for pk in pks}
        found = set()
        for batch in batches(plain):
            for label, pk in rows.filter(row_pk__in=batch).values_list("model", "row_pk"):
                if is_installed(label) and table in tables_of(apps.get_model(label)):
                    found.add(plain[pk])
        return found

    def _batches(self, numbers: Sequence[int]) -> Iterator[dict[int, Change]]:
        for batch in batches(numbers):
            yield self._changes(batch)

    def _changes(self, numbers: Sequence[int]) -> dict[int, Change]:
        """Those of these changes that bring something back."""
        changes = self._plan.changeset.changes.filter(number__in=numbers).exclude(restores=[])
        rows = changes.only("number", "model", "undoes", "restores")
        return {change.number: change for change in rows if change.number not in self._plan.dropped}

    def _kept(self, changes: dict[int, Change], *, only_roots: bool = False) -> Iterator[Kept]:
        """What was kept of what these changes undo, in the order in which it went."""
        by_undone = {change.undoes: change for change in changes.values()}
        rows = KeptRow.objects.filter(changeset=self._plan.changeset.reverts_id, change_number__in=list(by_undone))
        if only_roots:
            rows = rows.filter(effect=ROOT)
        told = {number: _told(change) for number, change in changes.items()}
        missing = {number: {p for p in places if not only_roots} for number, places in told.items()}
        for row in rows.order_by("number").iterator(chunk_size=500):
            change = by_undone[row.change_number]
            number, place = change.number, place_of(row)
            missing[number].discard(place)
            if number in self._plan.dropped:
                continue
            if row.effect == ROOT and place not in told[number]:
                if row.values is None or kept_digest(self._key, row) == row.digest:
                    yield _read(row, number)  # The row was there again: only where it was is of interest.
                continue
            is_intact = row.values is not None and kept_digest(self._key, row) == row.digest
            if not is_intact or told[number].get(place) != row.digest:
                self._fail(number, _altered(row.model))
                continue
            if not is_installed(row.model):
                self._fail(number, gone(row.model))
                continue
            yield _read(row, number)
        for number, places in missing.items():
            if places and number not in self._plan.dropped:
                self._fail(number, _altered(next(iter(places))[0]))


def _told(change: Change) -> dict[Place, str]:
    """The digests of what comes back, as the sealed content says."""
    return {(one["model"], one["pk"], one["effect"], one["column"]): one["digest"] for one in change.restores}


def _altered(label: str) -> str:
    return (
        f"What was kept of a row of {label} when it was deleted is not what was shown: it has been altered or purged "
        "since. Revert anew."
    )


def _read(row: KeptRow, number: int) -> Kept:
    model = apps.get_model(row.model)
    return Kept(
        number=number,
        model=model,
        pk=model._meta.pk.to_python(row.row_pk),
        effect=row.effect,
        column=row.column,
        values=row.values or {},
    )
