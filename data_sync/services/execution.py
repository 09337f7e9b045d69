"""Writing a plan inside its transaction, and deleting no more than was shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from data_sync.core import canonical
from data_sync.core.errors import ChangeFailed, StaleChangeset
from data_sync.core.states import Operation
from data_sync.orm.batches import batches
from data_sync.orm.cascades import Cascade, Reach, Row, reach_at_once, reach_of
from data_sync.orm.schema import ModelSchema
from data_sync.orm.write import Writer
from data_sync.orm.writes import Node, levels, self_references

from .plan import BATCH, USING, Entry, Plan, Shown

Fail = Callable[[int, str], None]


def write_rows(plan: Plan) -> None:
    """Writes and deletes everything. Raises `ChangeFailed` or `StaleChangeset` at the first that cannot be."""

    def fail(number: int, reason: str) -> None:
        raise ChangeFailed({number: reason})

    execution = Execution(plan, fail)
    execution.write()
    execution.close()
    stale = execution.check_deletes()
    if stale:
        raise StaleChangeset(stale)
    execution.delete()


class Execution:
    """The steps of writing a plan, to be taken in this order: `write`, `close`, `check_deletes`, `delete`.

    What cannot be written is told to `fail`; if that returns, the change is left out.
    """

    def __init__(self, plan: Plan, fail: Fail, *, is_rehearsal: bool = False) -> None:
        self._plan = plan
        self._fail = fail
        self._roots: dict[Any, frozenset[Any]] = {}
        self.writer = Writer(
            USING,
            fail=self._give_up,
            find_leaving=lambda table, pks: plan.leaving(table, pks, self.writer.written),
            delete_now=self._delete_now,
            is_doomed=self._is_doomed,
            renamed=self._renamed_rows(),
            is_rehearsal=is_rehearsal,
        )

    def _give_up(self, number: int, reason: str) -> None:
        self._fail(number, reason)
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
        for label, schema in self._plan.schemas.items():
            self._replace(schema)
            self._make_room_for_spans(schema)
            for numbers in self._in_levels(schema):
                self._write(schema, self._plan.of_numbers(label, numbers))
            for batch in self._plan.entries(label, Operation.UPDATE):
                self._write(schema, batch)

    def _write(self, schema: ModelSchema, entries: Sequence[Entry]) -> None:
        writes = self._plan.writes(entries)
        self.writer.write(schema, writes)
        for write in writes:
            if write.number in self.writer.written:
                if write.before is None:
                    self._plan.written.note_key(write.number, write.pk)
                else:
                    names = [name for name in write.after.fields if name in write.changed]
                    self._plan.written.note_names(write.number, [*names, *write.files])

    def _in_levels(self, schema: ModelSchema) -> Iterator[list[int]]:
        """Numbers of creates and renames, in batches: a row after those of its own model that it refers to."""
        both = (Operation.CREATE, Operation.RENAME)
        if not self_references(schema):
            for batch in self._plan.entries(schema.label, *both):
                yield [entry.number for entry in batch]
            return
        for level in levels(self._nodes(schema, both)):
            yield from batches(level, BATCH)

    def _nodes(self, schema: ModelSchema, operations: Collection[Operation]) -> dict[int, Node]:
        by_key: dict[str, int] = {}
        for batch in self._plan.entries(schema.label, *operations):
            by_key |= {entry.key_text: entry.number for entry in batch}
        nodes: dict[int, Node] = {}
        is_delete = Operation.DELETE in operations
        for numbers in batches(by_key.values(), BATCH):
            records = self._plan.before(numbers) if is_delete else self._plan.after(numbers)
            for number in numbers:
                needs: dict[bool, list[int]] = {True: [], False: []}
                for reference in self_references(schema):
                    value = records[number].fields[reference.name]
                    other = None if value is None else by_key.get(canonical.dumps(value))
                    if other is not None and other != number:
                        needs[reference.field.null].append(other)
                nodes[number] = Node(required=needs[False], optional=needs[True])
        return nodes

    def _replace(self, schema: ModelSchema) -> None:
        """Deletes the rows that are to be made anew under another key: only where the review showed what goes along."""
        for batch in self._plan.entries(schema.label, Operation.RENAME):
            replaced = {entry.pk: entry for entry in batch if entry.is_replaced}
            if not replaced:
                continue
            shown = self._plan.shown([entry.number for entry in replaced.values()])
            roots = ((schema.model, pk) for pk in replaced)
            found = reach_of(roots, USING, self._plan.schemas, locked=True)
            reaches = {pk: reach for (_, pk), reach in found.items()}
            for pk, reach in reaches.items():
                entry = replaced[pk]
                held = [*reach.obstacles, *reach.apart, *_unseen(reach, shown[entry.number])]
                if held:
                    self._give_up(
                        entry.number,
                        f"{entry.name} cannot be replaced: {_rows(held)} refer to it. Choose to rename it instead.",
                    )
            left = [entry for entry in replaced.values() if entry.number not in self._plan.dropped]
            self.writer.delete({entry.number: {(schema.model, entry.pk): reaches[entry.pk]} for entry in left})

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

    def check_deletes(self) -> dict[int, str]:
        """Computes once more what the deletes take along; one row more than was shown is told, by number."""
        stale: dict[int, str] = {}
        self._roots = {
            schema.model: frozenset(
                entry.pk for batch in self._plan.entries(label, Operation.DELETE) for entry in batch
            )
            for label, schema in self._plan.schemas.items()
        }
        for label, schema in self._plan.schemas.items():
            for batch in self._plan.entries(label, Operation.DELETE):
                left = [entry for entry in batch if entry.number not in self.writer.deleted]
                _, more = self._reaches(schema, left, locked=True)
                stale |= {number: f"{reason} Pull again." for number, reason in more.items()}
        return stale

    def _reaches(
        self, schema: ModelSchema, entries: Sequence[Entry], *, locked: bool = False
    ) -> tuple[dict[Any, Reach], dict[int, str]]:
        """What deletes take along now, by primary key; and, by number, what of it was not shown."""
        by_pk = {entry.pk: entry for entry in entries}
        shown = self._plan.shown([entry.number for entry in entries])
        roots = ((schema.model, pk) for pk in by_pk)
        found = reach_of(roots, USING, self._plan.schemas, self._is_root, locked=locked)
        reaches = {pk: reach for (_, pk), reach in found.items()}
        beyond = {by_pk[pk]: _beyond(reach, shown[by_pk[pk].number]) for pk, reach in reaches.items()}
        return reaches, {entry.number: f"{entry.name}: {more}" for entry, more in beyond.items() if more}

    def _is_root(self, cascade: Cascade) -> bool:
        return self._is_doomed((cascade.model, cascade.pk))

    def _is_doomed(self, row: Row) -> bool:
        """Whether a row is deleted by a change of its own."""
        model, pk = row
        return pk in self._roots.get(model, ())

    def delete(self) -> None:
        """The deletes, in reverse order: what refers to others goes first.

        What they take along is followed once more, and passed on: a receiver may have added to it since the check.
        """
        for label, schema in reversed(self._plan.schemas.items()):
            for entries in self._delete_batches(label, schema):
                left = [entry for entry in entries if entry.number not in self.writer.deleted]
                reaches, more = self._reaches(schema, left)
                for number, reason in more.items():
                    self._give_up(number, reason)
                self.writer.delete(
                    {
                        entry.number: {(schema.model, entry.pk): reaches[entry.pk]}
                        for entry in left
                        if entry.number not in more
                    }
                )

    def _delete_batches(self, label: str, schema: ModelSchema) -> Iterator[list[Entry]]:
        if not self_references(schema):
            yield from self._plan.entries(label, Operation.DELETE)
            return
        for level in reversed(levels(self._nodes(schema, [Operation.DELETE]))):
            for numbers in batches(level, BATCH):
                yield self._plan.of_numbers(label, numbers)

    def _delete_now(self, schema: ModelSchema, numbers: Mapping[Any, int]) -> Collection[int]:
        """Deletes those rows whose unique values are wanted, if that reaches no more than was shown.

        Rows that refer to them go with them by the changes of their own that delete them. Gives the numbers of all
        deletes that are done with that.
        """
        wanted = {(schema.model, pk): number for pk, number in numbers.items()}
        found = reach_at_once(wanted, USING, self._plan.schemas, self._doomed, locked=True)
        reaches = {row: reach for together in found.values() for row, reach in together.items()}
        linked = (cascade for reach in reaches.values() for cascade in (*reach.cascades, *reach.apart))
        own = wanted | self._doomed(linked)
        shown = self._plan.shown(own.values())
        held = {
            row
            for row, reach in reaches.items()
            if reach.obstacles or any(_row(cascade) not in own for cascade in _unseen(reach, shown[own[row]]))
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
            for pk, number in self._plan.doomed(label, pks, self.writer.written).items()
        }


def _unseen(reach: Reach, shown: Shown) -> list[Cascade]:
    return [cascade for cascade in reach.cascades if _as_shown(cascade) not in shown]


def _row(cascade: Cascade) -> Row:
    return cascade.model, cascade.pk


def _as_shown(cascade: Cascade) -> tuple[str, str, str, str]:
    return cascade.model._meta.label_lower, str(cascade.pk), cascade.effect, cascade.column


def _beyond(reach: Reach, shown: Shown) -> str:
    """What a delete would reach beyond what was shown, in words; "" if nothing."""
    more = _unseen(reach, shown) + reach.obstacles
    return f"deleting it would now also reach {_rows(more)}, which was not shown." if more else ""


def _rows(cascades: Sequence[Cascade]) -> str:
    first = f"{cascades[0].model._meta.label_lower} {cascades[0].pk}"
    return f"{first} and {len(cascades) - 1} more" if len(cascades) > 1 else first
