"""What the check constraints of a table have to say about values that a column is given for a while."""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import chain, count, islice, product
from typing import Any

from django.db import models
from django.db.models import Q

from .conditions import UNKNOWN, forbids, names_in
from .tables import table
from .values import Field, integers

SEEDS = 10
CLOSE = 2_000
"""So many values are tried beside each of the first seeds."""

_ALPHABETS = (string.digits, string.ascii_uppercase, string.ascii_lowercase)
_LOOKUPS = ("", "exact", "gt", "gte", "lt", "lte")


def checks_on(field: Field) -> list[Q]:
    """The conditions of the check constraints that ask of a field."""
    constraints = [one for one in field.model._meta.constraints if isinstance(one, models.CheckConstraint)]
    conditions = [one.condition for one in constraints if isinstance(one.condition, Q)]
    return [condition for condition in conditions if field.name in names_in(condition)]


def allowed(field: Field, values: Iterable[Any]) -> Iterator[Any]:
    """Those of some values that no check is known to refuse, whatever the row has in its other columns."""
    checks = checks_on(field)

    def is_refused(value: Any) -> bool:
        return any(forbids(check, lambda name: value if name == field.name else UNKNOWN) for check in checks)

    return (value for value in values if not is_refused(value))


def likely_values(field: Field, using: str) -> Iterator[Any]:
    """Values that checks are likely to allow: choices, those that checks name, and what is close to them or is there.

    Some come more than once.
    """
    rows = table(field.model, using).exclude(**{f"{field.attname}__isnull": True}).order_by(field.attname)
    stored = rows.values_list(field.attname, flat=True)[:SEEDS]
    named = [value for check in checks_on(field) for value in _named(check, field.name) if value is not None]
    close = (islice(_close_to(field, seed), CLOSE) for seed in (*named[:SEEDS], *stored))
    choices = (value for value, _ in field.flatchoices if value is not None)
    for value in chain(choices, named, chain.from_iterable(close)):
        if _fits(field, value, using):
            yield value


def _named(check: Q, name: str) -> Iterator[Any]:
    """The values that a condition compares a field with."""
    for child in check.children:
        if isinstance(child, Q):
            yield from _named(child, name)
        elif isinstance(child, tuple):
            field, _, lookup = child[0].partition("__")
            wanted = child[1] if lookup in ("in", "range") else [child[1]] if lookup in _LOOKUPS else ()
            if field == name and isinstance(wanted, list | tuple | set | frozenset):
                yield from (one for one in wanted if not hasattr(one, "resolve_expression"))


def _close_to(field: Field, seed: Any) -> Iterator[Any]:
    match seed:
        case bool():
            return
        case str():
            yield from _of_the_same_form(seed)
        case int() | float() | Decimal() | date() | timedelta():
            step = _step(field, seed)
            with suppress(OverflowError):  # There is no date after the last.
                for number in count(1):
                    yield seed + number * step
                    yield seed - number * step


def _step(field: Field, seed: Any) -> Any:
    match seed:
        case Decimal():
            return Decimal(1).scaleb(-getattr(field, "decimal_places", 0))
        case float():
            return 0.001
        case datetime():
            return timedelta(minutes=1)
        case date():
            return timedelta(days=1)
        case timedelta():
            return timedelta(microseconds=1)
        case _:
            return 1


def _of_the_same_form(text: str) -> Iterator[str]:
    """Texts with digits, capitals and small letters where this one has them; what comes last varies first."""
    alphabets = []
    for character in text:
        alphabet = next((letters for letters in _ALPHABETS if character in letters), character)
        place = alphabet.index(character)
        alphabets.append(alphabet[place:] + alphabet[:place])
    return map("".join, product(*alphabets))


def _fits(field: Field, value: Any, using: str) -> bool:
    """Whether a column can hold a value of its type at all."""
    match field:
        case models.IntegerField() | models.AutoField():
            return value in integers(field, using)
        case models.DecimalField(max_digits=int(digits), decimal_places=int(places)):
            return abs(Decimal(value)) < Decimal(10) ** (digits - places)
        case models.CharField():
            return isinstance(value, str) and (field.max_length is None or len(value) <= field.max_length)
        case _:
            return True
