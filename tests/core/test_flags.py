"""Flags by hash."""

from __future__ import annotations

import random

from data_sync.core.flags import Flags


def test_each_hash_has_its_own_flag_and_others_have_none() -> None:
    chance = random.Random(7)
    hashes = list({chance.randrange(1 << 63) << 1 for _ in range(3000)} | {0, (1 << 64) - 2})
    flags, expected = Flags(), {}
    for part in (hashes[:1000], hashes[1000:2000]):
        for number in part:
            expected[number] = chance.random() < 0.5
            flags.add(number.to_bytes(8, "big"), expected[number])
        assert all(flags.get(number.to_bytes(8, "big")) == expected.get(number) for number in hashes)


def test_a_hash_that_was_added_with_both_is_false() -> None:
    flags = Flags()
    for flag in (True, False, True):
        flags.add(b"12345678", flag)
    assert flags.get(b"12345678") is False
