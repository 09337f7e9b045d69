"""Whether the rows are still what the reviewer saw: asked inside the transaction, before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data_sync.core import canonical
from data_sync.core.errors import StaleChangeset
from data_sync.orm.references import RowsOfKeys, batches
from data_sync.orm.rows import RowReader
from data_sync.orm.schema import ModelSchema
from data_sync.orm.write import Write

from .plan import USING, Delete, Plan, differing, name_of


def check_rows(plan: Plan) -> None:
    """Locks the rows and compares each with what the reviewer saw. Raises `StaleChangeset`, with every
    change that no longer fits; takes those whose work is done already off the list."""
    stale: dict[int, str] = {}
    for label, schema in plan.schemas.items():
        reader = RowReader(schema, USING)
        updates = [write for write in plan.writes[label] if write.before is not None]
        _lock(schema, [write.pk for write in updates] + [delete.pk for delete in plan.deletes[label]])
        stale |= _check_known(plan, reader, updates)
        stale |= _check_known(plan, reader, plan.deletes[label])
        stale |= _check_creates(plan, reader, [write for write in plan.writes[label] if write.before is None])
        plan.set_aside(label)
    if stale:
        raise StaleChangeset(stale)


def _lock(schema: ModelSchema, pks: list[Any]) -> None:
    for batch in batches(pks):
        rows = schema.every_row(USING).select_for_update().filter(pk__in=batch).order_by("pk")
        for _ in rows.values_list("pk"):
            pass


def _check_known(plan: Plan, reader: RowReader, group: Sequence[Write | Delete]) -> dict[int, str]:
    """Updates and deletes: the row must be as it was at the pull."""
    stale = {}
    for batch in batches(group):
        now = reader.by_pk([item.pk for item in batch])
        for item in batch:
            before, after = plan.digests[item.number]
            record = now.get(item.pk)
            if record is None:
                if isinstance(item, Delete):
                    plan.unchanged.append(item.number)
                else:
                    stale[item.number] = f"{name_of(item.after)} is gone since the pull. Pull again."
                continue
            digest = record.digest()
            if isinstance(item, Write) and digest == after:
                plan.unchanged.append(item.number)
            elif digest != before:
                expected = item.before
                assert expected is not None
                names = ", ".join(differing(expected, record.record()))
                stale[item.number] = f"{name_of(expected)} was changed here since the pull: {names}. Pull again."
    return stale


def _check_creates(plan: Plan, reader: RowReader, creates: list[Write]) -> dict[int, str]:
    """Creates: no row may have the key, unless it is just as the change would make it."""
    stale = {}
    for batch in batches(creates):
        rows = RowsOfKeys(reader.schema, "pk", USING)
        texts = {write.number: canonical.dumps(list(write.after.key)) for write in batch}
        rows.load(texts.values())
        taken = {write.number: rows.get(texts[write.number]) for write in batch}
        now = reader.by_pk([pk for pk in taken.values() if pk is not None])
        for write in batch:
            pk = taken[write.number]
            if pk is None:
                continue
            if now[pk].digest() == plan.digests[write.number][1]:
                plan.unchanged.append(write.number)
            else:
                stale[write.number] = f"{name_of(write.after)} has been added here since the pull. Pull again."
    return stale
