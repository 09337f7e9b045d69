"""Sheets of Excel (XLSX), read by openpyxl row by row: values, not formulas."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterator
from typing import IO, Any

from data_sync.core.errors import MalformedSheet

from .sheet_rows import MAX_COLUMNS, MAX_ROWS, Row, error_cell
from .sheet_zip import blocks, open_zip

_SHEETS = "xl/worksheets/"
_ROW = re.compile(rb"<(?:[\w.-]{1,40}:)?row[\s/>]")
_MERGED = re.compile(rb"<(?:[\w.-]{1,40}:)?mergeCell[\s/>]")
_FORMULA = re.compile(rb"<(?:[\w.-]{1,40}:)?f[\s/>]")
_MAX_ROW = 4 * 2**20
"""Bytes of one row, which is held as a whole. Its texts stand elsewhere."""
_ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")
"""How Excel writes a character that XML would alter (ECMA-376, ST_Xstring): a carriage return is _x000D_."""
_OVERLAP = 64
_ROW_TAG = 5


def xlsx_rows(file: IO[bytes]) -> Iterator[Row]:
    """Rows of the one sheet of a workbook that has something in it."""
    with open_zip(file, _SHEETS) as archive:
        has_formulas = _look(archive)
        if has_formulas:
            _refuse_uncalculated(archive)
    file.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl warns of styles and extensions, which no row is made of.
        book = _book(file)
        try:
            yield from _rows(_only_sheet(book))
        finally:
            book.close()


def _book(file: IO[bytes]) -> Any:
    """As `openpyxl.load_workbook` reads it, but for shared texts, of which that takes out every "x005F_"."""
    from defusedxml.ElementTree import iterparse
    from openpyxl.cell.text import Text
    from openpyxl.reader.excel import SHARED_STRINGS, ExcelReader

    class Reader(ExcelReader):  # type: ignore[misc]
        def read_strings(self) -> None:
            part = self.package.find(SHARED_STRINGS)
            if part is None:
                return
            with self.archive.open(part.PartName[1:]) as xml:
                for _, element in iterparse(xml):
                    if element.tag.rpartition("}")[2] == "si":
                        self.shared_strings.append(Text.from_tree(element).content)
                        element.clear()

    reader = Reader(file, read_only=True, data_only=True, keep_links=False)
    reader.read()
    return reader.wb


def _only_sheet(book: Any) -> Any:
    filled = [sheet for sheet in book.worksheets if any(row.cells for row in _rows(sheet, look=True))]
    if len(filled) > 1:
        names = ", ".join(f"“{sheet.title}”" for sheet in filled[:10])
        raise MalformedSheet(f"It has several sheets with something in them: {names}. Keep the one that is meant.")
    return filled[0] if filled else book.worksheets[0]


def _rows(sheet: Any, *, look: bool = False) -> Iterator[Row]:
    """The rows of a sheet; to `look`, the first that has something in it."""
    sheet.reset_dimensions()  # It may claim to have a million rows of thousands of columns.
    for number, cells in enumerate(sheet.iter_rows(), 1):
        if number > MAX_ROWS:
            raise MalformedSheet(f"It has more than {MAX_ROWS:,} rows. Split it into several files.")
        if len(cells) > MAX_COLUMNS:
            raise MalformedSheet(f"Row {number} has more than {MAX_COLUMNS:,} columns. Remove some.")
        if not any(cell.value is not None for cell in cells):
            continue
        if look:
            yield Row(number, [True])
            return
        yield Row(number, [_value(cell) for cell in cells])


def _value(cell: Any) -> Any:
    if cell.data_type == "e":
        return error_cell(str(cell.value))
    value = cell.value
    if isinstance(value, str) and "_x" in value:
        value = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), value)
    return None if value == "" else value


def _look(archive: zipfile.ZipFile) -> bool:
    """Looks at the sheets as bytes, for what openpyxl would not tell or not survive; whether they have formulas."""
    has_formulas = False
    for member in archive.infolist():
        if not member.filename.startswith(_SHEETS) or not member.filename.endswith(".xml"):
            continue
        before, since_row, rows = b"", 0, 0
        for block in blocks(archive, member.filename):
            seen = before + block
            if b"<!" in seen or b"\x00" in seen:
                raise MalformedSheet("Its sheet holds a declaration, a comment, or is not in UTF-8. Save it again.")
            if _MERGED.search(seen):
                raise MalformedSheet(
                    "It has merged cells, of which only the first would have a value. Unmerge them, and fill in each."
                )
            has_formulas = has_formulas or _FORMULA.search(seen) is not None
            starts = [match.start() for match in _ROW.finditer(seen)]
            rows += sum(start >= len(before) - _ROW_TAG for start in starts)
            if rows > MAX_ROWS * 2:  # Some are seen twice, where two blocks meet.
                raise MalformedSheet(f"It has more than {MAX_ROWS:,} rows. Split it into several files.")
            for one, other in zip([-since_row, *starts], [*starts, len(seen)], strict=True):
                if other - one > _MAX_ROW:
                    raise MalformedSheet(f"One of its rows has more than {_MAX_ROW >> 20} MiB.")
            since_row = len(seen) - starts[-1] if starts else since_row + len(seen)
            before = seen[-_OVERLAP:]
            since_row -= len(before)
    return has_formulas


def _refuse_uncalculated(archive: zipfile.ZipFile) -> None:
    """Programs other than spreadsheets write formulas without what comes of them: those cells would seem empty."""
    from defusedxml.ElementTree import iterparse

    for member in archive.infolist():
        if not member.filename.startswith(_SHEETS) or not member.filename.endswith(".xml"):
            continue
        with archive.open(member.filename) as xml:
            for _, element in iterparse(xml):
                name = element.tag.rpartition("}")[2]
                if name == "c":
                    inner = {child.tag.rpartition("}")[2]: child for child in element}
                    is_text = element.get("t") == "str"  # Whose outcome may be an empty text.
                    if "f" in inner and ("v" not in inner or not (inner["v"].text or is_text)):
                        raise MalformedSheet(
                            f"The cell {str(element.get('r'))[:20]} has a formula that was never calculated. Open the "
                            "file in a spreadsheet program and save it again, or write the value."
                        )
                elif name == "row":
                    element.clear()
