"""From the cells of a spreadsheet to JSON-plain values: what each type of column takes, and what it refuses.

A cell is what the file's format has there: a text, a number, a boolean, a date, and so on, or None where it is empty.
Nothing is guessed and nothing is rounded. What may have been lost before it came here is refused, with the remedy: the
number that a spreadsheet made of "00123", the integer of 1.5.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address
from math import isfinite
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.duration import duration_string

from data_sync.core import canonical
from data_sync.core.errors import MalformedStream

from .values import JSON_NULL, Codec, Field

_INTEGER = re.compile(r"[+-]?\d{1,100}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d{1,400}\.?\d{0,400}|\.\d{1,400})(?:[eE][+-]?\d{1,4})?", re.ASCII)
_EXACT = 10**15
"""From here on a number in a spreadsheet may have lost its last digits: Excel keeps fifteen."""
_FINER = re.compile(r"\d[.,]\d{6}\d*[1-9]", re.ASCII)
"""Of a time, more of a second than microseconds."""
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_MOST_DIGITS = 1000


def plain_of(field: Field, codec: Codec, cell: Any, *, has_types: bool) -> Any:
    """The JSON-plain value that a cell gives a column.

    `has_types`: the file tells null from an empty text, and holds lists and objects (JSON, YAML). Where it does not, an
    empty cell is NULL if the column takes that, else an empty text if the column holds text, else refused. Raises
    `ValueError` with a sentence that follows the name of the cell: the reason, and the remedy.
    """
    if cell is None:
        return _nothing(field, has_types=has_types)
    if isinstance(cell, str) and "\x00" in cell:
        raise ValueError("holds the character U+0000, which databases cannot store. Remove it.")
    if not has_types and isinstance(cell, int | float) and not isinstance(field, models.FloatField):
        _refuse_long(cell)
    if not type(field).__module__.startswith("django.db.models."):
        return _of_project(field, codec, cell, has_types=has_types)
    match field:
        case models.JSONField():
            return _json(cell) if has_types else _json_of_text(codec, cell)
        case models.BooleanField():
            return _boolean(cell)
        case models.IntegerField() | models.AutoField():
            return integer(cell)
        case models.FloatField():
            return _through(codec, _float(cell))
        case models.DecimalField():
            return _decimal(codec, cell)
        case models.DateTimeField():
            return _through(codec, _moment(cell))
        case models.DateField():
            return _through(codec, _date(cell))
        case models.TimeField():
            return _through(codec, _time(cell))
        case models.DurationField():
            return duration_string(_duration(codec, cell))
        case models.BinaryField():
            return _read(codec, _text(cell).strip(), "is not base64. Write the bytes in base64 (RFC 4648).")
        case models.UUIDField():
            return str(_uuid(cell))
        case models.GenericIPAddressField():
            return _address(field, cell)
        case _:
            return _text(cell)


def takes_empty_text(field: Field) -> bool:
    return isinstance(field, models.CharField | models.TextField | models.FilePathField)


def _nothing(field: Field, *, has_types: bool) -> Any:
    if field.null:
        return None
    if has_types:
        if isinstance(field, models.JSONField):
            return {JSON_NULL: None}
        raise ValueError("is null, and the column takes no null. Fill it in.")
    if takes_empty_text(field) or isinstance(field, models.BinaryField):
        return ""
    raise ValueError("is empty, and the column takes no null. Fill it in.")


def _refuse_long(number: float) -> None:
    if not -_EXACT < number < _EXACT:
        raise ValueError(f"is the number {number}, which may have been rounded. Enter it as text.")


def _text(cell: Any) -> str:
    match cell:
        case str():
            try:
                cell.encode()
            except UnicodeEncodeError:
                raise ValueError("holds half a surrogate pair, which is no text. Remove it.") from None
            return cell
        case bool():
            raise ValueError(f"is the boolean {str(cell).lower()}, and the column holds text. {_AS_TEXT}")
        case int() | float() | Decimal():
            raise ValueError(
                f"is the number {cell}, and the column holds text: what stood before it, such as leading zeros, may "
                f"be lost. {_AS_TEXT}"
            )
        case date() | time() | timedelta():
            raise ValueError(f"is a date or time ({cell}), and the column holds text. {_AS_TEXT}")
        case _:
            raise ValueError("is a list or an object, and the column holds text. Write a text.")


_AS_TEXT = "Format the cell as text (in JSON and YAML: put it into quotes), then enter it again."


def _boolean(cell: Any) -> bool:
    match cell:
        case bool():
            return cell
        case int() | float() | Decimal() if cell in (0, 1):
            return bool(cell)
        case str() if cell.strip().lower() in _BOOLEANS:
            return _BOOLEANS[cell.strip().lower()]
    raise ValueError(f"is {_shown(cell)}, and the column holds true or false. Write true or false (or 1 or 0).")


def integer(cell: Any) -> int:
    match cell:
        case bool():
            pass
        case int():
            return cell
        case float() | Decimal() as number:
            if not -_EXACT < number < _EXACT:
                raise ValueError(
                    f"is the number {cell}, which may have been rounded. Write all digits, without a point."
                )
            if number == int(number):
                return int(number)
        case str() if _INTEGER.fullmatch(cell.strip()):
            return int(cell)
    raise ValueError(f"is {_shown(cell)}, and the column holds whole numbers. Write digits, without separators.")


def _float(cell: Any) -> float:
    match cell:
        case bool():
            pass
        case int() | float() | Decimal() as number if -_FLOATS < number < _FLOATS:
            return float(number)
        case str() if cell.strip() in ("inf", "-inf", "nan"):
            return float(cell)
        case str() if _NUMBER.fullmatch(cell.strip()):
            found = float(cell)
            if isfinite(found) and (found or not _DIGIT.search(cell.lower().partition("e")[0])):
                return found
            raise ValueError(f"is {_shown(cell)}, which no double can hold. Correct it.")
    raise ValueError(f"is {_shown(cell)}, and the column holds numbers. {_POINT}")


_DIGIT = re.compile("[1-9]")
_FLOATS = Decimal("1.7e308")
_POINT = "Write a point before decimals, and no separators."


def _decimal(codec: Codec, cell: Any) -> str:
    number: Decimal | None = None
    match cell:
        case bool():
            pass
        case int() | Decimal():
            number = Decimal(cell)
        case float():
            # What the spreadsheet shows, not the double that it stores.
            number = Decimal(repr(cell))
        case str() if _NUMBER.fullmatch(cell.strip()):
            try:
                number = Decimal(cell.strip())
            except InvalidOperation:
                number = None
    if number is None or not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS:
        raise ValueError(f"is {_shown(cell)}, and the column holds decimal numbers. {_POINT}")
    text: str = canonical.loads(codec.to_text(number))
    if Decimal(text) != number:
        places = len(text.partition(".")[2])
        raise ValueError(f"is {_shown(cell)}, and the column keeps {places} decimals. Round it as you mean it.")
    return text


def _date(cell: Any) -> date:
    match cell:
        case datetime():
            if cell.time() == time() and cell.tzinfo is None:
                return cell.date()
        case date():
            return cell
        case str():
            found: date = _parsed(date.fromisoformat, cell, "date", "2026-01-31")
            return found
    raise ValueError(f"is {_shown(cell)}, and the column holds dates. {_AS_DATE}")


_AS_DATE = "Format the cell as a date, or write one as text, such as 2026-01-31."


def _moment(cell: Any) -> datetime:
    match cell:
        case datetime():
            moment = cell
        case date():
            moment = datetime.combine(cell, time())
        case str():
            moment = _parsed(datetime.fromisoformat, cell, "date and time", "2026-01-31T10:00:00+01:00")
        case _:
            raise ValueError(f"is {_shown(cell)}, and the column holds dates with times. {_AS_DATE}")
    if not settings.USE_TZ:
        if moment.tzinfo is not None:
            raise ValueError(f"has a time zone ({cell}), and this project keeps none (USE_TZ). Remove it.")
        return moment
    return _aware(moment)


def _aware(moment: datetime) -> datetime:
    """A moment without zone is one of the current time zone, if that has it once."""
    try:
        if moment.tzinfo is None:
            zone = timezone.get_current_timezone()
            first, second = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
            if first.utcoffset() != second.utcoffset():
                raise ValueError(
                    f"is {moment}, which the clocks of {zone} leave out or have twice. Add the offset, such as +01:00."
                )
            moment = first
        moment.astimezone(UTC)
        return moment
    except OverflowError:
        raise ValueError(f"is {moment}, which is out of the calendar in UTC. Correct it.") from None


def _time(cell: Any) -> time:
    match cell:
        case datetime():
            pass
        case time():
            return cell
        case str():
            found: time = _parsed(time.fromisoformat, cell, "time", "13:30:00")
            if found.tzinfo is None:
                return found
    raise ValueError(f"is {_shown(cell)}, and the column holds times of day. Write one such as 13:30:00.")


def _duration(codec: Codec, cell: Any) -> timedelta:
    match cell:
        case timedelta():
            return cell
        case time():  # What a spreadsheet makes of a duration below a day.
            return datetime.combine(date.min, cell) - datetime.min
        case str():
            _refuse_finer(cell)
            found = _read(codec, cell.strip(), "", python=True)
            if found is not None:
                return found  # type: ignore[no-any-return]
    raise ValueError(f"is {_shown(cell)}, and the column holds durations. Write one such as 2 03:04:05 (2 days …).")


def _uuid(cell: Any) -> UUID:
    if isinstance(cell, str):
        try:
            return UUID(cell.strip())
        except ValueError:
            pass
    raise ValueError(f"is {_shown(cell)}, and the column holds UUIDs. Write one with its 32 hex digits.")


def _address(field: Field, cell: Any) -> str:
    text = _text(cell).strip()
    try:
        if "%" in text:
            raise ValueError("a zone, which no column keeps")
        ip_address(text)
        # An IPv6 address has one form in the database, and many in the world.
        return str(field.to_python(text))
    except (ValidationError, ValueError):
        raise ValueError(f"is {_shown(text)}, which is no IP address. Correct it.") from None


def _json_of_text(codec: Codec, cell: Any) -> Any:
    """The cell holds JSON; numbers and booleans that a spreadsheet has made of it are themselves."""
    if isinstance(cell, bool | int | float):
        return _json(cell)
    if not isinstance(cell, str):
        raise ValueError(f"is {_shown(cell)}, and the column holds JSON. {_AS_TEXT}")
    try:
        return canonical.loads(codec.to_text(_strict(cell)))
    except MalformedStream as error:
        raise ValueError(
            f"is no JSON: {error}. Write texts in quotes, and numbers, true, false, null as such."
        ) from None


def _strict(text: str) -> str:
    canonical.loads_bounded(text)
    return text


def _json(cell: Any) -> Any:
    """A value as JSON and YAML have it: that of a record. `{"$json": null}` is JSON's null, apart from NULL."""
    return checked(cell)


