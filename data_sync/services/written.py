"""What is remembered of rows that were written: a few bytes each."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

from data_sync.core.numbers import Numbers

_MOST = 0xFFFF


class Written:
    """By number of change: the primary key of a created row, and the names of the fields in which a row differed."""

    def __init__(self) -> None:
        self._keys = array("q")
        self._keyed = Numbers()
        self._other_keys: dict[int, Any] = {}
        self._places = array("H")
        self._names: list[tuple[str, ...]] = [()]
        self._known: dict[tuple[str, ...], int] = {(): 0}

    def note_key(self, number: int, pk: Any) -> None:
        self._keyed.add(number)
        if type(pk) is not int or not -(1 << 63) <= pk < 1 << 63:
            self._other_keys[number] = pk
            return
        _lengthen(self._keys, number)
        self._keys[number] = pk

    def has_key(self, number: int) -> bool:
        return number in self._keyed

    def key(self, number: int) -> Any:
        return self._other_keys[number] if number in self._other_keys else self._keys[number]

    def note_names(self, number: int, names: Sequence[str]) -> None:
        """Rows differ in few combinations of fields; beyond 65,535 of those they count as unknown."""
        place = self._known.setdefault(tuple(names), len(self._names))
        if place == len(self._names):
            self._names.append(tuple(names))
        _lengthen(self._places, number)
        self._places[number] = place if place <= _MOST else 0

    def names(self, number: int) -> Sequence[str]:
        return self._names[self._places[number]] if number < len(self._places) else ()


def _lengthen(numbers: array[int], number: int) -> None:
    if number >= len(numbers):
        numbers.extend([0] * (number + 1 - len(numbers)))
