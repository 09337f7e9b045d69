"""Sheets in plain text: CSV, TSV and JSON."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import IO, Any

from data_sync.core.errors import MalformedSheet

from .sheet_rows import MAX_WHOLE, Row

_MAX_ROW = 4_000_000
"""Characters of one row of CSV."""
_MAX_VALUES = 5_000_000
"""Of a JSON text, all of which one row may have."""
_SPACE = re.compile(r"[ \t\r\n]*")


def separated(file: IO[bytes], delimiter: str = "") -> Iterator[Row]:
    """Rows of a CSV file (RFC 4180) in UTF-8, or in UTF-16 with a byte order mark.

    Without `delimiter` it is the comma, or the semicolon where the header row has no comma, as the programs of many
    countries write it. An empty cell is None.
    """
    start = file.read(2)
    file.seek(0)
    encoding = "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    text = io.TextIOWrapper(file, encoding, newline="")
    try:
        if not delimiter:
            first = text.readline(1 << 20)
            delimiter = ";" if ";" in first and "," not in first else ","
            text.seek(0)
        lines = _Lines(text)
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        number = 0
        while True:
            lines.number, lines.size = number + 1, 0
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise MalformedSheet(
                    f"Row {number + 1} (line {reader.line_num}) is not CSV: {error}. Texts that hold quotes, "
                    "separators or line ends stand in quotes, and quotes in them are doubled; longer than 131,072 "
                    "characters take another format."
                ) from None
            if cells is None:
                return
            number += 1
            yield Row(number, [cell or None for cell in cells])
    finally:
        text.detach()  # Whoever opened the file closes it.


class _Lines:
    """The lines of a text, as long as those of one row are not too long together, whose `number` and `size` it has."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.number = self.size = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._text.readline(_MAX_ROW + 1)
        self.size += len(line)
        if self.size > _MAX_ROW:
            raise MalformedSheet(
                f"Row {self.number} has more than {_MAX_ROW:,} characters. Is a quote not closed? Longer ones take "
                "another format."
            )
        if not line:
            raise StopIteration
        return line


def whole_text(file: IO[bytes]) -> str:
    """The text of a file in UTF-8 that is read as a whole."""
    data = file.read(MAX_WHOLE + 1)
    if len(data) > MAX_WHOLE:
        raise MalformedSheet(f"It has more than {MAX_WHOLE >> 20} MiB, the most of this format. Use CSV, or split it.")
    return data.decode("utf-8-sig")


def json_rows(file: IO[bytes]) -> Iterator[Row]:
    """Rows of a JSON list of objects, all with the same members. Numbers with fractions are `Decimal`s."""
    text = whole_text(file)
    if text.count(",") > _MAX_VALUES:
        raise MalformedSheet(f"It holds more than {_MAX_VALUES:,} values. Use CSV, or split it into several files.")
    return same_members(_items(text))


def _items(text: str) -> Iterator[Any]:
    decoder = json.JSONDecoder(object_pairs_hook=_members, parse_float=Decimal, parse_constant=_constant)
    place = _after_space(text, 0)
    if text[place : place + 1] != "[":
        raise MalformedSheet(_NO_LIST)
    place = _after_space(text, place + 1)
    if text[place : place + 1] != "]":
        while True:
            try:
                item, place = decoder.raw_decode(text, place)
            except (ValueError, RecursionError) as error:
                line = text.count("\n", 0, min(getattr(error, "pos", place), len(text))) + 1
                raise MalformedSheet(f"It is no JSON, in line {line}: {str(error)[:200]}. Correct it.") from None
            yield item
            place = _after_space(text, place)
            sign = text[place : place + 1]
            if sign == "]":
                break
            if sign != ",":
                raise MalformedSheet("It is no JSON: the list does not go on, and does not end. Is the file whole?")
            place = _after_space(text, place + 1)
    if _after_space(text, place + 1) != len(text):
        raise MalformedSheet("It has more after the end of its list. Remove that.")


_NO_LIST = "It is no list of objects. Write one object for each row, with a member for each column."


def _after_space(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    return match.end() if match else place


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object has two members of one name")
    return members


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def same_members(items: Iterator[Any]) -> Iterator[Row]:
    """The members of the first item as headers, then the values of each in their order."""
    names: list[str] = []
    for number, item in enumerate(items, 1):
        if not isinstance(item, dict) or not all(isinstance(name, str) for name in item):
            raise MalformedSheet(f"Item {number} is no object. {_NO_LIST}")
        if number == 1:
            names = list(item)
            yield Row(0, names)
        if item.keys() != set(names):
            odd = sorted(item.keys() ^ set(names))[0]
            has = "lacks" if odd in names else "has"
            raise MalformedSheet(
                f"Item {number} {has} “{odd[:60]}”, unlike the first. Give every item the same members; null is one "
                "of the values."
            )
        yield Row(number, [item[name] for name in names])
