"""Reading every written row again, and looking for every deleted one, before the transaction commits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS

from data_sync.core.errors import ChangeFailed
from data_sync.core.records import Record, RecordText, differing
from data_sync.core.states import Operation
from data_sync.orm.among import among
from data_sync.orm.references import RowsOfKeys
from data_sync.orm.rows import RowReader
from data_sync.orm.schema import ModelSchema
from data_sync.orm.scopes import in_scope
from data_sync.orm.uniqueness import is_enforced

from .entries import Entry
from .plan import WRITTEN, Plan
from .progress import Advance, silent


def read_back(plan: Plan, advance: Advance) -> None:
    """Reads everything again. Raises `ChangeFailed` where the database holds something else than it was to."""
    failed = mismatches(plan, advance)
    if failed:
        raise ChangeFailed(failed)


def mismatches(plan: Plan, advance: Advance = silent, *, with_files: bool = True) -> dict[int, str]:
    """Which rows are not as they were to be, lie out of scope, or were deleted and are here, and why; by number."""
    failed: dict[int, str] = {}
    for label, schema in plan.concerned.items():
        reading = _Reading(plan, schema, with_files)
        for batch in plan.entries(label, *WRITTEN):
            failed |= reading.of(batch)
            advance(len(batch))
        failed |= _still_here(plan, schema)
    return failed


def _still_here(plan: Plan, schema: ModelSchema) -> dict[int, str]:
    """Which rows were deleted and are here. A row that was written under the same primary key is another."""
    found: dict[Any, Entry] = {}
    for batch in plan.entries(schema.label, Operation.DELETE, Operation.RENAME):
        by_pk = {
            entry.replaced_pk if entry.is_replaced else entry.pk: entry
            for entry in batch
            if entry.is_replaced or entry.operation == Operation.DELETE
        }
        rows = schema.every_row(DEFAULT_DB_ALIAS).filter(among("pk", by_pk)).values_list("pk", flat=True)
        found |= {pk: by_pk[pk] for pk in rows if pk in by_pk}
    for batch in plan.entries(schema.label, *WRITTEN) if found else ():
        for entry in batch:
            found.pop(entry.pk, None)
    return {
        entry.number: (
            f"{entry.name}: the row was deleted but is still here; does a trigger, a policy or a signal receiver keep "
            'it? Remove that, or register with deletes="never".'
        )
        for entry in found.values()
    }


class _Reading:
    """The written rows of one model."""

    def __init__(self, plan: Plan, schema: ModelSchema, with_files: bool) -> None:
        self._plan = plan
        self._schema = schema
        self._reader = RowReader(schema, DEFAULT_DB_ALIAS)
        self._is_enforced = is_enforced(schema)
        self._by_digest = with_files or not schema.files

    def of(self, entries: Sequence[Entry]) -> dict[int, str]:
        pks = [entry.pk for entry in entries]
        now = self._reader.by_pk(pks)
        inside = in_scope(self._schema, pks, DEFAULT_DB_ALIAS)
        after = {} if self._by_digest else self._plan.after([entry.number for entry in entries])
        failed, altered = {}, []
        for entry in entries:
            record = now.get(entry.pk)
            if record is None:
                failed[entry.number] = (
                    f"{entry.name}: the row was written, but is not there when read again; does a signal receiver "
                    "remove it?"
                )
            elif self._by_digest and self._digest(record) != entry.after_digest:
                altered.append(entry)
            elif not self._by_digest and self._is_altered(after[entry.number], record.record()):
                altered.append(entry)
            elif entry.pk not in inside:
                failed[entry.number] = f"{entry.name}: it would lie outside of the registration's queryset here."
        return self._twins(entries) | self._alterations(altered, now) | failed

    def _digest(self, record: RecordText) -> str:
        return self._plan.redaction.digest_of(self._schema.label, record)

    def _is_altered(self, after: Record, record: Record) -> bool:
        return after.key_text != record.key_text or bool(self._differing(after, record))

    def _differing(self, after: Record, record: Record) -> list[str]:
        return differing(after, record, with_files=self._by_digest)

    def _alterations(self, entries: Sequence[Entry], now: dict[Any, RecordText]) -> dict[int, str]:
        after = self._plan.after([entry.number for entry in entries]) if entries else {}
        if self._schema.registration.save == "model":
            why = 'a save() or a signal receiver of the model altered it. Change that, or register with save="raw".'
        else:
            why = "it cannot hold this one exactly, or a signal receiver altered it."
        failed = {}
        for entry in entries:
            names = ", ".join(self._differing(after[entry.number], now[entry.pk].record())) or "its natural key"
            failed[entry.number] = (
                f"{entry.name}: the database gave back another value than was written for {names}; {why}"
            )
        return failed

    def _twins(self, entries: Sequence[Entry]) -> dict[int, str]:
        """Where no constraint keeps the natural key unique, another may have used it meanwhile."""
        if self._is_enforced:
            return {}
        rows = RowsOfKeys(self._schema, "pk", DEFAULT_DB_ALIAS)
        rows.load(entry.key_text for entry in entries)
        return {
            entry.number: f"{entry.name}: another row was given this natural key meanwhile."
            for entry in entries
            if rows.count(entry.key_text) != 1
        }
