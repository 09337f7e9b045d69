"""Sheets of OpenDocument (ODS), as LibreOffice writes them: read piece by piece, repeated cells and rows in full."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import IO, Any

from data_sync.core.errors import MalformedSheet

from .sheet_rows import MAX_COLUMNS, MAX_ROWS, Row, Unusable, column_letters, error_cell
from .sheet_zip import blocks, open_zip

_CONTENT = "content.xml"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_CALC = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}"
_CELLS = (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell")
_DURATION = re.compile(r"(-?)P(?:(\d{1,9})D)?T?(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})(?:[.,](\d{1,30}))?S)?")
_INTEGER = re.compile(r"-?\d{1,18}")
_ERRORS = ("#N/A", "#VALUE!", "#REF!", "#NAME?", "#DIV/0!", "#NUM!", "Err:")
_MAX_TEXT = 10 * 10**6


def ods_rows(file: IO[bytes]) -> Iterator[Row]:
    """Rows of the one table of a document that has something in it."""
    from defusedxml.ElementTree import DefusedXMLParser

    with open_zip(file, _CONTENT) as archive:
        if _CONTENT not in archive.namelist():
            raise MalformedSheet("It is no OpenDocument spreadsheet: it has no content.xml.")
        reader = _Reader()
        parser = DefusedXMLParser(target=reader, forbid_dtd=True)
        for block in blocks(archive, _CONTENT):
            parser.feed(block)
            yield from reader.take()
        parser.close()
        yield from reader.take()


class _Reader:
    """Takes what the parser finds, and gives rows."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._table = ""
        self._filled = ""
        self._number = 0
        self._repeated = 1
        self._cells: list[Any] = []
        self._cell: dict[str, str] | None = None
        self._paragraphs: list[str] = []
        self._size = 0
        self._apart = 0  # Within annotations and shapes, whose texts are no values.
        self._in_paragraph = 0

    def take(self) -> list[Row]:
        rows, self._rows = self._rows, []
        return rows

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._apart or tag == f"{_OFFICE}annotation" or (self._cell is not None and tag == f"{_TABLE}table"):
            self._apart += 1
        elif tag == f"{_TABLE}table":
            self._table, self._number = attributes.get(f"{_TABLE}name", "?"), 0
        elif tag == f"{_TABLE}table-row":
            self._repeated = _count(attributes.get(f"{_TABLE}number-rows-repeated"))
            self._cells = []
        elif tag in _CELLS:
            self._cell, self._paragraphs, self._size = dict(attributes), [], 0
        elif self._cell is not None:
            if tag == f"{_TEXT}p":
                self._paragraphs.append("")
                self._in_paragraph += 1
            elif tag == f"{_TEXT}s":
                self.data(" " * min(_count(attributes.get(f"{_TEXT}c")), _MAX_TEXT))
            elif tag == f"{_TEXT}tab":
                self.data("\t")
            elif tag == f"{_TEXT}line-break":
                self.data("\n")

    def data(self, text: str) -> None:
        if self._in_paragraph and not self._apart:
            self._size += len(text)
            if self._size > _MAX_TEXT:
                raise MalformedSheet(f"A cell of row {self._number + 1} has more than {_MAX_TEXT:,} characters.")
            self._paragraphs[-1] += text

    def end(self, tag: str) -> None:
        if self._apart:
            self._apart -= 1
        elif tag == f"{_TEXT}p":
            self._in_paragraph = max(0, self._in_paragraph - 1)
        elif tag in _CELLS and self._cell is not None:
            self._end_cell(self._cell)
            self._cell = None
        elif tag == f"{_TABLE}table-row":
            self._end_row()

    def close(self) -> None:
        """The parser asks for it."""

    def _end_cell(self, attributes: dict[str, str]) -> None:
        spans = ("columns", "rows")
        if any(_count(attributes.get(f"{_TABLE}number-{span}-spanned")) > 1 for span in spans):
            raise MalformedSheet(
                f"Row {self._number + 1}, column {column_letters(len(self._cells))} is merged with others, of which "
                "only the first would have a value. Unmerge them, and fill in each."
            )
        value = self._value(attributes)
        repeated = _count(attributes.get(f"{_TABLE}number-columns-repeated"))
        # A row ends with as many empty cells as a sheet can have.
        self._cells += [value] * (min(repeated, MAX_COLUMNS + 1) if value is not None or len(self._cells) < 2000 else 0)
        if value is not None and len(self._cells) > MAX_COLUMNS:
            raise MalformedSheet(f"Row {self._number + 1} has more than {MAX_COLUMNS:,} columns. Remove some.")

    def _end_row(self) -> None:
        cells = self._cells
        while cells and cells[-1] is None:
            cells.pop()
        first = self._number + 1
        self._number += self._repeated
        if not cells:
            return
        if self._filled and self._filled != self._table:
            raise MalformedSheet(
                f"It has several sheets with something in them: “{self._filled}”, “{self._table}”. Keep the one that "
                "is meant."
            )
        self._filled = self._table
        if self._number > MAX_ROWS + 1:
            raise MalformedSheet(f"It has more than {MAX_ROWS:,} rows. Split it into several files.")
        self._rows += (Row(number, cells) for number in range(first, self._number + 1))

    def _value(self, attributes: dict[str, str]) -> Any:
        text = "\n".join(self._paragraphs)
        is_error = attributes.get(f"{_CALC}value-type") == "error"
        if is_error or (f"{_TABLE}formula" in attributes and text.startswith(_ERRORS)):
            return error_cell(text)
        kind = attributes.get(f"{_OFFICE}value-type", "")
        try:
            match kind:
                case "float" | "percentage" | "currency":
                    number = attributes.get(f"{_OFFICE}value", "")
                    return int(number) if _INTEGER.fullmatch(number) else float(number)
                case "boolean":
                    return attributes.get(f"{_OFFICE}boolean-value") == "true"
                case "date":
                    moment = attributes.get(f"{_OFFICE}date-value", "")
                    return _moment(moment) if "T" in moment else date.fromisoformat(moment)
                case "time":
                    return _time(attributes.get(f"{_OFFICE}time-value", ""))
        except (ValueError, OverflowError):
            return Unusable(f"is said to be a {kind}, and is none. Enter it again.")
        return attributes.get(f"{_OFFICE}string-value", text) or None


def _count(text: str | None) -> int:
    return max(1, int(text)) if text is not None and len(text) < 10 else 1 if text is None else MAX_ROWS + 2


def _moment(text: str) -> datetime:
    """What comes after microseconds is what the program's double has more, so that it is rounded, and not cut."""
    whole, _, fraction = text.replace(",", ".").partition(".")
    return datetime.fromisoformat(whole) + _microseconds(fraction)


def _microseconds(fraction: str) -> timedelta:
    return timedelta(microseconds=round(float(f"0.{fraction}") * 10**6)) if fraction else timedelta()


def _time(text: str) -> Any:
    """The time of day that a cell shows; a duration where it is none. Raises `ValueError`."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is no time")
    sign, days, hours, minutes, seconds, fraction = match.groups()
    duration = timedelta(
        days=int(days or 0),
        hours=int(hours or 0),
        minutes=int(minutes or 0),
        seconds=int(seconds or 0),
    ) + _microseconds(fraction or "")
    if sign or duration >= timedelta(days=1):
        return -duration if sign else duration
    return (datetime.min + duration).time()
