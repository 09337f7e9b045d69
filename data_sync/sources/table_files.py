"""Tables written as spreadsheets: CSV, TSV, XLSX, ODS, JSON, YAML. One row at a time, but for ODS."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any

from data_sync.core.cells import harmless
from data_sync.core.errors import InvalidInput

from .sheet_rows import MAX_ROWS

CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "tsv": "text/tab-separated-values; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "json": "application/json",
    "yaml": "application/yaml; charset=utf-8",
}
MOST_ODS = 20_000
"""Rows of an ODS file, which can be made only as a whole."""
MOST_CHARACTERS = 32_767
"""Of a cell of Excel. More would be cut without a word."""
_CUT = "… (cut)"
# What XML 1.0 cannot hold.
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
# What XML would alter in XLSX, and what looks as if it stood for that there (ECMA-376, ST_Xstring).
_ESCAPED = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
# What YAML wants escaped, or folds.
_NO_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def write_table(form: str, headers: Sequence[str], rows: Iterable[Sequence[Any]], file: IO[bytes]) -> None:
    """Writes a table to a file. Cells are JSON-plain; what no cell of the format can hold is refused or marked:

    in JSON and YAML every value is as it is. Elsewhere lists and objects are JSON, booleans true and false, null is an
    empty cell, and texts that a program would calculate are marked (`core.cells`); numbers that a program would round
    are texts in XLSX and ODS. Texts that are too long for XLSX end with "… (cut)", and characters that XML cannot hold
    are U+FFFD in ODS. Raises `InvalidInput` for more rows than the format holds.
    """
    match form:
        case "csv" | "tsv":
            _write_text(headers, rows, file, "\t" if form == "tsv" else ",")
        case "json":
            file.write(b"[")
            for number, text in enumerate(_objects(headers, rows)):
                file.write((",\n" if number else "\n").encode() + text.encode())
            file.write(b"\n]\n")
        case "yaml":
            empty = True
            for text in _objects(headers, rows):
                empty = False
                file.write(b"- " + _NO_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode() + b"\n")
            if empty:
                file.write(b"[]\n")
        case "xlsx":
            _write_xlsx(headers, rows, file)
        case "ods":
            _write_ods(headers, rows, file)
        case _:
            raise InvalidInput(f"There is no format {form!r}. Name one of: {', '.join(CONTENT_TYPES)}.")


def _objects(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    for row in rows:
        yield json.dumps(dict(zip(headers, row, strict=True)), ensure_ascii=False)


def _write_text(headers: Sequence[str], rows: Iterable[Sequence[Any]], file: IO[bytes], delimiter: str) -> None:
    text = io.TextIOWrapper(file, "utf-8", newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(headers)
    writer.writerows([_cell_text(cell) for cell in row] for row in rows)
    text.flush()
    text.detach()


def _cell_text(cell: Any) -> str:
    value = _cell(cell)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value if isinstance(value, str) else repr(value)


def _cell(cell: Any) -> Any:
    match cell:
        case None | bool() | int() | float():
            return cell
        case str():
            return harmless(cell)
        case _:
            return harmless(json.dumps(cell, ensure_ascii=False))


def _cell_xml(cell: Any) -> Any:
    value = _cell(cell)
    if isinstance(value, int | float) and not isinstance(value, bool) and float(f"{value:.15g}") != value:
        return repr(value)  # Spreadsheets keep fifteen digits.
    return value


def _write_xlsx(headers: Sequence[str], rows: Iterable[Sequence[Any]], file: IO[bytes]) -> None:
    import openpyxl
    from openpyxl.cell import WriteOnlyCell

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("data")
    sheet.freeze_panes = "A2"
    sheet.append(list(headers))

    def cell_of(value: Any) -> Any:
        plain = _cell_xml(value)
        if not isinstance(plain, str):
            return plain
        if len(plain) > MOST_CHARACTERS:
            plain = plain[: MOST_CHARACTERS - len(_CUT)] + _CUT
        cell = WriteOnlyCell(sheet, "")
        # Not by the constructor, which takes no control characters, even escaped ones of a text beginning with "=".
        cell._value = _ESCAPED.sub(lambda found: f"_x{ord(found[0]):04X}_", plain)
        cell.data_type = "s"  # Never a formula, an error or a date, whatever it looks like.
        cell.number_format = "@"
        return cell

    for number, row in enumerate(rows, 2):
        if number > MAX_ROWS:
            raise InvalidInput(f"XLSX holds no more than {MAX_ROWS:,} rows. Choose CSV or JSON, or fewer rows.")
        sheet.append([cell_of(value) for value in row])
    book.save(file)


def _write_ods(headers: Sequence[str], rows: Iterable[Sequence[Any]], file: IO[bytes]) -> None:
    # Not by tablib, whose texts lose line ends, tabs and repeated spaces: those are elements (ODF 1.3, 6.1).
    from odf.opendocument import OpenDocumentSpreadsheet
    from odf.table import Table, TableCell, TableRow
    from odf.teletype import addTextToElement
    from odf.text import P

    def add(cells: Iterable[Any]) -> None:
        row = TableRow()
        for cell in cells:
            match cell:
                case None:
                    one = TableCell()
                case bool():
                    one = TableCell(valuetype="boolean", booleanvalue="true" if cell else "false")
                case int() | float():
                    one = TableCell(valuetype="float", value=repr(cell))
                case _:
                    one = TableCell(valuetype="string")
                    paragraph = P()
                    addTextToElement(paragraph, _NO_XML.sub("\ufffd", cell))
                    one.addElement(paragraph)
            row.addElement(one)
        table.addElement(row)

    book, table = OpenDocumentSpreadsheet(), Table(name="data")
    add(headers)
    for number, row in enumerate(rows, 1):
        if number > MOST_ODS:
            raise InvalidInput(
                f"ODS is made as a whole, of no more than {MOST_ODS:,} rows. Choose CSV, XLSX or JSON, or fewer rows."
            )
        add(_cell_xml(cell) for cell in row)
    book.spreadsheet.addElement(table)
    book.write(file)
