"""Reading every written row again, before the transaction commits."""

from __future__ import annotations

from data_sync.core.errors import ChangeFailed
from data_sync.core.records import RecordText
from data_sync.orm.batches import batches
from data_sync.orm.references import RowsOfKeys
from data_sync.orm.rows import RowReader
from data_sync.orm.schema import ModelSchema
from data_sync.orm.writes import Write

from .plan import USING, Plan, differing


def read_back(plan: Plan) -> None:
    """Reads every written row again. Raises `ChangeFailed` where the database holds something else."""
    failed: dict[int, str] = {}
    for label, schema in plan.schemas.items():
        reader = RowReader(schema, USING)
        for batch in batches(plan.writes[label]):
            pks = [write.pk for write in batch]
            now = reader.by_pk(pks)
            in_scope = set(schema.rows(USING).filter(pk__in=pks).values_list("pk", flat=True))
            for write in batch:
                reason = _mismatch(plan, write, now.get(write.pk), write.pk in in_scope)
                if reason:
                    failed[write.number] = f"{write.name}: {reason}"
        failed = _duplicates(schema, plan.writes[label]) | failed
    if failed:
        raise ChangeFailed(failed)


def _mismatch(plan: Plan, write: Write, record: RecordText | None, in_scope: bool) -> str:
    if record is None:
        return "the row was written, but is not there when read again; does a signal receiver remove it?"
    if record.digest() != plan.digests[write.number][1]:
        names = ", ".join(differing(write.after, record.record()))
        return f"the database gave back another value than was written for {names}; it cannot hold this one exactly."
    if not in_scope:
        return "it would lie outside of the registration's queryset here."
    return ""


def _duplicates(schema: ModelSchema, writes: list[Write]) -> dict[int, str]:
    failed = {}
    for batch in batches(writes):
        rows = RowsOfKeys(schema, "pk", USING)
        rows.load(write.key_text for write in batch)
        for write in batch:
            if rows.count(write.key_text) != 1:
                failed[write.number] = f"{write.name}: another row was given this natural key meanwhile."
    return failed
