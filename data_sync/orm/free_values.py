"""Values of a column that nobody has: where rows wait while others take what they had."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain, count, islice
from typing import Any

from django.conf import settings
from django.db import models

from .batches import batches
from .checks import allowed, checks_on, likely_values
from .tables import table
from .values import Field, integers

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
LONG = 20
TRIES = 20_000
"""So many values are looked at before a column counts as full."""


def can_be_free(field: Field) -> bool:
    """Whether values can be made up for a column: of a built-in type, with more than a handful of values."""
    return _maker(field, "default") is not None


def free_values(field: Field, number: int, using: str) -> list[Any]:
    """As many values, each once, that no row has in the column now; fewer where it is full.

    Where check constraints ask of the column, none that they are known to refuse.
    """
    maker = _maker(field, using)
    if maker is None:
        return []
    found: dict[Any, Any] = {}
    looked_at = 0
    for batch in batches(_allowed(field, maker, using) if checks_on(field) else maker()):
        rows = table(field.model, using).filter(**{f"{field.attname}__in": batch})
        taken = {_comparable(value) for value in rows.values_list(field.attname, flat=True)}
        for value in batch:
            if _comparable(value) not in taken:
                found.setdefault(_comparable(value), value)
        looked_at += len(batch)
        if len(found) >= number or looked_at >= TRIES:
            break
    return list(found.values())[:number]


def _allowed(field: Field, maker: Callable[[], Iterator[Any]], using: str) -> Iterator[Any]:
    return allowed(field, chain(likely_values(field, using), islice(maker(), TRIES)))


def _comparable(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else bytes(value) if isinstance(value, memoryview) else value


def _maker(field: Field, using: str) -> Callable[[], Iterator[Any]] | None:
    """What makes values up, each once, without end or until there is none left."""
    if not type(field).__module__.startswith("django.db.models.") or getattr(field, "generated", False):
        return None
    match field:
        case models.ForeignKey() | models.BooleanField() | models.FileField() | models.FilePathField():
            return None
        case models.IntegerField() | models.AutoField():
            return lambda: _integers(field, using)
        case models.DecimalField(max_digits=int(digits), decimal_places=int(places)):
            return lambda: _decimals(digits, places)
        case models.FloatField():
            return lambda: (9e15 - number for number in count())
        case models.DateTimeField():
            return lambda: _moments()
        case models.DateField():
            return lambda: (date(9998, 12, 31) - timedelta(days=number) for number in range(3_000_000))
        case models.TimeField():
            return lambda: _times()
        case models.DurationField():
            return lambda: (timedelta(days=10_000) - timedelta(microseconds=number) for number in count())
        case models.UUIDField():
            return lambda: (uuid.uuid4() for _ in count())
        case models.GenericIPAddressField():
            return lambda: _addresses(field.protocol)
        case models.BinaryField():
            size = min(field.max_length or LONG, LONG)
            return lambda: (secrets.token_bytes(size) for _ in count())
        case models.CharField() | models.TextField():
            return lambda: _texts(min(field.max_length or LONG, LONG))
        case _:
            return None


def _integers(field: Field, using: str) -> Iterator[int]:
    """From just above what is there, which checks most likely allow, then from both ends of the column."""
    rows = table(field.model, using).aggregate(low=models.Min(field.attname), high=models.Max(field.attname))
    taken = integers(field, using)
    high, low = rows["high"] or 0, rows["low"] or 0
    yield from (number for number in range(high + 1, high + TRIES) if number in taken)
    yield from (number for number in range(low, high) if number in taken)
    yield from (number for number in range(low - 1, low - TRIES, -1) if number in taken)


def _decimals(digits: int, places: int) -> Iterator[Decimal]:
    unit = Decimal(1).scaleb(-places)
    for number in range(1, 10 ** min(digits, 9)):
        yield Decimal(10) ** (digits - places) - number * unit


def _moments() -> Iterator[datetime]:
    last = datetime(9998, 12, 31, tzinfo=UTC if settings.USE_TZ else None)
    return (last - timedelta(minutes=number) for number in count())


def _times() -> Iterator[time]:
    start = datetime(2000, 1, 1)
    for number in range(86_400):
        yield (start + timedelta(seconds=86_399 - number, microseconds=secrets.randbelow(1_000_000))).time()


def _addresses(protocol: str) -> Iterator[str]:
    while True:
        words = [secrets.randbelow(1 << 16) | 1 for _ in range(2)]
        four = f"240.{words[0] >> 8}.{words[0] & 255}.{words[1] & 255}"
        yield f"2001:db8::{words[0]:x}:{words[1]:x}" if protocol.lower() == "ipv6" else four


def _texts(size: int) -> Iterator[str]:
    """Random where there is room for it, so that none has a meaning; else every one of that length."""
    if size >= 8:
        while True:
            yield "".join(secrets.choice(_LETTERS) for _ in range(size))
    yield from chain.from_iterable(_every_text(length) for length in range(size, 0, -1))


def _every_text(length: int) -> Iterator[str]:
    places: Sequence[int] = range(len(_LETTERS) ** length)
    for place in places:
        letters = ""
        for _ in range(length):
            place, rest = divmod(place, len(_LETTERS))
            letters += _LETTERS[rest]
        yield letters
