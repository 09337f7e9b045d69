"""Cutting what is iterated over into lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

BATCH = 400
Member = TypeVar("Member")


def batches(members: Iterable[Member], size: int = BATCH) -> Iterator[list[Member]]:
    """Lists of at most `size` members (`itertools.batched` is 3.12's)."""
    iterator = iter(members)
    while batch := list(islice(iterator, size)):
        yield batch
