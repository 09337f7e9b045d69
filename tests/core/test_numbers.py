"""Sets of numbers, a bit each, and claims on values."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path

from data_sync.core.claims import Claims
from data_sync.core.numbers import Numbers


def test_they_behave_as_a_set() -> None:
    chance = random.Random(7)
    numbers, expected = Numbers([3]), {3}
    for _ in range(5000):
        number = chance.randrange(1, 3000)
        if chance.random() < 0.6:
            numbers.add(number)
            expected.add(number)
        else:
            numbers.discard(number)
            expected.discard(number)
    assert list(numbers) == sorted(expected)
    assert len(numbers) == len(expected)
    assert all((number in numbers) == (number in expected) for number in range(4000))


def test_claims_are_found_by_value_whoever_made_them(tmp_path: Path) -> None:
    with closing(Claims(str(tmp_path))) as claims:
        claims.add((f"value {number % 700}", f"name {number}") for number in range(1400))
        found = sorted(claims.of(["value 5", "value 699", "nobody's"]))
    assert found == [
        ("value 5", "name 5"),
        ("value 5", "name 705"),
        ("value 699", "name 1399"),
        ("value 699", "name 699"),
    ]
