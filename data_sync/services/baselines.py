"""Baselines: each row's digest when this environment and a source last agreed on it.

They agree on a row that a complete pull finds equal on both sides, and on one that an apply has written.
Packed into blocks (`core.packed`), so that a pull that finds nothing new reads a few rows and writes none.
"""

from __future__ import annotations

import tempfile
import weakref
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import IO

from django.db import connection

from data_sync import conf
from data_sync.core import packed
from data_sync.models import Baseline, Changeset, DataSource
from data_sync.orm.batches import batches

AT_ONCE = 400_000
"""So many applied rows are held before they are stored: 24 bytes each."""
BLOCKS_AT_ONCE = 8
_GONE = bytes(packed.DIGEST)
"""Stands for "deleted" among what an apply has written: no digest is all zeros."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """A stored block without its entries."""

    pk: int
    first: int
    shape: str


@dataclass(slots=True, kw_only=True)
class _Model:
    """What is known of one model during a pull: its stored blocks, and per bucket where the new bytes lie."""

    blocks: list[_Block] = field(default_factory=list)
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
            for label, block in _blocks(source.pk, shapes):
                self._models[label].blocks.append(block)

    def bucket(self, label: str, index: int) -> Mapping[bytes, bytes]:
        """What was agreed on, by key hash, for the keys whose hash begins with the byte `index`. Not to be altered."""
        model = self._models.get(label)
        if model is None:
            return {}
        at = _block_of(model.blocks, index)
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
        if _lock(self._source.pk, label) != model.blocks:
            return
        _delete([block.pk for block in model.blocks if block.first in replaced])
        _create(self._row(label, first, self._content(model, first, end)) for first, end in ranges)

    def _row(self, label: str, first: int, entries: bytes) -> Baseline:
        return Baseline(source=self._source, model=label, first=first, shape=self._shapes[label], entries=entries)

    def _content(self, model: _Model, first: int, end: int) -> bytes:
        """The new bytes of these buckets: of one model they lie in the file in order, but others' between them."""
        spool, pieces = self._open(), []
        for place, length in model.places[first:end]:
            spool.seek(place)
            pieces.append(spool.read(length))
        return b"".join(pieces)

    def _read(self, label: str, block: _Block) -> bytes:
        return _entries([block.pk]).get(block.pk, b"") if block.shape == self._shapes[label] else b""

    def _open(self) -> IO[bytes]:
        if self._spool is None:
            self._spool = tempfile.TemporaryFile(dir=conf.spool_dir())
            weakref.finalize(self, self._spool.close)  # A pull that fails just drops this.
        return self._spool


def record_applied(changeset: Changeset, entries: Iterable[tuple[str, bytes, bytes | None]]) -> None:
    """Both sides agree on these rows now: model label, key hash, and first 16 bytes of the digest, or None for a
    row that is deleted. To be called in the apply's transaction. A key that one row gives up and another takes is
    agreed on, in whichever order they come.

    Where what is stored is of another shape than the changeset, or the changeset left fields of the model out, the
    rows' entries are removed: they are no longer true. Those of other rows stay.
    """
    if changeset.source_id is None:
        return
    per_model: dict[str, list[bytearray]] = {}
    for number, (label, key, digest) in enumerate(entries, start=1):
        if label not in per_model:
            per_model[label] = [bytearray() for _ in range(packed.BUCKETS)]
        per_model[label][key[0]] += key + (_GONE if digest is None else digest)
        if number % AT_ONCE == 0:
            _record(changeset, per_model)
            per_model.clear()
    _record(changeset, per_model)


def forget(source: DataSource, labels: Collection[str] | None = None) -> None:
    """Makes the base of every row of these models unknown; of all models, where the source is another now."""
    blocks = Baseline.objects.filter(source=source)
    (blocks if labels is None else blocks.filter(model__in=labels)).delete()


def _record(changeset: Changeset, per_model: Mapping[str, list[bytearray]]) -> None:
    assert changeset.source_id is not None
    for label, buckets in per_model.items():
        shape = "" if label in changeset.omitted else changeset.shapes.get(label, "")
        _lock(changeset.source_id, label)
        # Who has waited for that lock sees what the other wrote instead of the blocks it had waited for.
        blocks = _lock(changeset.source_id, label)
        if not blocks and shape:
            firsts = packed.first_buckets(sum(map(len, buckets)) // packed.SIZE)
            _create(
                Baseline(source_id=changeset.source_id, model=label, first=first, shape=shape, entries=b"")
                for first in firsts
            )
            blocks = _lock(changeset.source_id, label)
        touched: dict[int, list[bytearray]] = {}
        for index, entries in enumerate(buckets):
            if entries and blocks:
                touched.setdefault(max(_block_of(blocks, index), 0), []).append(entries)
        for batch in batches(touched, BLOCKS_AT_ONCE):
            _merge(changeset.source_id, label, shape, {blocks[at]: touched[at] for at in batch})


def _merge(source_id: int, label: str, shape: str, touched: Mapping[_Block, list[bytearray]]) -> None:
    """Puts applied rows into their blocks."""
    stored = _entries([block.pk for block in touched])
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
    _delete([pk for pk, _ in renewed])
    _create(row for _, row in renewed)


def _blocks(source_id: int, labels: Collection[str]) -> Iterator[tuple[str, _Block]]:
    rows = Baseline.objects.filter(source=source_id, model__in=labels).order_by("model", "first")
    for label, pk, first, shape in rows.values_list("model", "pk", "first", "shape"):
        yield label, _Block(pk=pk, first=first, shape=shape)


def _lock(source_id: int, label: str) -> list[_Block]:
    """The blocks of a model as they are now, kept from others until the transaction ends."""
    rows = Baseline.objects.select_for_update().filter(source=source_id, model=label).order_by("first")
    return [_Block(pk=pk, first=first, shape=shape) for pk, first, shape in rows.values_list("pk", "first", "shape")]


def _block_of(blocks: list[_Block], index: int) -> int:
    """The place of the block that a bucket lies in; -1 if there is none."""
    return bisect_right(blocks, index, key=lambda block: block.first) - 1


def _entries(pks: list[int]) -> dict[int, bytes]:
    """The stored bytes of blocks, by primary key; none of those that are not whole entries."""
    found = Baseline.objects.filter(pk__in=pks).values_list("pk", "entries")
    return {pk: bytes(data) if len(data) % packed.SIZE == 0 else b"" for pk, data in found}


def _delete(pks: list[int]) -> None:
    Baseline.objects.filter(pk__in=pks).delete()


def _create(rows: Iterable[Baseline]) -> None:
    """Blocks are never updated but made anew, under a new primary key: so whoever has read one sees it is another.

    Another who creates the first blocks of a model at the same moment is overwritten, or overwrites these.
    """
    target = ["source", "model", "first"] if connection.features.supports_update_conflicts_with_target else None
    for batch in batches(rows, BLOCKS_AT_ONCE):
        Baseline.objects.bulk_create(
            batch, update_conflicts=True, unique_fields=target, update_fields=["shape", "entries"]
        )
