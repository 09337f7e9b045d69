"""Baselines of an applied changeset: of the rows it has written, and of those that refer to rows it has renamed.

A record holds the keys of what it refers to. So a rename alters the digests of other rows, and the keys of those below
it, on both sides alike: what was agreed on about them is brought to the new keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from struct import Struct

from django.db import DEFAULT_DB_ALIAS

from data_sync.core import canonical, packed
from data_sync.core.errors import RecordError
from data_sync.core.listing import key_hash
from data_sync.core.records import Record, RecordText
from data_sync.core.states import Operation
from data_sync.models import Changeset
from data_sync.orm.batches import batches
from data_sync.orm.referrers import Referrers
from data_sync.orm.rekeying import Rekeying
from data_sync.orm.resolution import schemas
from data_sync.orm.rows import RowReader
from data_sync.orm.scopes import in_scope

from .baseline_blocks import BLOCKS_AT_ONCE, block_of, entries_of, lock_all, lock_newest
from .baselines import RowDigest, record, record_applied
from .plan import Plan

AT_ONCE = 200_000
"""So many moves are held before they are looked up: 48 bytes each."""
_MOVE = Struct(">8s16s8s16s")

Move = tuple[str, bytes, bytes, bytes, bytes]
"""A row that refers to a renamed one: label, then key hash and digest as they were, and as they are."""


def record_written(changeset: Changeset, plan: Plan) -> None:
    """Both sides agree on what a plan has written, and as much as before on what refers to the rows it has renamed.

    To be called in the apply's transaction, once everything is written.
    """
    if plan.renamed and changeset.source_id is not None:
        # In the order in which a pull locks them: the rows below come in another one.
        lock_all(changeset.source_id, plan.schemas)
        # A new key was no row's here and an old one is no row's at the source, so no row takes what another gives up.
        for followed in _followed(changeset.source_id, _moves(plan)):
            record(changeset.source_id, {label: schema.shape() for label, schema in schemas().items()}, followed)
    # Last, because a row that was written may refer to a renamed one as well.
    record_applied(changeset, plan.agreed())


def _moves(plan: Plan) -> Iterator[Move]:
    """The rows in scope that refer to renamed ones, or to rows whose keys reach to those. Some come several times.

    Of the whole models: what this changeset left out of one was agreed on before.
    """
    # Records as they were are those of today with the new keys renamed to the old ones.
    back = {(label, canonical.dumps(list(key))): canonical.loads(text) for (label, text), key in plan.renamed.items()}
    readers = {label: RowReader(schema, DEFAULT_DB_ALIAS, bare=True) for label, schema in schemas().items()}
    referrers = Referrers(DEFAULT_DB_ALIAS)
    for label in dict.fromkeys(label for label, _ in plan.renamed):
        for batch in plan.entries(label, Operation.RENAME, and_done=True):
            pks = [entry.pk for entry in batch if not entry.is_replaced]
            for schema, page in referrers.of(schemas()[label], pks):
                # A new one each time: it remembers every key that it has met.
                rekeying = Rekeying(schemas(), back)
                # What is out of scope has no baseline, and may have no key.
                for text in _records(readers[schema.label], list(in_scope(schema, page, DEFAULT_DB_ALIAS))):
                    now = text.record()
                    was = rekeying.record(now)
                    if was is not now and (schema.label, now.key_text) not in back:
                        yield schema.label, _hash(was), _digest(was.canonical()), _hash(now), _digest(text.canonical)


def _records(reader: RowReader, pks: Sequence[object]) -> Iterator[RecordText]:
    """Leaves out rows that cannot be read: nobody has asked for them to be written, so they stop no apply."""
    try:
        yield from reader.by_pk(pks).values()
    except RecordError:
        if len(pks) > 1:
            yield from _records(reader, pks[: len(pks) // 2])
            yield from _records(reader, pks[len(pks) // 2 :])


def _hash(record: Record) -> bytes:
    return key_hash(record.key_text.encode())


def _digest(text: str) -> bytes:
    return sha256(text.encode()).digest()[: packed.DIGEST]


def _followed(source_id: int, moves: Iterable[Move]) -> Iterator[Iterator[RowDigest]]:
    """What becomes of the baselines of rows, in parts that are small enough to be held. Each is to be used up first."""
    per_model: dict[str, list[bytearray]] = {}
    for number, (label, *move) in enumerate(moves, start=1):
        if label not in per_model:
            per_model[label] = [bytearray() for _ in range(packed.BUCKETS)]
        per_model[label][move[0][0]] += _MOVE.pack(*move)
        if number % AT_ONCE == 0:
            yield _looked_up(source_id, per_model)
            per_model.clear()
    yield _looked_up(source_id, per_model)


def _looked_up(source_id: int, per_model: Mapping[str, list[bytearray]]) -> Iterator[RowDigest]:
    for label, buckets in per_model.items():
        blocks = lock_newest(source_id, label)
        shape = schemas()[label].shape()
        touched: dict[int, bytearray] = {}
        for index, moves in enumerate(buckets):
            if moves and blocks:
                touched.setdefault(max(block_of(blocks, index), 0), bytearray()).extend(moves)
        for batch in batches(touched, BLOCKS_AT_ONCE):
            stored = entries_of([blocks[at].pk for at in batch])
            for at in batch:
                known = packed.unpack(stored[blocks[at].pk])
                for old, before, new, after in _MOVE.iter_unpack(touched[at]):
                    if old not in known:
                        continue
                    yield label, old, None
                    if blocks[at].shape == shape:
                        # A row that had moved away from what was agreed on stays away from it.
                        yield label, new, after if known[old] == before else known[old]
