"""Renames: a row that only its key tells from a deleted one is offered as that row, under a new key.

Models are looked at in dependency order: what refers to a renamed row gets its new key first, so that children
of a renamed parent are compared as they will be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from data_sync.core import canonical
from data_sync.core.differences import Differences, Unnumbered
from data_sync.core.records import Key, Record
from data_sync.core.spool import RecordSpool
from data_sync.core.states import Operation
from data_sync.orm.batches import batches
from data_sync.orm.rekeying import Rekeying, Renamed
from data_sync.orm.schema import ModelSchema


def find_renames(
    differences: Differences, schemas: Mapping[str, ModelSchema], here: RecordSpool, there: RecordSpool
) -> dict[Renamed, Key]:
    """Turns pairs of a delete and a create into renames, and compares anew what refers to the renamed rows."""
    renamed: dict[Renamed, Key] = {}
    for model, schema in enumerate(schemas.values()):
        if renamed:
            _compare_again(differences, model, schema, here, Rekeying(schemas, renamed))
        if _can_be_renamed(schema):
            rekeying = Rekeying(schemas, renamed)
            renamed |= dict(_renames(differences, model, schema, here, there, rekeying))
    return renamed


def _can_be_renamed(schema: ModelSchema) -> bool:
    """Whether a row is more than its key, and its primary key is no part of that."""
    in_key = {part.path[0] for part in schema.key}
    more = [name for name in schema.field_names if name not in in_key]
    return schema.pk.name not in in_key and bool(more or schema.files) and schema.registration.deletes != "never"


def _renames(
    differences: Differences,
    model: int,
    schema: ModelSchema,
    here: RecordSpool,
    there: RecordSpool,
    rekeying: Rekeying,
) -> Iterator[tuple[Renamed, Key]]:
    if not (differences.count(model, Operation.DELETE) and differences.count(model, Operation.CREATE)):
        return
    for operation in (Operation.DELETE, Operation.CREATE):
        for batch in batches(differences.of_model(model, [operation])):
            differences.note_likeness((_likeness(schema, _record(one, here, there, rekeying)), one.id) for one in batch)
    for gone, new in differences.alike(model):
        old, other = differences.get(gone), differences.get(new)
        assert other.there_at is not None
        differences.rewrite(old.id, Operation.RENAME, other.key, old.key, other)
        yield (schema.label, old.key), there.record(other.there_at).key


def _record(one: Unnumbered, here: RecordSpool, there: RecordSpool, rekeying: Rekeying) -> Record:
    if one.here_at is not None:
        return rekeying.record(here.record(one.here_at))
    assert one.there_at is not None
    return there.record(one.there_at)


def _likeness(schema: ModelSchema, record: Record) -> bytes:
    """A digest of all of a record but its key."""
    in_key = {part.path[0] for part in schema.key}
    fields = {name: value for name, value in record.fields.items() if name not in in_key}
    bare = Record(model=record.model, key=(), fields=fields, files=record.files)
    return bytes.fromhex(bare.digest().removeprefix("sha256:"))[:16]


def _compare_again(
    differences: Differences, model: int, schema: ModelSchema, here: RecordSpool, rekeying: Rekeying
) -> None:
    """Compares what refers to renamed rows with its new key. What is equal then is no difference."""
    for one in differences.of_model(model, [Operation.DELETE, Operation.UPDATE]):
        assert one.here_at is not None
        record, causes = rekeying.with_causes(here.record(one.here_at))
        if not causes:
            continue
        text = canonical.dumps(list(record.key))
        digest = bytes.fromhex(record.digest().removeprefix("sha256:"))[:16]
        match = (
            one
            if one.operation == Operation.UPDATE and text == one.key
            else differences.with_key(model, text, Operation.CREATE)
        )
        if match is None:
            continue
        if digest == match.there_digest:
            differences.drop(one.id, *([] if match.id == one.id else [match.id]))
        elif match.id != one.id:
            differences.rewrite(one.id, Operation.UPDATE, text, one.key, match)
