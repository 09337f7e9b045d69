"""Comparing two listings: which keys are only there, only here, or differ."""

from __future__ import annotations

from dataclasses import dataclass

from . import canonical
from .listing import Listing
from .records import Record
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
        for key_hash, entry in theirs.items():
            other = ours.pop(key_hash, None)
            if other is None:
                found.append(_difference(Operation.CREATE, there.record(entry.offset), None, entry.offset))
            elif other.digest != entry.digest:
                found.append(_difference(Operation.UPDATE, there.record(entry.offset), other.offset, entry.offset))
        for entry in ours.values():
            found.append(_difference(Operation.DELETE, here.record(entry.offset), entry.offset, None))
    found.sort(key=lambda difference: difference.key_text)
    return found


def _difference(operation: Operation, record: Record, here: int | None, there: int | None) -> Difference:
    return Difference(operation=operation, key_text=canonical.dumps(list(record.key)), here=here, there=there)
