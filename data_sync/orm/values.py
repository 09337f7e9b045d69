"""Between Python values of model fields and JSON: the one place that knows field types.

Every conversion is lossless and gives one canonical text for one database value, whatever the
database: texts as they are, decimals and dates as text, floats as numbers, bytes as base64.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings
from django.db import connections, models
from django.db.models.expressions import ExpressionWrapper, F
from django.utils.dateparse import parse_duration
from django.utils.duration import duration_string

from data_sync.core import canonical

if TYPE_CHECKING:
    Field = models.Field[Any, Any]
else:
    Field = models.Field

JSON_NULL = "$json"
"""Marks a JSON `null` apart from SQL's NULL: `{"$json": null}`. A value of that shape is marked too."""


@dataclass(frozen=True, slots=True)
class Codec:
    """`to_text` takes what the database gives to canonical JSON; `from_plain` takes the JSON-plain value of
    that to what an instance takes. Neither is for None.

    `to_text` raises `ValueError` or `TypeError` for values that are not of the field's type, `from_plain`
    only `ValueError`. `expression` is what to select instead of the column.
    """

    to_text: Callable[[Any], str]
    from_plain: Callable[[Any], Any]
    expression: Callable[[str], Any] | None = None


def codec_of(field: Field) -> Codec:
    """The codec of a field that is neither relation nor file.

    A field class that Django does not ship is written by its own `value_to_string` and read by its
    own `to_python`, which is the contract Django's serializers hold it to.
    """
    if not type(field).__module__.startswith("django.db.models."):
        return _custom(field)
    match field:
        case models.JSONField():
            return Codec(_json_to_text, _json_from_plain, _as_text)
        case models.BooleanField():
            return Codec(_boolean_to_text, _typed(bool))
        case models.IntegerField() | models.AutoField():
            return Codec(_integer_to_text, _typed(int))
        case models.FloatField():
            return Codec(_float_to_text, _float_from_plain)
        case models.DecimalField():
            return _decimal(field)
        case models.DateTimeField():
            return Codec(_datetime_to_text, _from_text(_datetime_from_text))
        case models.DateField():
            return Codec(_quoted(date.isoformat), _from_text(date.fromisoformat))
        case models.TimeField():
            return Codec(_quoted(time.isoformat), _from_text(time.fromisoformat))
        case models.DurationField():
            return Codec(_quoted(duration_string), _from_text(_duration_from_text))
        case models.BinaryField():
            return Codec(_bytes_to_text, _from_text(_bytes_from_text))
        case models.UUIDField():
            return Codec(_quoted(str), _from_text(UUID))
        case models.CharField() | models.TextField() | models.GenericIPAddressField() | models.FilePathField():
            return Codec(canonical.quote, _typed(str))
        case _:
            return _custom(field)


def column_codec(field: Field) -> Codec:
    """The codec of any concrete column, for what the column itself holds: of a foreign key that is the target's value,
    of a file its name."""
    while isinstance(field, models.ForeignKey):
        field = field.target_field
    return Codec(canonical.quote, _typed(str)) if isinstance(field, models.FileField) else codec_of(field)


def integers(field: Field, using: str) -> range:
    """What an integer column of a database takes; SQLite's driver fails outright at anything beyond 64 bits."""
    low, high = connections[using].ops.integer_field_range(field.get_internal_type())
    return range(-(1 << 63) if low is None else low, (1 << 63) if high is None else high + 1)


