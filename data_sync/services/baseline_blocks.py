"""Baselines as they are stored: blocks of packed entries (`core.packed`), each with a range of key hashes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from django.db import connection

from data_sync.core import packed
from data_sync.models import Baseline
from data_sync.orm.batches import batches

BLOCKS_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A stored block without its entries."""

    pk: int
    first: int
    shape: str


def stored_blocks(source_id: int, labels: Collection[str]) -> Iterator[tuple[str, Block]]:
    rows = Baseline.objects.filter(source=source_id, model__in=labels).order_by("model", "first")
    for label, pk, first, shape in rows.values_list("model", "pk", "first", "shape"):
        yield label, Block(pk=pk, first=first, shape=shape)


def lock(source_id: int, label: str) -> list[Block]:
    """The blocks of a model as they are now, kept from others until the transaction ends."""
    rows = Baseline.objects.select_for_update().filter(source=source_id, model=label).order_by("first")
    return [Block(pk=pk, first=first, shape=shape) for pk, first, shape in rows.values_list("pk", "first", "shape")]


def lock_newest(source_id: int, label: str) -> list[Block]:
    """The same. Who has waited for that lock sees what the other wrote instead of the blocks it had waited for."""
    lock(source_id, label)
    return lock(source_id, label)


def lock_all(source_id: int, labels: Iterable[str]) -> None:
    """Locks the blocks of all of these models that have any, in this order."""
    known = set(Baseline.objects.filter(source=source_id).values_list("model", flat=True).distinct())
    for label in labels:
        if label in known:
            lock(source_id, label)


def block_of(blocks: list[Block], index: int) -> int:
    """The place of the block that a bucket lies in; -1 if there is none."""
    return bisect_right(blocks, index, key=lambda block: block.first) - 1


def entries_of(pks: list[int]) -> dict[int, bytes]:
    """The stored bytes of blocks, by primary key; none of those that are not whole entries."""
    found = Baseline.objects.filter(pk__in=pks).values_list("pk", "entries")
    return {pk: bytes(data) if len(data) % packed.SIZE == 0 else b"" for pk, data in found}


def delete(pks: list[int]) -> None:
    Baseline.objects.filter(pk__in=pks).delete()


def create(rows: Iterable[Baseline]) -> None:
    """Blocks are never updated but made anew, under a new primary key: so whoever has read one sees it is another.

    Another who creates the first blocks of a model at the same moment is overwritten, or overwrites these.
    """
    target = ["source", "model", "first"] if connection.features.supports_update_conflicts_with_target else None
    for batch in batches(rows, BLOCKS_AT_ONCE):
        Baseline.objects.bulk_create(
            batch, update_conflicts=True, unique_fields=target, update_fields=["shape", "entries"]
        )
