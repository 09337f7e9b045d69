"""Comparing two listings: which keys are only there, only here, or differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from .errors import DuplicateKey
from .listing import BUCKETS, Entries, Listing


class Agreed(Protocol):
    """What both sides last agreed on: digests by key hash, a bucket at a time, in ascending order."""

    def bucket(self, label: str, index: int) -> Mapping[bytes, bytes]:
        """What is known of the keys whose hash starts with this byte."""
        ...

    def agree(self, label: str, index: int, entries: Mapping[bytes, bytes]) -> None:
        """What is known of the same keys from now on."""
        ...


class TwinsFound(DuplicateKey):
    """Two rows of one side have one key. `side` is 0 for here and 1 for there; the places are those of its listing."""

    def __init__(self, side: int, label: str, places: tuple[int, int]) -> None:
        super().__init__(f"Two rows of {label} have the same natural key.")
        self.side, self.label, self.places = side, label, places


@dataclass(frozen=True, slots=True)
class Difference:
    """A key whose digests differ; digest and place are None on a side that has no row. `base` is what was agreed."""

    key: bytes
    here: bytes | None
    here_place: int | None
    there: bytes | None
    there_place: int | None
    base: bytes | None


def compare(
    here: Listing,
    there: Listing,
    label: str,
    agreed: Agreed,
    keep: Callable[[Mapping[bytes, bytes]], None] | None = None,
) -> Iterator[list[Difference]]:
    """The differences of one model, a bucket at a time; tells `agreed` what both sides agree on now.

    What was agreed on of a key that neither side has any more is forgotten. With `keep` it stays agreed on, and is told
    to that, by key hash: where keys of others may be in the model's own, the row may be at the source under a new key.

    Raises `TwinsFound` if a key occurs twice on either side.
    """
    for index in range(BUCKETS):
        (ours, our_twins), (theirs, their_twins) = here.bucket(label, index), there.bucket(label, index)
        for side, twins in enumerate((our_twins, their_twins)):
            if twins:
                raise TwinsFound(side, label, twins[0])
        base = agreed.bucket(label, index)
        equal = ours.keys() & theirs.keys()
        known = {entry[:8]: entry[8:] for entry in equal}
        found: list[Difference] = []
        if len(equal) != len(ours) or len(equal) != len(theirs):
            found = list(_differences(ours, theirs, equal, base))
            known |= {difference.key: difference.base for difference in found if difference.base is not None}
        if keep is not None:
            gone = _gone(ours, theirs, base)
            keep(gone)
            known |= gone
        agreed.agree(label, index, known)
        if found:
            yield found


def _gone(ours: Entries, theirs: Entries, base: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    present = {entry[:8] for entries in (ours, theirs) for entry in entries}
    return {key: digest for key, digest in base.items() if key not in present}


def _differences(
    ours: Entries, theirs: Entries, equal: set[bytes], base: Mapping[bytes, bytes]
) -> Iterator[Difference]:
    only_ours = {entry[:8]: entry for entry in ours.keys() - equal}
    for entry in theirs.keys() - equal:
        key = entry[:8]
        other = only_ours.pop(key, None)
        here = None if other is None else other[8:]
        place = None if other is None else ours[other]
        yield Difference(key, here, place, entry[8:], theirs[entry], base.get(key))
    for key, entry in only_ours.items():
        yield Difference(key, entry[8:], ours[entry], None, None, base.get(key))
