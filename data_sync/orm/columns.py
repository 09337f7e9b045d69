"""What to select for a column, and from what the driver gives, a column of a chunk at a time, to canonical JSON.

Every value could go Django's way: through the converters of its field and its codec's `to_text`. Where the same text
can be had at once from what the driver gives, it is; whatever is not plainly of the usual form goes Django's way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import NoneType
from typing import Any

from django.conf import settings
from django.db import connections, models
from django.db.models.expressions import ExpressionWrapper, F
from django.db.models.functions import Cast
from django.utils.dateparse import parse_datetime

from data_sync.core import canonical

from .values import Codec, Field

Quick = Callable[[Any], str]
"""Canonical JSON of a value of one type; "" for one that has to go Django's way."""


@dataclass(frozen=True, slots=True)
class Column:
    """`to_text` takes any value that was selected. `quick` takes those whose type is among `kinds`; `quick_all` all at
    once, if they are all of that type, and gives None for them to be taken one by one."""

    selected: Any
    to_text: Callable[[Any], str]
    quick: Quick | None = None
    kinds: frozenset[type] = frozenset()
    quick_all: Callable[[Sequence[Any]], list[str] | None] | None = None

    def to_texts(self, values: Sequence[Any]) -> list[str]:
        """The canonical JSON of each value, null for None. Raises what `to_text` raises."""
        quick, to_text = self.quick, self.to_text
        kinds = set(map(type, values))
        if self.quick_all is not None and kinds <= self.kinds and (texts := self.quick_all(values)) is not None:
            return texts
        if quick is not None and kinds <= self.kinds:
            return [quick(value) or to_text(value) for value in values]
        if quick is not None and kinds <= {*self.kinds, NoneType}:
            return ["null" if value is None else quick(value) or to_text(value) for value in values]
        return ["null" if value is None else to_text(value) for value in values]


def column_of(lookup: str, field: Field, codec: Codec, using: str) -> Column:
    """How the values of a field are read. `lookup` finds it from the model that is selected from."""
    if codec.expression is not None:
        return Column(codec.expression(lookup), codec.to_text, _json, frozenset([str]), _all_json)
    if not type(field).__module__.startswith("django.db.models."):
        return Column(lookup, codec.to_text)
    connection = connections[using]
    vendor = connection.vendor
    raw = ExpressionWrapper(F(lookup), output_field=models.TextField())
    match field:
        case models.BooleanField():
            return _column(raw, _djangos_way(field, codec, connection), _boolean, bool, int)
        case models.IntegerField() | models.AutoField():
            return _column(lookup, codec.to_text, str, int)
        case models.FloatField():
            return _column(lookup, codec.to_text, _float, float)
        case models.DecimalField(decimal_places=int(places)) if places:
            if vendor == "sqlite":
                most = min(15, (field.max_digits or 0) + 1)
                return _column(raw, _djangos_way(field, codec, connection), _decimal_of_float(places, most), float, int)
            return _column(lookup, codec.to_text, _decimal(places), Decimal)
        case models.DateTimeField():
            # As text, for the conversion by driver and Django is slow: on PostgreSQL it takes longer than all else.
            text = Cast(lookup, models.TextField())
            to_text = _from_text(_djangos_way(field, codec, connection))
            if vendor in ("sqlite", "mysql") and (not settings.USE_TZ or connection.timezone is UTC):
                return _column(text, to_text, _moment_of_text("+00:00" if settings.USE_TZ else ""), str)
            if vendor == "postgresql" and settings.USE_TZ and connection.timezone is UTC:
                return _column(text, to_text, _moment_with_offset, str)
            return _column(lookup, codec.to_text, _moment, datetime)
        case models.UUIDField() if vendor == "sqlite":
            return _column(raw, _djangos_way(field, codec, connection), _uuid, str)
        case models.CharField() | models.TextField() | models.GenericIPAddressField() | models.FilePathField():
            return _column(lookup, codec.to_text, _quote, str)
        case _:
            return Column(lookup, codec.to_text)


def _column(selected: Any, to_text: Callable[[Any], str], quick: Quick, *kinds: type) -> Column:
    return Column(selected, to_text, quick, frozenset(kinds))


def _djangos_way(field: Field, codec: Codec, connection: Any) -> Callable[[Any], str]:
    """From what the driver gives, through the field's converters, to text."""
    col = field.get_col("")
    converters = [*connection.ops.get_db_converters(col), *col.get_db_converters(connection)]

    def to_text(value: Any) -> str:
        for converter in converters:
            value = converter(value, col, connection)
        return "null" if value is None else codec.to_text(value)

    return to_text


def _from_text(to_text: Callable[[Any], str]) -> Callable[[str], str]:
    def from_text(text: str) -> str:
        moment = parse_datetime(text)
        if moment is None:
            raise ValueError(f"{text!r} is not a date and time")
        return to_text(moment)

    return from_text


# Quick ways


def _quote(text: str) -> str:
    # What has to be escaped is a quote, a backslash, or a control character, which is not printable.
    return f'"{text}"' if text.isprintable() and '"' not in text and "\\" not in text else canonical.quote(text)


def _boolean(value: int) -> str:
    return "true" if value else "false"


def _float(value: float) -> str:
    return repr(value + 0.0) if -1e16 < value < 1e16 else ""


def _decimal(places: int) -> Quick:
    point = slice(-places - 1, -places)

    def quick(value: Decimal) -> str:
        text = str(value)
        return f'"{text}"' if text[point] == "." and value else ""

    return quick


def _decimal_of_float(places: int, most: int) -> Quick:
    form = f"%.{places}f"

    def quick(value: float) -> str:
        # A decimal of 15 digits at most is what any rounding makes again of the double that is nearest to it.
        text = form % value
        return f'"{text}"' if len(text) <= most and value and float(text) == value else ""

    return quick


def _moment(value: datetime) -> str:
    return f'"{value.isoformat()}"' if value.tzinfo is UTC else ""


def _moment_of_text(offset: str) -> Quick:
    read = datetime.fromisoformat

    def quick(text: str) -> str:
        try:
            moment = read(text)
        except ValueError:
            return ""
        return f'"{moment.isoformat()}{offset}"' if moment.tzinfo is None else ""

    return quick


def _moment_with_offset(text: str) -> str:
    try:
        return _moment(datetime.fromisoformat(text))
    except ValueError:
        return ""


def _uuid(text: str) -> str:
    try:
        is_usual = len(text) == 32 and bytes.fromhex(text).hex() == text
    except ValueError:
        return ""
    return f'"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"' if is_usual else ""


def _json(text: str) -> str:
    again = canonical.recode(text)
    return "" if _is_marked(again) else again


def _all_json(texts: Sequence[str]) -> list[str] | None:
    again = canonical.recode_all(texts)
    return None if again is None or any(map(_is_marked, again)) else again


def _is_marked(text: str) -> bool:
    """Whether it is what the codec marks, for it to be told apart from SQL's NULL, or may be."""
    return text == "null" or text.startswith('{"$')
