"""In which order the rows of one model are written and deleted that refer to each other."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from data_sync.core import canonical
from data_sync.core.states import Operation
from data_sync.orm.batches import batches
from data_sync.orm.schema import ModelSchema
from data_sync.orm.writes import Node, levels, self_references

from .entries import Entry
from .plan import BATCH, Plan


def in_levels(plan: Plan, schema: ModelSchema) -> Iterator[list[int]]:
    """Numbers of creates and renames, in batches: a row after those of its own model that it refers to."""
    both = (Operation.CREATE, Operation.RENAME)
    if not self_references(schema):
        for batch in plan.entries(schema.label, *both):
            yield [entry.number for entry in batch]
        return
    for level in levels(_nodes(plan, schema, both)):
        yield from batches(level, BATCH)


def deletes_in_levels(plan: Plan, schema: ModelSchema) -> Iterator[list[Entry]]:
    """The deletes of one model, in batches: a row before those of its own model that it refers to."""
    if not self_references(schema):
        yield from plan.entries(schema.label, Operation.DELETE)
        return
    for level in reversed(levels(_nodes(plan, schema, [Operation.DELETE]))):
        for numbers in batches(level, BATCH):
            yield plan.of_numbers(schema.label, numbers)


def _nodes(plan: Plan, schema: ModelSchema, operations: Collection[Operation]) -> dict[int, Node]:
    by_key: dict[str, int] = {}
    for batch in plan.entries(schema.label, *operations):
        by_key |= {entry.key_text: entry.number for entry in batch}
    nodes: dict[int, Node] = {}
    is_delete = Operation.DELETE in operations
    for numbers in batches(by_key.values(), BATCH):
        records = plan.before(numbers) if is_delete else plan.after(numbers)
        for number in numbers:
            needs: dict[bool, list[int]] = {True: [], False: []}
            for reference in self_references(schema):
                value = records[number].fields[reference.name]
                other = None if value is None else by_key.get(canonical.dumps(value))
                if other is not None and other != number:
                    needs[reference.field.null].append(other)
            nodes[number] = Node(required=needs[False], optional=needs[True])
    return nodes
