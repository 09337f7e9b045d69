"""Making visible what a reader of text cannot see: invisible characters, odd spaces, bidi controls."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import assert_never

_SHOWN_FORMAT = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
"""Signs that stand round a number: format characters (Cf) by category, but they have a shape."""

_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)
"""Letters, marks and symbols without a shape: fillers, the blank of Braille, variation selectors."""

_JOINERS = "\u200c\u200d"
_CONTROL_NAMES = {"\0": "NULL", "\t": "TAB", "\r": "CARRIAGE RETURN", "\x1b": "ESCAPE", "\x7f": "DELETE"}


class PieceKind(StrEnum):
    TEXT = "text"
    SPACES = "spaces"
    CODE_POINT = "code_point"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of text and how to show it. A `code_point` piece is one character, once or repeated."""

    kind: PieceKind
    text: str

    @property
    def label(self) -> str:
        """What to show: the text itself, a middle dot for each space, `U+202E`, `U+200B×12`."""
        match self.kind:
            case PieceKind.TEXT:
                return self.text
            case PieceKind.SPACES:
                return "·" * len(self.text)
            case PieceKind.CODE_POINT:
                times = f"×{len(self.text)}" if len(self.text) > 1 else ""
                return f"U+{ord(self.text[0]):04X}{times}"
        assert_never(self.kind)

    @property
    def title(self) -> str:
        """The Unicode name of a code point, `RIGHT-TO-LEFT OVERRIDE`; "" where there is none to give."""
        if self.kind is not PieceKind.CODE_POINT:
            return ""
        return _CONTROL_NAMES.get(self.text[0], unicodedata.name(self.text[0], ""))


def make_visible(
    text: str, *, ends_line: bool = True, all_spaces: bool = False, all_hidden: bool = False
) -> list[Piece]:
    """Cuts a text into what can be shown as it is and what needs a sign; the pieces joined are the text.

    Code points are: control characters but LF, format characters (bidi controls, zero-width
    characters, soft hyphen), every space but U+0020, blank letters, and what has no assigned shape.
    `spaces` are those at the end of a line, or all of them if `all_spaces`; for a part of a longer
    text, `ends_line` tells whether a line ends behind it. Unless `all_hidden`, what belongs to an
    emoji stays text, and so do joiners within a word of a script that needs them (Persian, Hindi).
    """
    line_end = r"\r?\n|\Z" if ends_line else r"\r?\n"
    spaces = " +" if all_spaces else f"(?<! ) ++(?={line_end})"
    signs = [(*match.span(), PieceKind.SPACES) for match in re.finditer(spaces, text)]
    for start, end in _hidden_runs(text):
        if all_hidden or not _is_orthographic(text, start, end):
            signs.append((start, end, PieceKind.CODE_POINT))
    pieces: list[Piece] = []
    shown = 0
    for start, end, kind in sorted(signs):
        if shown < start:
            pieces.append(Piece(kind=PieceKind.TEXT, text=text[shown:start]))
        pieces.append(Piece(kind=kind, text=text[start:end]))
        shown = end
    if shown < len(text):
        pieces.append(Piece(kind=PieceKind.TEXT, text=text[shown:]))
    return pieces


def _hidden_runs(text: str) -> Iterator[tuple[int, int]]:
    """Where hidden characters stand, each once or repeated, as (start, end)."""
    hidden = {character for character in set(text) if _is_hidden(character)}
    if not hidden:
        return
    start = 0
    for character, run in groupby(text):
        end = start + sum(1 for _ in run)
        if character in hidden:
            yield start, end
        start = end


def is_invisible(character: str) -> bool:
    """Whether a character has neither shape nor width, so that text looks the same without it."""
    if character.isprintable():
        return character in _BLANK
    return unicodedata.category(character) == "Cf" and character not in _SHOWN_FORMAT


def _is_hidden(character: str) -> bool:
    if character == "\n" or character in _SHOWN_FORMAT:
        return False
    return character in _BLANK or not character.isprintable()


def _is_orthographic(text: str, start: int, end: int) -> bool:
    """Whether the hidden character belongs where it stands: see `make_visible`."""
    before, hidden, after = text[start - 1 : start], text[start:end], text[end : end + 1]
    if hidden == "\ufe0f" and before:  # asks for the coloured form of a symbol, or of a keycap's digit
        return before in "#*0123456789" or unicodedata.category(before) in ("So", "Sm", "Po")
    if hidden in _JOINERS and before and after:
        return (_is_emoji(before) and _is_emoji(after)) or (_takes_joiners(before) and _takes_joiners(after))
    return False


def _is_emoji(character: str) -> bool:
    return character == "\ufe0f" or unicodedata.category(character) in ("So", "Sk")


def _takes_joiners(character: str) -> bool:
    """Letters and marks from Arabic to Myanmar, and from Khmer to Mongolian."""
    block = "\u0600" <= character <= "\u109f" or "\u1780" <= character <= "\u18af"
    return block and unicodedata.category(character)[0] in "LM"
