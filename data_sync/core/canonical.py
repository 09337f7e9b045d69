"""Canonical JSON: one text per value, the same on every machine, and a strict reader.

Object members are sorted by code point, there is no white space, text stands as it is (only
control characters, quote and backslash are escaped) and numbers are as Python's `repr` has them,
after `normalise`. The reader refuses what RFC 8259 leaves open (sections 4, 6 and 8): duplicate
members, NaN and Infinity, numbers beyond a double, lone surrogates, NUL.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import cache
from itertools import accumulate, repeat
from typing import Any

from .errors import MalformedStream

MAX_DEPTH = 200
MAX_DIGITS = 1000
MAX_VALUES = 500_000
"""Of a text from outside. Read, a value may take fifty times the room that it has in the text."""


def _make_dumps() -> Callable[[Any], str]:
    encoder = json.JSONEncoder(
        ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False, check_circular=False
    )
    try:
        # What `encode` makes anew at each call, which takes a third of its time.
        encode = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
            None, encoder.default, json.encoder.encode_basestring, None, ":", ",", True, False, False
        )
        is_alike = "".join(encode({"b": [1, "\n"], "a": 0.5}, 0)) == '{"a":0.5,"b":[1,"\\n"]}'
    except (AttributeError, TypeError):
        is_alike = False
    return (lambda value: "".join(encode(value, 0))) if is_alike else encoder.encode


_dumps = _make_dumps()
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_SURROGATE = re.compile("[\ud800-\udfff]")
_DIGITS_ONLY = bytes(byte if byte in b"0123456789" else 32 for byte in range(256))
_STEPS = bytes(1 if byte in b"[{" else 255 for byte in range(256))


def dumps(value: Any) -> str:
    """The canonical text of a JSON-plain value. Raises `ValueError` for NaN and Infinity."""
    return _dumps(value)


quote: Callable[[str], str] = json.encoder.encode_basestring
"""`dumps` for texts alone, in a fifth of the time. Raises `TypeError` for anything else."""


def array(texts: Iterable[str]) -> str:
    """The canonical text of a list, from those of its items."""
    return f"[{','.join(texts)}]"


def digest(text: str) -> str:
    """`sha256:<64 hex digits>` of a canonical text."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def contains_nul(text: str) -> bool:
    """Whether a canonical text holds U+0000, which PostgreSQL cannot store."""
    return "\\u0000" in text and _NUL.search(text) is not None


def normalise(value: Any) -> Any:
    """The value with its floats in the one form that every database gives back.

    PostgreSQL's `jsonb` stores numbers as decimals without exponent: -0.0 comes back as 0.0, and
    1e+16, whose `repr` has an exponent and no fraction, comes back as an integer.
    """
    match value:
        case float():
            return _normal_float(value)
        case list():
            return [normalise(item) for item in value]
        case dict():
            return {name: normalise(item) for name, item in value.items()}
        case _:
            return value


def _normal_float(value: float) -> float | int:
    return value + 0.0 if abs(value) < 1e16 else int(Decimal(repr(value)))


def loads(text: str) -> Any:
    """Reads one JSON text strictly; raises `MalformedStream` with the reason."""
    return _read(text, _float)


def check_values(text: str, most: int = MAX_VALUES) -> None:
    """Raises `MalformedStream` for a text from outside that holds too many values to be read, without reading it."""
    if len(text) <= most:
        return
    signs = text.count(",") + text.count("[") + text.count("{")
    if signs > most and len(_outside_strings(text, b",[{")) > most:
        raise MalformedStream(f"it holds more than {most} values")


def loads_canonical(text: str) -> Any:
    """Reads a text that has to be canonical, in half the time of `loads`. Raises `MalformedStream` for any other.

    What the decoder as it comes lets pass (members that occur twice, NaN, half surrogate pairs) is not written again as
    it was.
    """
    _check_depth(text)
    try:
        value, end = raw_decode(text, 0)
        is_canonical = end == len(text) and _dumps(value) == text
    except RecursionError:
        raise MalformedStream("it is nested too deeply") from None
    except (ValueError, StopIteration) as error:
        raise MalformedStream(f"it is no JSON: {error}") from None
    if not is_canonical:
        raise MalformedStream("it is not written as canonical JSON is")
    return value


def loads_bounded(text: str) -> Any:
    """`loads` for a text from outside."""
    check_values(text)
    return loads(text)


def loads_normalised(text: str) -> Any:
    """`normalise(loads(text))` in one pass."""
    return _read(text, _read_normal_float)


def recode(text: str) -> str:
    """`dumps(loads_normalised(text))`, in a third of the time for most texts; "" for any that is not seen to be strict.

    Reads with the decoder as it comes, then looks for what that lets pass.
    """
    if _may_be_deep(text) or "\\u0000" in text or "\\u0022" in text:
        return ""
    try:
        value, end = raw_decode(text, 0)
        again = _dumps(value)
        if not again.isascii():
            again.encode()  # Raises for half a surrogate pair.
    except (ValueError, RecursionError, StopIteration):
        return ""
    # A member that occurred twice took its name's quotes along: every other quote is still there, as none was \u0022.
    # Of floats, "e+" and "-0.0" are not normal; and a long text may hold a number that is too long.
    is_strict = (
        end == len(text)
        and again.count('"') == text.count('"')
        and "e+" not in again
        and "-0.0" not in again
        and (
            len(text) <= MAX_DIGITS
            or max(map(len, text.encode().translate(_DIGITS_ONLY).split()), default=0) <= MAX_DIGITS
        )
    )
    return again if is_strict else ""


def recode_all(texts: Sequence[str]) -> list[str] | None:
    """`recode` of many texts at once, in two thirds of the time; None if one of them is not seen to be strict."""
    longest = max(map(len, texts), default=0)
    if longest > MAX_DIGITS or (longest > 2 * MAX_DEPTH and any(map(_may_be_deep, texts))):
        return None
    again: list[str] = []
    ends: list[int] = []
    together = "\n".join(texts)
    if "\\u0000" in together or "\\u0022" in together:
        return None
    try:
        # One value at a time: thousands of them alive would keep the garbage collector busy.
        for value, end in map(_scan, texts, repeat(0)):
            again.append(_dumps(value))
            ends.append(end)
        together_again = "\n".join(again)
        if not together_again.isascii():
            together_again.encode()
    except (ValueError, RecursionError):
        return None
    # As in `recode`. No text has more quotes than before, so that none has fewer if all have as many. Where the scanner
    # stops for want of a value, there are fewer ends than texts.
    is_strict = (
        ends == list(map(len, texts))
        and together_again.count('"') == together.count('"')
        and "e+" not in together_again
        and "-0.0" not in together_again
    )
    return again if is_strict else None


def _may_be_deep(text: str) -> bool:
    return text.count("[") + text.count("{") > MAX_DEPTH


def _read(text: str, parse_float: Callable[[str], float | int]) -> Any:
    _check_depth(text)
    if not text.isascii() and _SURROGATE.search(text):
        raise MalformedStream("a text holds half a surrogate pair")
    if contains_nul(text):
        raise MalformedStream("a text holds U+0000, which PostgreSQL cannot store")
    # Only a text longer than the longest integer can hold a longer one; the check takes a call for each.
    parse_int = _integer if len(text) > MAX_DIGITS else None
    try:
        value = _decoder(parse_float, parse_int).decode(text)
    except RecursionError:
        raise MalformedStream("it is nested too deeply") from None
    except ValueError as error:
        raise MalformedStream(str(error)) from None
    if ("\\ud" in text or "\\uD" in text) and _SURROGATE.search(dumps(value)):
        raise MalformedStream("a text holds half a surrogate pair")
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise MalformedStream(f"the member {twice!r} occurs twice")
    return members


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise MalformedStream(f"a number has more than {MAX_DIGITS} digits")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise MalformedStream(f"the number {digits[:40]} is beyond a double")
    return value


def _read_normal_float(digits: str) -> float | int:
    return _normal_float(_float(digits))


def _constant(name: str) -> Any:
    raise MalformedStream(f"{name} is not JSON")


@cache
def _decoder(parse_float: Callable[[str], float | int], parse_int: Callable[[str], int] | None) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=_members, parse_int=parse_int, parse_float=parse_float, parse_constant=_constant
    )


_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
raw_decode: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().raw_decode
"""Decodes the value at an index and says where it ended; for finding one's place in a trusted shape."""


def _outside_strings(text: str, signs: bytes) -> bytes:
    """Those of the signs that stand outside of strings, in their order.

    In whole passes, each at the speed of C, because a source may send many millions of brackets. Escapes go first, then
    all but the signs and quotes; two quotes side by side change nothing of what is inside a string and what is not.
    Exact for JSON; of what is no JSON, the decoder says so.
    """
    quoted = text.encode(errors="replace").replace(b"\\\\", b"").replace(b'\\"', b"")
    quoted = quoted.translate(None, bytes(set(range(256)) - set(signs) - {34})).replace(b'""', b"")
    return b"".join(quoted.split(b'"')[::2])


def _check_depth(text: str) -> None:
    if not _may_be_deep(text):
        return
    brackets = _outside_strings(text, b"[]{}")
    if max(accumulate(memoryview(brackets.translate(_STEPS)).cast("b")), default=0) > MAX_DEPTH:
        raise MalformedStream(f"it is nested more than {MAX_DEPTH} deep")
