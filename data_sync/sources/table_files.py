"""Tables written as spreadsheets: CSV, TSV, XLSX, ODS, JSON, YAML. One row at a time."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import IO, Any
from xml.sax.saxutils import escape

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
    """Not by tablib, which takes a kilobyte or two for each cell, and whose texts lose line ends, tabs and repeated
    spaces: those are elements of their own (ODF 1.3, part 3, 6.1)."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", CONTENT_TYPES["ods"], zipfile.ZIP_STORED)
        archive.writestr("META-INF/manifest.xml", _ODS_MANIFEST)
        with archive.open("content.xml", "w", force_zip64=True) as content:
            content.write(_ODS_START.encode())
            for number, row in enumerate(chain([headers], rows), 1):
                if number > MAX_ROWS:
                    raise InvalidInput(f"ODS holds no more than {MAX_ROWS:,} rows. Choose CSV or JSON, or fewer rows.")
                cells = "".join(map(_ods_cell, map(_cell_xml, row)))
                content.write(f"<table:table-row>{cells}</table:table-row>\n".encode())
            content.write(_ODS_END.encode())


def _ods_cell(value: Any) -> str:
    match value:
        case None:
            return "<table:table-cell/>"
        case bool():
            return f'<table:table-cell office:value-type="boolean" office:boolean-value="{str(value).lower()}"/>'
        case int() | float():
            return f'<table:table-cell office:value-type="float" office:value="{value!r}"/>'
    text = _SPACE.sub("<text:s/>", escape(_NO_XML.sub("\ufffd", value)).replace("\r\n", "\n"))
    text = text.replace("\n", "<text:line-break/>").replace("\r", "<text:line-break/>").replace("\t", "<text:tab/>")
    return f'<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>'


_SPACE = re.compile("(?<![^ \t\n\r]) | (?=$|[\t\n\r])")
"""A space that would be left out: beside other white space, at the start, at the end."""
_NAMES = "urn:oasis:names:tc:opendocument:xmlns"
_ODS_MANIFEST = (
    f'<manifest:manifest xmlns:manifest="{_NAMES}:manifest:1.0" manifest:version="1.3">'
    f'<manifest:file-entry manifest:full-path="/" manifest:version="1.3" manifest:media-type="{CONTENT_TYPES["ods"]}"/>'
    '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>'
)
_ODS_START = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<office:document-content office:version="1.3"'
    + "".join(f' xmlns:{name}="{_NAMES}:{name}:1.0"' for name in ("office", "table", "text"))
    + '><office:body><office:spreadsheet><table:table table:name="data"><table:table-column/>\n'
)
_ODS_END = "</table:table></office:spreadsheet></office:body></office:document-content>\n"
