"""Strict equality of JSON-plain values: 1, 1.0 and true differ, at any depth."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from . import canonical


def same(one: Any, other: Any) -> bool:
    """Whether two JSON-plain values have the same canonical JSON."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict | list | float):
        # As a rule both were read from canonical texts: what looks alike is, and is seen in a fraction of the time.
        return one is other or repr(one) == repr(other) or canonical.dumps(one) == canonical.dumps(other)
    return bool(one == other)


class StrictKeys:
    """Gives each JSON-plain value a key; two keys are equal exactly if the values' canonical JSON is.

    Python's `==` cannot serve: to it, `[1]`, `[1.0]` and `[True]` are one value. Asking again costs
    nothing, however large the value; nothing recurses, however deep it is. Containers are remembered
    by identity: they must live, unaltered, as long as the object does.
    """

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self._known: dict[int, int] = {}

    def of(self, value: Any) -> Hashable:
        """The value's key. Raises `TypeError` for what is not JSON-plain."""
        # The hash of an int can be chosen by whoever sends it, and many equal ones make a dict slow:
        # numbers are keyed by their text. A container's key is an int, a string is its own.
        match value:
            case None | str():
                return value
            case bool():
                return bool, value
            case int():
                return int, f"{value:x}"
            case float():
                return float, repr(value)
            case list() | dict():
                number = self._known.get(id(value))
                return self._number(value) if number is None else number
        raise TypeError(f"{type(value).__name__} is not a JSON-plain type")

    def _number(self, root: Any) -> int:
        numbers, known, of = self._numbers, self._known, self.of
        unfinished = [root]
        while unfinished:
            value = unfinished[-1]
            parts = value.values() if isinstance(value, dict) else value
            inner = [part for part in parts if isinstance(part, list | dict) and id(part) not in known]
            if inner:
                unfinished += inner
                continue
            key: Hashable
            if isinstance(value, dict):
                key = frozenset([(name, of(part)) for name, part in value.items()])
            else:
                key = tuple([of(part) for part in value])
            known[id(value)] = numbers.setdefault(key, len(numbers))
            unfinished.pop()
        return known[id(root)]
