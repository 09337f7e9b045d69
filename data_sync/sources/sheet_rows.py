"""The rows of a sheet in a file of any format: bounded, read once, each with the number that people know it by.

Why not by the readers that django-import-export brings, which are tablib's: that of ODS leaves out repeated empty
cells, so that what follows moves to other columns; that of CSV drops blank lines, so that later rows have other numbers
than people see; JSON's takes the last of two members of one name. All alter data silently, and all hold the whole file.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import IO, Any

from data_sync import conf
from data_sync.core.errors import MalformedSheet

MAX_ROWS = 1_048_576
"""As many as the usual spreadsheet programs have."""
MAX_COLUMNS = 1_000
MAX_CELLS = 20_000_000
MAX_WHOLE = 64 * 2**20
"""Bytes of a file whose format can be read only as a whole."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it is numbered in the file. The first that a reader gives has the headers."""

    number: int
    cells: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Unusable:
    """A cell that holds no value. `reason` is a sentence that follows the cell's name."""

    reason: str


def error_cell(shown: str) -> Unusable:
    return Unusable(f"holds the error {shown[:20]}. Correct what is calculated there, or write the value.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """How files of a format are read. `has_types`: they tell null from an empty text, and hold lists and objects.

    `word`: what a row is called there; items of a list have no header row, and are counted from 1.
    """

    name: str
    extensions: tuple[str, ...]
    read: Callable[[IO[bytes]], Iterator[Row]]
    has_types: bool = False
    word: str = "Row"


def _csv(file: IO[bytes]) -> Iterator[Row]:
    from .sheet_texts import separated

    return separated(file)


def _tsv(file: IO[bytes]) -> Iterator[Row]:
    from .sheet_texts import separated

    return separated(file, "\t")


def _json(file: IO[bytes]) -> Iterator[Row]:
    from .sheet_texts import json_rows

    return json_rows(file)


def _yaml(file: IO[bytes]) -> Iterator[Row]:
    from .sheet_yaml import yaml_rows

    return yaml_rows(file)


def _xlsx(file: IO[bytes]) -> Iterator[Row]:
    from .sheet_xlsx import xlsx_rows

    return xlsx_rows(file)


def _ods(file: IO[bytes]) -> Iterator[Row]:
    from .sheet_ods import ods_rows

    return ods_rows(file)


FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        Format(name="csv", extensions=(".csv",), read=_csv),
        Format(name="tsv", extensions=(".tsv", ".tab"), read=_tsv),
        Format(name="xlsx", extensions=(".xlsx", ".xlsm"), read=_xlsx),
        Format(name="ods", extensions=(".ods",), read=_ods),
        Format(name="json", extensions=(".json",), read=_json, has_types=True, word="Item"),
        Format(name="yaml", extensions=(".yaml", ".yml"), read=_yaml, has_types=True, word="Item"),
    )
}


def format_of(name: str, file_name: str = "") -> Format:
    """The format of this name, or, for "", the one that a file's name ends with. Raises `MalformedSheet`."""
    if name:
        found = FORMATS.get(name.lower())
    else:
        found = next((one for one in FORMATS.values() if file_name.lower().endswith(one.extensions)), None)
    if found is None:
        what = f"no format {name!r}" if name else f"no format that {file_name!r} is known to be of"
        raise MalformedSheet(f"There is {what}. Name one of: {', '.join(FORMATS)}.")
    return found


def read_rows(file: IO[bytes], form: Format) -> Generator[Row, None, None]:
    """The rows of a file from its start: the headers first, then every row that is not blank.

    Raises `MalformedSheet`, also for what none of the format's readers foresaw, and where there is more than anybody
    writes into a sheet.
    """
    most_rows, cells = min(MAX_ROWS, conf.max_rows()), 0
    with closing(_translated(file, form)) as rows:
        for row in rows:
            cells += len(row.cells)
            if row.number > most_rows + 1:
                raise MalformedSheet(f"It has more than {most_rows:,} rows. Split it into several files.")
            if len(row.cells) > MAX_COLUMNS:
                raise MalformedSheet(f"{form.word} {row.number} has more than {MAX_COLUMNS:,} columns. Remove some.")
            if cells > MAX_CELLS:
                raise MalformedSheet(f"It has more than {MAX_CELLS:,} cells. Split it into several files.")
            if form.has_types or any(cell is not None for cell in row.cells):
                yield row


def _translated(file: IO[bytes], form: Format) -> Generator[Row, None, None]:
    try:
        file.seek(0)
        yield from form.read(file)
    except MalformedSheet:
        raise
    except ImportError as error:
        raise MalformedSheet(
            f"Files of the format {form.name} cannot be read here: {error}. Install what django-data-sync requires."
        ) from error
    except UnicodeDecodeError as error:
        raise MalformedSheet(
            f"It is not UTF-8: byte {error.object[error.start]:#04x} has no meaning there. Save it in UTF-8 (in Excel: "
            "“CSV UTF-8”)."
        ) from None
    except Exception as error:  # Libraries raise what they like for bytes that nobody made with them.
        raise MalformedSheet(
            f"It cannot be read as {form.name} ({type(error).__name__}: {str(error)[:200]}). Open it in the program "
            "that it comes from, save it again, and see that the format is the right one."
        ) from error


def column_letters(index: int) -> str:
    """The name of a column, counted from 0, as spreadsheets have it."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