def _quoted(to_string: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: canonical.quote(to_string(value))


def _boolean_to_text(value: Any) -> str:
    return "true" if value else "false"


def _integer_to_text(value: Any) -> str:
    # SQLite gives back whatever was put into an integer column.
    return str(value) if type(value) is int else canonical.dumps(value)


def _typed(kind: type) -> Callable[[Any], Any]:
    def from_plain(value: Any) -> Any:
        if type(value) is not kind:
            raise ValueError(f"{value!r} is not {kind.__name__}")
        return value

    return from_plain


def _from_text(parse: Callable[[str], Any]) -> Callable[[Any], Any]:
    def from_plain(value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is not a text")
        try:
            return parse(value)
        except ArithmeticError as error:
            raise ValueError(f"{value!r} is out of range: {error}") from None

    return from_plain


def _as_text(name: str) -> Any:
    return ExpressionWrapper(F(name), output_field=models.TextField())


# One `Value` inside another: `bulk_update` takes a plain one for SQL's NULL.
_JSON_NULL_VALUE = models.Value(models.Value(None, models.JSONField()), models.JSONField())


def _json_to_text(text: str) -> str:
    value = canonical.loads_normalised(text)
    if value is None or (isinstance(value, dict) and value.keys() == {JSON_NULL}):
        return canonical.dumps({JSON_NULL: value})
    return canonical.dumps(value)


def _json_from_plain(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {JSON_NULL}:
        inner = value[JSON_NULL]
        return _JSON_NULL_VALUE if inner is None else inner
    return value


_NOT_FINITE = ("inf", "-inf", "nan")


def _float_to_text(value: float) -> str:
    return canonical.dumps(canonical.normalise(float(value)) if math.isfinite(value) else str(value))


def _float_from_plain(value: Any) -> float:
    if type(value) not in (int, float) and value not in _NOT_FINITE:
        raise ValueError(f"{value!r} is not a number")
    try:
        return float(value)
    except OverflowError:
        raise ValueError("it is beyond a double") from None


_EXACT = Context(prec=MAX_PREC, Emin=MIN_EMIN, Emax=MAX_EMAX)
"""The usual context rounds to 28 digits, or refuses more; columns may have a thousand."""


def _decimal(field: models.DecimalField[Any, Any]) -> Codec:
    unit = None if field.decimal_places is None else Decimal(1).scaleb(-field.decimal_places)

    def to_string(value: Decimal) -> str:
        if not value.is_finite():
            return str(value)
        rounded = _EXACT.normalize(value) if unit is None else _EXACT.quantize(value, unit)
        return format(_EXACT.add(rounded, 0), "f")  # -0 is 0

    return Codec(_quoted(to_string), _from_text(Decimal))


def _datetime_to_text(value: datetime) -> str:
    in_utc = value if value.tzinfo is None or value.tzinfo is UTC else value.astimezone(UTC)
    return f'"{in_utc.isoformat()}"'


def _datetime_from_text(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if (moment.tzinfo is not None) != settings.USE_TZ:
        raise ValueError(f"{text!r} has {'no ' if settings.USE_TZ else 'a '}time zone")
    # Near the ends of the calendar the same moment in UTC, which databases store, can be out of range.
    return moment if moment.tzinfo in (None, UTC) else moment.astimezone(UTC)


def _duration_from_text(text: str) -> timedelta:
    duration = parse_duration(text)
    if duration is None:
        raise ValueError(f"{text!r} is not a duration")
    return duration


def _bytes_to_text(value: Any) -> str:
    return f'"{base64.b64encode(bytes(value)).decode()}"'


def _bytes_from_text(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


class _Holder:
    """Stands in for an instance where a field's `value_to_string` wants one."""

    def __init__(self, attname: str, value: Any) -> None:
        setattr(self, attname, value)


def _custom(field: Field) -> Codec:
    def to_text(value: Any) -> str:
        plain: Any = field.value_to_string(_Holder(field.attname, value))  # type: ignore[arg-type]
        if not isinstance(plain, str | int | float | bool | list | dict | None):
            raise ValueError(f"{type(field).__name__}.value_to_string gave {type(plain).__name__}")
        return canonical.dumps(canonical.normalise(plain))

    def from_plain(value: Any) -> Any:
        try:
            return field.to_python(value)
        except Exception as error:  # a field of the project's own raises what it likes
            raise ValueError(f"{value!r} is refused: {error}") from error

    return Codec(to_text, from_plain)
