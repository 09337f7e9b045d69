"""Baselines: each row's digest when this environment and a source last agreed on it.

They agree on a row that a complete pull finds equal on both sides, and on one that an apply has written.
Packed into blocks (`core.packed`), so that a pull that finds nothing new reads a few rows and writes none.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import IO

from data_sync import conf
from data_sync.core import packed
from data_sync.models import Baseline, Changeset, DataSource
from data_sync.orm.batches import batches

from .baseline_blocks import (
    BLOCKS_AT_ONCE,
    Block,
    block_of,
    create,
    delete,
    entries_of,
    lock,
    lock_newest,
    stored_blocks,
)

AT_ONCE = 400_000
"""So many applied rows are held before they are stored: 24 bytes each."""
_GONE = bytes(packed.DIGEST)
"""Stands for "deleted" among what an apply has written: no digest is all zeros."""

RowDigest = tuple[str, bytes, bytes | None]
"""A row by model label and key hash, with the first 16 bytes of its digest; None: no row has the key now."""


@dataclass(slots=True, kw_only=True)
class _Model:
    """What is known of one model during a pull: its stored blocks, and per bucket where the new bytes lie."""

    blocks: list[Block] = field(default_factory=list)
    at: int = -1
    entries: bytes = b""
    old_bytes: bytes = b""
    old: Mapping[bytes, bytes] = field(default_factory=dict)
    places: list[tuple[int, int]] = field(default_factory=list)
    changed: set[int] = field(default_factory=set)


class Baselines:
    """The baselines of one source, read and renewed by a pull; `shapes` has each compared model's.

    For each model, each bucket (0 to 255, ascending) is asked for once and then, if at all, agreed on once. At
    most one block of one model is in memory; what is agreed on waits in a temporary file for `store`. Entries of
    another shape count as unknown, and are replaced. Without a source nothing is known, and nothing is stored; nor of
    models without a shape: those that have fields left out keep what was agreed on of the whole.
    """

    def __init__(self, source: DataSource | None, shapes: Mapping[str, str]) -> None:
        self._source = source
        self._shapes = dict(shapes)
        self._models = {label: _Model() for label in shapes}
        self._spool: IO[bytes] | None = None
        if source is not None:
            for label, block in stored_blocks(source.pk, shapes):
                self._models[label].blocks.append(block)

    def has(self, label: str) -> bool:
        """Whether anything is stored of a model. If not, it need not be told that there is nothing to agree on."""
        return label in self._models and bool(self._models[label].blocks)

    def knows(self, label: str) -> bool:
        """Whether anything was agreed on of a model in the shape that it has now."""
        return self.has(label) and self._is_known(label, self._models[label])

    def bucket(self, label: str, index: int) -> Mapping[bytes, bytes]:
        """What was agreed on, by key hash, for the keys whose hash begins with the byte `index`. Not to be altered."""
        model = self._models.get(label)
        if model is None:
            return {}
        at = block_of(model.blocks, index)
        if at != model.at:
            model.at, model.entries = at, self._read(label, model.blocks[at])
        model.old_bytes = packed.bucket_of(model.entries, index)
        model.old = packed.unpack(model.old_bytes)
        return model.old

    def agree(self, label: str, index: int, entries: Mapping[bytes, bytes]) -> None:
        """Takes in the whole new content of the bucket that `bucket` has just given."""
        model = self._models.get(label)
        if model is None or self._source is None:
            return
        content = model.old_bytes
        if entries != model.old:
            content = packed.pack(entries)
            assert content[:1] in (b"", bytes([index])) and content[-packed.SIZE :][:1] == content[:1]
            model.changed.add(index)
        assert index == len(model.places), "buckets are agreed on in order"
        spool = self._open()
        model.places.append((spool.tell(), len(content)))
        spool.write(content)
        if index == packed.BUCKETS - 1:
            model.entries = model.old_bytes = b""

    def store(self) -> None:
        """Writes what has changed, of the models that were agreed on to the end, in the caller's transaction.

        To be called last in it: an apply locks its changeset before it locks these rows, and so must a pull.
        A model whose blocks another has altered since they were read keeps them as they are.
        """
        for label, model in self._models.items():
            if len(model.places) == packed.BUCKETS and (model.changed or not self._is_known(label, model)):
                self._store(label, model)
        if self._spool is not None:
            self._spool.close()

    def _is_known(self, label: str, model: _Model) -> bool:
        return all(block.shape == self._shapes[label] for block in model.blocks)

    def _store(self, label: str, model: _Model) -> None:
        assert self._source is not None
        rows = sum(length for _, length in model.places) // packed.SIZE
        present = [block.first for block in model.blocks]
        firsts = packed.first_buckets(rows, present)
        ranges = list(pairwise([*firsts, packed.BUCKETS]))
        if firsts == present and self._is_known(label, model):
            ranges = [(first, end) for first, end in ranges if not model.changed.isdisjoint(range(first, end))]
        replaced = {first for first, _ in ranges} if firsts == present else set(present)
        if lock(self._source.pk, label) != model.blocks:
            return
        delete([block.pk for block in model.blocks if block.first in replaced])
        create(self._row(label, first, self._content(model, first, end)) for first, end in ranges)

    def _row(self, label: str, first: int, entries: bytes) -> Baseline:
        return Baseline(source=self._source, model=label, first=first, shape=self._shapes[label], entries=entries)

    def _content(self, model: _Model, first: int, end: int) -> bytes:
        """The new bytes of these buckets: of one model they lie in the file in order, but others' between them."""
        spool, pieces = self._open(), []
        for place, length in model.places[first:end]:
            spool.seek(place)
            pieces.append(spool.read(length))
        return b"".join(pieces)

    def _read(self, label: str, block: Block) -> bytes:
        return entries_of([block.pk]).get(block.pk, b"") if block.shape == self._shapes[label] else b""

    def _open(self) -> IO[bytes]:
        if self._spool is None:
            self._spool = tempfile.TemporaryFile(dir=conf.spool_dir())
            weakref.finalize(self, self._spool.close)  # A pull that fails just drops this.
        return self._spool


