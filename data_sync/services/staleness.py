"""Whether the rows are still what the reviewer saw: asked inside the transaction, before anything is written."""

from __future__ import annotations

from collections.abc import Sequence

from data_sync.core.errors import StaleChangeset
from data_sync.orm.batches import batches
from data_sync.orm.references import RowsOfKeys
from data_sync.orm.rows import RowReader
from data_sync.orm.schema import ModelSchema
from data_sync.orm.tables import lock
from data_sync.orm.writes import Write

from .plan import USING, Delete, Plan, differing


def check_rows(plan: Plan) -> None:
    """Locks the rows and compares each with what the reviewer saw. Raises `StaleChangeset`, with every
    change that no longer fits; takes those whose work is done already off the list."""
    stale: dict[int, str] = {}
    for label, schema in plan.schemas.items():
        reader = RowReader(schema, USING)
        updates = [write for write in plan.writes[label] if write.before is not None]
        lock(schema.model, [write.pk for write in updates] + [delete.pk for delete in plan.deletes[label]], USING)
        stale |= _check_known(plan, reader, updates)
        stale |= _check_known(plan, reader, plan.deletes[label])
        stale |= _check_creates(plan, reader, [write for write in plan.writes[label] if write.before is None])
        plan.set_aside(label)
    if stale:
        raise StaleChangeset(stale)


def _check_known(plan: Plan, reader: RowReader, group: Sequence[Write | Delete]) -> dict[int, str]:
    """Updates and deletes: the row must be as it was at the pull, in scope, and the only one with its key."""
    stale = {}
    for batch in batches(group):
        pks = [change.pk for change in batch]
        now = reader.by_pk(pks)
        in_scope = set(reader.schema.rows(USING).filter(pk__in=pks).values_list("pk", flat=True))
        with_key = _rows_with_keys(reader.schema, batch)
        for change in batch:
            record = now.get(change.pk)
            others = [pk for pk in with_key.all(change.key_text) if pk != change.pk]
            if others:
                stale[change.number] = f"{change.name} is now the key of another row here too ({others[0]!r})."
            elif record is None and isinstance(change, Delete):
                plan.unchanged.append(change.number)
            elif record is None:
                stale[change.number] = f"{change.name} is gone since the pull. Pull again."
            elif change.pk not in in_scope:
                stale[change.number] = f"{change.name} has left the registration's queryset since the pull. Pull again."
            elif isinstance(change, Write) and record.digest() == plan.digests[change.number][1]:
                plan.unchanged.append(change.number)
            elif record.digest() != plan.digests[change.number][0]:
                assert change.before is not None
                names = ", ".join(differing(change.before, record.record()))
                stale[change.number] = f"{change.name} was changed here since the pull: {names}. Pull again."
    return stale


def _rows_with_keys(schema: ModelSchema, group: Sequence[Write | Delete]) -> RowsOfKeys:
    rows = RowsOfKeys(schema, "pk", USING)
    rows.load(change.key_text for change in group)
    return rows


def _check_creates(plan: Plan, reader: RowReader, creates: list[Write]) -> dict[int, str]:
    """Creates: no row may have the key, unless it is just as the change would make it."""
    stale = {}
    for batch in batches(creates):
        with_key = _rows_with_keys(reader.schema, batch)
        now = reader.by_pk([pk for write in batch for pk in with_key.all(write.key_text)])
        for write in batch:
            found = [now[pk].digest() for pk in with_key.all(write.key_text)]
            if found == [plan.digests[write.number][1]]:
                plan.unchanged.append(write.number)
            elif found:
                stale[write.number] = f"{write.name} has been added here since the pull. Pull again."
    return stale
