"""Writing a plan inside its transaction, and deleting no more than was shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS

from data_sync.core.errors import ChangeFailed, StaleChangeset
from data_sync.core.states import Operation
from data_sync.orm.batches import batches
from data_sync.orm.cascades import Cascade, Reach, Row, reach_at_once, reach_of
from data_sync.orm.schema import ModelSchema
from data_sync.orm.write import Writer

from .entries import Entry
from .kept_rows import Keeper
from .levels import deletes_in_levels, in_levels
from .plan import BATCH, Plan
from .progress import Advance, silent
from .restoring import Restoring
from .shown import beyond, in_words, unseen

Fail = Callable[[int, str], None]
FailStale = Callable[[dict[int, str]], None]


def write_rows(plan: Plan, advance: Advance) -> None:
    """Writes and deletes everything. Raises `ChangeFailed` or `StaleChangeset` at the first that cannot be."""

    def fail(number: int, reason: str) -> None:
        raise ChangeFailed({number: reason})

    def fail_stale(reasons: dict[int, str]) -> None:
        raise StaleChangeset(reasons)

    execution = Execution(plan, fail, fail_stale, advance)
    execution.write()
    execution.close()
    execution.check_deletes()
    execution.delete()


class Execution:
    """The steps of writing a plan, to be taken in this order: `write`, `close`, `check_deletes`, `delete`.

    What cannot be written is told to `fail`, and deletes that would reach what was not shown to `fail_stale`; if that
    returns, the changes are left out. `advance` is told after each batch how many it was.
    """

    def __init__(
        self,
        plan: Plan,
        fail: Fail,
        fail_stale: FailStale,
        advance: Advance = silent,
        *,
        is_rehearsal: bool = False,
    ) -> None:
        self._plan = plan
        self._advance = advance
        self._fail = fail
        self._fail_stale = fail_stale
        self._deletes = {
            schema.model: {entry.pk: entry.number for batch in plan.entries(label, Operation.DELETE) for entry in batch}
            for label, schema in plan.schemas.items()
        }
        self._restoring = Restoring(plan, self._give_up, is_rehearsal=is_rehearsal)
        self.writer = Writer(
            DEFAULT_DB_ALIAS,
            fail=self._give_up,
            find_leaving=lambda table, pks: plan.leaving(table, pks, self._is_done),
            delete_now=self._delete_now,
            is_doomed=self._is_doomed,
            keep=(lambda reaches: None) if is_rehearsal else Keeper(plan.changeset, self._number_of).keep,
            renamed=self._renamed_rows(),
            redacted={schema.model: schema.redacted for schema in plan.schemas.values() if schema.redacted},
            is_rehearsal=is_rehearsal,
        )

    def _number_of(self, row: Row, otherwise: int) -> int:
        """The number of the change that deletes a row; the given one for a row that is made anew."""
        model, pk = row
        return self._deletes.get(model, {}).get(pk, otherwise)

    def _is_done(self, number: int) -> bool:
        return number in self.writer.written or number in self.writer.deleted

    def _give_up(self, number: int, reason: str) -> None:
        self._fail(number, reason)
        self._plan.drop(number)

    def _give_up_stale(self, reasons: dict[int, str]) -> None:
        if reasons:
            self._fail_stale(reasons)
        for number in reasons:
            self._plan.drop(number)

    def _renamed_rows(self) -> dict[str, dict[str, Any]]:
        return {
            label: {
                entry.key_text: entry.pk
                for batch in self._plan.entries(label, Operation.RENAME)
                for entry in batch
                if not entry.is_replaced
            }
            for label in dict.fromkeys(label for label, _ in self._plan.renamed)
        }

    # Creates, renames and updates

    def write(self) -> None:
        """Every row that is created, renamed or updated: models in dependency order, rows in that of their own."""
        for label, schema in self._plan.concerned.items():
            self._replace(schema)
            self._make_room_for_spans(schema)
            for numbers in in_levels(self._plan, schema):
                self._write(schema, self._plan.of_numbers(label, numbers))
            for batch in self._plan.entries(label, Operation.UPDATE):
                self._write(schema, batch)
        if self._restoring.bring_back():
            self.writer.look_again()

    def _write(self, schema: ModelSchema, entries: Sequence[Entry]) -> None:
        writes = self._plan.writes(entries)
        self._restoring.equip(schema, writes)
        writes = [write for write in writes if write.number not in self._plan.dropped]
        self.writer.write(schema, writes)
        self._restoring.note([write for write in writes if write.number in self.writer.written])
        for write in writes:
            if write.number in self.writer.written:
                if write.before is None:
                    self._plan.written.note_key(write.number, write.pk)
                else:
                    names = [name for name in write.after.fields if name in write.changed]
                    self._plan.written.note_names(write.number, [*names, *write.files])
        self._advance(len(writes))

    def _replace(self, schema: ModelSchema) -> None:
        """Deletes the rows that are to be made anew under another key, as long as nothing refers to them."""
        for batch in self._plan.entries(schema.label, Operation.RENAME):
            replaced = {(schema.model, entry.pk): entry for entry in batch if entry.is_replaced}
            reaches = reach_of(replaced, DEFAULT_DB_ALIAS, self._plan.schemas, locked=True)
            for row, entry in replaced.items():
                reach = reaches[row]
                held = [*reach.obstacles, *reach.apart, *reach.cascades]
                if held:
                    self._give_up(
                        entry.number,
                        f"{entry.name} cannot be replaced: {in_words(held)} refer to it. Choose to rename it instead.",
                    )
            self.writer.delete(
                {
                    entry.number: {row: reaches[row]}
                    for row, entry in replaced.items()
                    if entry.number not in self._plan.dropped
                }
            )

    def _make_room_for_spans(self, schema: ModelSchema) -> None:
        """Where a constraint excludes more than equal values, rows that nothing refers to are deleted first."""
        constraints = [constraint for model in schema.tables for constraint in model._meta.constraints]
        if any(type(constraint).__name__ == "ExclusionConstraint" for constraint in constraints):
            for batch in self._plan.entries(schema.label, Operation.DELETE):
                self.writer.delete_early(schema, {entry.pk: entry.number for entry in batch})

    def close(self) -> None:
        """The second phase: what had to wait for rows that were not there yet."""
        for label, waiting in self.writer.waiting.items():
            for numbers in batches(list(waiting), BATCH):
                writes = self._plan.writes(self._plan.of_numbers(label, numbers))
                self.writer.finish(self._plan.schemas[label], writes)

    # Deletes

    def check_deletes(self) -> None:
        """Computes once more what the deletes take along, before any of them is done."""
        stale: dict[int, str] = {}
        for label, schema in self._plan.schemas.items():
            for batch in self._plan.entries(label, Operation.DELETE):
                left = [entry for entry in batch if entry.number not in self.writer.deleted]
                _, more = self._reaches(schema, left, locked=True)
                stale |= more
        self._give_up_stale(stale)

    def _reaches(
        self, schema: ModelSchema, entries: Sequence[Entry], *, locked: bool = False
    ) -> tuple[dict[Any, Reach], dict[int, str]]:
        """What deletes take along now, by primary key; and, by number, what of it was not shown."""
        by_pk = {entry.pk: entry for entry in entries}
        shown = self._plan.shown([entry.number for entry in entries])
        roots = ((schema.model, pk) for pk in by_pk)
        found = reach_of(roots, DEFAULT_DB_ALIAS, self._plan.schemas, self._is_root, locked=locked)
        reaches = {pk: reach for (_, pk), reach in found.items()}
        told = {by_pk[pk]: beyond(reach, shown[by_pk[pk].number]) for pk, reach in reaches.items()}
        return reaches, {entry.number: f"{entry.name}: {more}" for entry, more in told.items() if more}

    def _is_root(self, cascade: Cascade) -> bool:
        return self._is_doomed((cascade.model, cascade.pk))

    def _is_doomed(self, row: Row) -> bool:
        """Whether a change of its own has still to delete a row."""
        model, pk = row
        number = self._deletes.get(model, {}).get(pk)
        return number is not None and number not in self._plan.dropped and number not in self.writer.deleted

    def delete(self) -> None:
        """The deletes, in reverse order: what refers to others goes first.

        What they take along is followed once more, and passed on: a receiver may have added to it since the check.
        """
        for schema in reversed(self._plan.schemas.values()):
            for entries in deletes_in_levels(self._plan, schema):
                left = [entry for entry in entries if entry.number not in self.writer.deleted]
                reaches, more = self._reaches(schema, left)
                self._give_up_stale(more)
                self.writer.delete(
                    {
                        entry.number: {(schema.model, entry.pk): reaches[entry.pk]}
                        for entry in left
                        if entry.number not in self._plan.dropped
                    }
                )
                self._advance(len(left))

    def _delete_now(self, schema: ModelSchema, numbers: Mapping[Any, int]) -> Collection[int]:
        """Deletes those rows whose unique values are wanted, if that reaches no more than was shown.

        Rows that refer to them go with them by the changes of their own that delete them. Gives the numbers of all
        deletes that are done with that.
        """
        wanted = {(schema.model, pk): number for pk, number in numbers.items()}
        found = reach_at_once(wanted, DEFAULT_DB_ALIAS, self._plan.schemas, self._doomed, locked=True)
        reaches = {row: reach for together in found.values() for row, reach in together.items()}
        linked = (cascade for reach in reaches.values() for cascade in (*reach.cascades, *reach.apart))
        own = wanted | self._doomed(linked)
        shown = self._plan.shown(own.values())
        held = {
            row
            for row, reach in reaches.items()
            if reach.obstacles
            or any((cascade.model, cascade.pk) not in own for cascade in unseen(reach, shown[own[row]]))
        }
        now = {wanted[row]: together for row, together in found.items() if held.isdisjoint(together)}
        self.writer.delete(now)
        done = [together for number, together in now.items() if number not in self._plan.dropped]
        return {own[row] for together in done for row in together}

    def _doomed(self, cascades: Iterable[Cascade]) -> dict[Row, int]:
        """The numbers of the changes that delete some of these rows, by model and primary key."""
        by_model: dict[Any, set[Any]] = {}
        for cascade in cascades:
            by_model.setdefault(cascade.model, set()).add(cascade.pk)
        return {
            (model, pk): number
            for model, pks in by_model.items()
            if (label := model._meta.label_lower) in self._plan.schemas
            for pk, number in self._plan.doomed(label, pks, self._is_done).items()
        }