def record_applied(changeset: Changeset, entries: Iterable[RowDigest]) -> None:
    """Both sides agree on these rows of an applied changeset now; see `record`. Of models that it left fields of out,
    the rows' entries are removed."""
    if changeset.source_id is not None:
        shapes = {label: shape for label, shape in changeset.shapes.items() if label not in changeset.omitted}
        record(changeset.source_id, shapes, entries)


def record(source_id: int, shapes: Mapping[str, str], entries: Iterable[RowDigest]) -> None:
    """Stores what is agreed on, of records of these shapes. To be called in the apply's transaction.

    A key that one row gives up and another takes is agreed on, in whichever order they come, as long as both are
    among `AT_ONCE`. Where what is stored is of another shape, or the model has none, the rows' entries are removed:
    they are no longer true. Those of other rows stay.
    """
    per_model: dict[str, list[bytearray]] = {}
    for number, (label, key, digest) in enumerate(entries, start=1):
        if label not in per_model:
            per_model[label] = [bytearray() for _ in range(packed.BUCKETS)]
        per_model[label][key[0]] += key + (_GONE if digest is None else digest)
        if number % AT_ONCE == 0:
            _record(source_id, shapes, per_model)
            per_model.clear()
    _record(source_id, shapes, per_model)


def forget(source: DataSource, labels: Collection[str] | None = None) -> None:
    """Makes the base of every row of these models unknown; of all models, where the source is another now."""
    blocks = Baseline.objects.filter(source=source)
    (blocks if labels is None else blocks.filter(model__in=labels)).delete()


def _record(source_id: int, shapes: Mapping[str, str], per_model: Mapping[str, list[bytearray]]) -> None:
    for label, buckets in per_model.items():
        shape = shapes.get(label, "")
        blocks = lock_newest(source_id, label)
        if not blocks and shape:
            firsts = packed.first_buckets(sum(map(len, buckets)) // packed.SIZE)
            create(
                Baseline(source_id=source_id, model=label, first=first, shape=shape, entries=b"") for first in firsts
            )
            blocks = lock_newest(source_id, label)
        touched: dict[int, list[bytearray]] = {}
        for index, entries in enumerate(buckets):
            if entries and blocks:
                touched.setdefault(max(block_of(blocks, index), 0), []).append(entries)
        for batch in batches(touched, BLOCKS_AT_ONCE):
            _merge(source_id, label, shape, {blocks[at]: touched[at] for at in batch})


def _merge(source_id: int, label: str, shape: str, touched: Mapping[Block, list[bytearray]]) -> None:
    """Puts applied rows into their blocks."""
    stored = entries_of([block.pk for block in touched])
    renewed = []
    for block, applied in touched.items():
        entries = packed.unpack(stored[block.pk])
        written = dict(pair for pair in chain.from_iterable(map(packed.pairs, applied)) if pair[1] != _GONE)
        for key, _ in chain.from_iterable(map(packed.pairs, applied)):
            entries.pop(key, None)
        if block.shape == shape:
            entries |= written
        content = packed.pack(entries)
        if content != stored[block.pk]:
            row = Baseline(source_id=source_id, model=label, first=block.first, shape=block.shape, entries=content)
            renewed.append((block.pk, row))
    delete([pk for pk, _ in renewed])
    create(row for _, row in renewed)
