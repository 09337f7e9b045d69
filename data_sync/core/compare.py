"""Comparing two listings: which keys are only there, only here, or differ."""

from __future__ import annotations

from dataclasses import dataclass

from .listing import Listing
from .states import Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A key whose records differ; an offset is None where that side has no row."""

    operation: Operation
    key_text: str
    here: int | None
    there: int | None


def compare(here: Listing, there: Listing, label: str) -> list[Difference]:
    """Every difference of one model, ordered by the canonical text of the key, in Python's order.

    Raises `DuplicateKey` if a key occurs twice on either side.
    """
    found: list[Difference] = []
    for index in here.buckets():
        ours, theirs = here.bucket(label, index), there.bucket(label, index)
        for key, (digest, offset) in theirs.items():
            other = ours.pop(key, None)
            if other is None:
                found.append(_difference(Operation.CREATE, there.key_text(offset), None, offset))
            elif other[0] != digest:
                found.append(_difference(Operation.UPDATE, there.key_text(offset), other[1], offset))
        for _, offset in ours.values():
            found.append(_difference(Operation.DELETE, here.key_text(offset), offset, None))
    found.sort(key=lambda difference: difference.key_text)
    return found


def _difference(operation: Operation, key_text: str, here: int | None, there: int | None) -> Difference:
    return Difference(operation=operation, key_text=key_text, here=here, there=there)