def checked(value: Any) -> Any:
    """The value as records have it; of lists and objects, whatever no record may hold is refused."""
    plain = canonical.normalise(_with_floats(value))
    try:
        return canonical.loads(canonical.dumps(plain))
    except (MalformedStream, ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"is no JSON that can be kept: {error}. Correct it.") from None


def _with_floats(value: Any) -> Any:
    match value:
        case Decimal():
            return float(value)
        case list():
            return [_with_floats(item) for item in value]
        case dict():
            return {name: _with_floats(item) for name, item in value.items()}
        case _:
            return value


def _of_project(field: Field, codec: Codec, cell: Any, *, has_types: bool) -> Any:
    """A field class of the project's own reads what its `value_to_string` has written, which its cells hold."""
    if has_types and not isinstance(cell, str):
        return _through(codec, _refused(codec.from_plain, checked(cell)))
    if isinstance(cell, int | float | Decimal) and takes_empty_text(field):
        _text(cell)
    return _through(codec, _refused(codec.from_plain, cell))


def _refused(read: Callable[[Any], Any], cell: Any) -> Any:
    try:
        return read(cell)
    except ValueError as error:
        raise ValueError(f"is refused: {str(error)[:200]}. Correct it.") from None


def _through(codec: Codec, value: Any) -> Any:
    """What a record has of a Python value."""
    try:
        return canonical.loads(codec.to_text(value))
    except (MalformedStream, ValueError, TypeError, ArithmeticError, AttributeError) as error:
        raise ValueError(f"cannot be kept: {str(error)[:200]}. Correct it.") from None


def _read(codec: Codec, text: str, words: str, *, python: bool = False) -> Any:
    try:
        value = codec.from_plain(text)
    except ValueError:
        if python:
            return None
        raise ValueError(words) from None
    return value if python else _through(codec, value)


def _parsed(parse: Callable[[str], Any], text: str, kind: str, example: str) -> Any:
    _refuse_finer(text)
    try:
        return parse(text.strip())
    except ValueError:
        raise ValueError(f"is {_shown(text)}, which is no {kind}. Write one such as {example}.") from None


def _refuse_finer(text: str) -> None:
    """Python cuts what comes after microseconds."""
    if _FINER.search(text):
        raise ValueError(f"is {_shown(text)}, which is finer than a microsecond. Round it as you mean it.")


def _shown(cell: Any) -> str:
    """A cell in a sentence."""
    match cell:
        case bool():
            return str(cell).lower()
        case str():
            return f"“{cell[:60]}{'…' if len(cell) > 60 else ''}”"
        case datetime() | date() | time() | timedelta():
            return f"the date or time {cell}"
        case list() | dict():
            return "a list or an object"
        case _:
            return f"the number {str(cell)[:60]}"
