"""Two listings are compared key by key, and what differs is known by id, key and number."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_sync.core import listing as listings
from data_sync.core.compare import Difference, TwinsFound, compare
from data_sync.core.listing import BUCKETS, Listing, key_hash

MODEL = "app.copy"


class Agreed:
    """What was agreed, and what is agreed on now."""

    def __init__(self, known: Mapping[bytes, bytes] = {}) -> None:
        self.known = dict(known)
        self.now: dict[bytes, bytes] = {}

    def bucket(self, label: str, index: int) -> Mapping[bytes, bytes]:
        return {key: digest for key, digest in self.known.items() if key[0] == index}

    def agree(self, label: str, index: int, entries: Mapping[bytes, bytes]) -> None:
        self.now |= entries


def digest(value: object) -> bytes:
    return hashlib.sha256(repr(value).encode()).digest()[:16]


def made(rows: Iterable[tuple[str, object]], labels: tuple[str, ...] = (MODEL,)) -> Listing:
    """A listing of keys with values; a row's place is its number."""
    listing = Listing(io.BytesIO(), labels)
    listing.add(MODEL, ((key_hash(key.encode()), digest(value), place) for place, (key, value) in enumerate(rows)))
    return listing


def compared(here: Listing, there: Listing, agreed: Agreed | None = None) -> list[Difference]:
    return [one for found in compare(here, there, MODEL, agreed or Agreed()) for one in found]


sides = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 2), max_size=8)


@given(sides, sides, sides)
def test_exactly_what_differs_is_found_with_both_places_and_what_was_agreed(
    here: dict[str, int], there: dict[str, int], before: dict[str, int]
) -> None:
    agreed = Agreed({key_hash(key.encode()): digest(value) for key, value in before.items()})
    names = {key_hash(key.encode()): key for key in "abcdefgh"}
    ours, theirs = list(here), list(there)
    found = {
        names[one.key]: (
            None if one.here_place is None else (ours[one.here_place], one.here),
            None if one.there_place is None else (theirs[one.there_place], one.there),
            one.base,
        )
        for one in compared(made(here.items()), made(there.items()), agreed)
    }
    assert found == {
        key: (
            (key, digest(here[key])) if key in here else None,
            (key, digest(there[key])) if key in there else None,
            digest(before[key]) if key in before else None,
        )
        for key in here.keys() | there.keys()
        if here.get(key) != there.get(key)
    }


@given(sides, sides, sides)
def test_what_is_agreed_on_is_what_is_equal_and_what_was_agreed_of_the_rest(
    here: dict[str, int], there: dict[str, int], before: dict[str, int]
) -> None:
    agreed = Agreed({key_hash(key.encode()): digest(value) for key, value in before.items()})
    compared(made(here.items()), made(there.items()), agreed)
    expected = {key: value for key, value in here.items() if there.get(key) == value}
    expected |= {
        key: before[key] for key in here.keys() | there.keys() if here.get(key) != there.get(key) and key in before
    }
    assert agreed.now == {key_hash(key.encode()): digest(value) for key, value in expected.items()}


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("again", ["same", "other"])
def test_a_key_twice_is_refused_with_side_and_places(side: int, again: str) -> None:
    both = [made([]), made([])]
    both[side] = made([("a", 1), ("b", "same"), ("b", again)])
    with pytest.raises(TwinsFound) as caught:
        compared(*both)
    assert (caught.value.side, caught.value.places) == (side, (1, 2))


def test_rows_that_were_written_out_are_found_like_those_that_wait() -> None:
    rows = [(f"key {number}", number) for number in range(5000)]
    with mock.patch.object(listings, "BUFFERED", 1000):
        spilled = Listing(io.BytesIO(), [MODEL])
        for start in range(0, len(rows), 100):
            spilled.add(
                MODEL,
                [
                    (key_hash(key.encode()), digest(value), start + place)
                    for place, (key, value) in enumerate(rows[start : start + 100])
                ],
            )
    assert compared(spilled, made(rows)) == []
    places = [place for index in range(BUCKETS) for place in spilled.bucket(MODEL, index)[0].values()]
    assert sorted(places) == list(range(5000))
    assert spilled.counts == {MODEL: 5000}


def test_handles_that_are_texts_have_places_too() -> None:
    listing = Listing(io.BytesIO(), [MODEL])
    places = {text: listing.place_of(text) for text in ("", "é", "x" * 1000)}
    with mock.patch.object(listings, "BUFFERED", 0):
        listing.add(MODEL, [(key_hash(b"k"), digest(1), places["é"])])
    assert {text: listing.handle_at(place) for text, place in places.items()} == {text: text for text in places}
    assert listing.place_of(-5) == -5
