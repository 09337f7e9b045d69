"""Tables that fit a terminal of 80 columns."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Generator, Sequence

GAP = 2


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()
) -> Generator[str, None, None]:
    """Lines of a table; cells that do not fit are wrapped, the widest columns first.

    `numbers` are the positions of columns to be set right.
    """
    widths = _widths([head, *rows], _columns())
    yield _line(head, widths, numbers)
    for row in rows:
        cells = [_wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
        for part in range(max(map(len, cells))):
            yield _line([cell[part] if part < len(cell) else "" for cell in cells], widths, numbers)


def wrapped(text: str, indent: str, first: str | None = None) -> list[str]:
    """A sentence in lines that fit, indented."""
    initial = indent if first is None else first
    return textwrap.wrap(
        text, _columns() - 1, initial_indent=initial, subsequent_indent=indent, break_long_words=False
    ) or [initial]


def _columns() -> int:
    return min(shutil.get_terminal_size((80, 24)).columns, 120) if sys.stdout.isatty() else 80


def _widths(rows: Sequence[Sequence[str]], columns: int) -> list[int]:
    widths = [max(_width(row[i]) for row in rows) for i in range(len(rows[0]))]
    least = [min(width, max(8, _width(name))) for width, name in zip(widths, rows[0], strict=True)]
    while sum(widths) + GAP * (len(widths) - 1) > columns - 1:
        room = [width - smallest for width, smallest in zip(widths, least, strict=True)]
        widest = max(range(len(widths)), key=lambda i: (room[i] > 0, widths[i]))
        if room[widest] <= 0:
            break
        widths[widest] -= 1
    return widths


def _line(cells: Sequence[str], widths: Sequence[int], numbers: Sequence[int]) -> str:
    padded = []
    for i, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        space = " " * (width - _width(cell))
        padded.append(space + cell if i in numbers else cell + space)
    return (" " * GAP).join(padded).rstrip()


def _wrap(cell: str, width: int) -> list[str]:
    lines = [""]
    for word in re.split(r"(?<= )", cell):
        if _width(lines[-1] + word.rstrip()) > width and lines[-1]:
            lines.append("")
        for character in word:
            # A word that is wider than its column is broken.
            if _width(lines[-1] + character.rstrip()) > width:
                lines.append("")
            lines[-1] += character
    return [line.rstrip() for line in lines]


def _width(text: str) -> int:
    """Columns that a text takes: two for wide characters, none for what is set upon another."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )
