"""Signs for what cannot be seen in a text: spaces at ends, invisible characters, and those that turn it round."""

from __future__ import annotations

import re
from collections.abc import Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from data_sync.core.text import Mark
from data_sync.core.visible import Piece, PieceKind, make_visible

from .cells import Reveal
from .folding import Stretch

MAX_SIGNS = 300
"""Signs for invisible characters per cell, or little more; a text that needs more says so."""
PORTION = 1_000
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
NOTHING = SafeString("")


def visible(text: str) -> SafeString:
    """A key or a name, with signs for what cannot be seen in it."""
    if text.isascii() and text.isprintable() and text == " ".join(text.split()):
        return format_html("{}", text)
    # A line of text has no line ends, and a browser shows a run of spaces as one.
    is_odd = text != text.strip() or "  " in text or not text.isprintable()
    return Signs("spaces" if is_odd else "").text(Stretch(text=text, mark=Mark.ADDED), ends_line=True)


class Signs:
    """Puts signs for what cannot be seen into one cell's text, as many as a reader can use."""

    def __init__(self, reveal: Reveal) -> None:
        self._reveal = reveal
        self._left = MAX_SIGNS
        self.are_used_up = False

    def text(self, stretch: Stretch, ends_line: bool) -> SafeString:
        is_marked = stretch.mark is not Mark.EQUAL
        spaces, characters = self._reveal == "spaces" and is_marked, self._reveal == "characters" and is_marked
        parts: list[SafeString] = []
        plain: list[str] = []
        place, text = 0, stretch.text
        # In portions: cutting all of a text that has nothing to see into pieces would take seconds.
        while place < len(text) and self._left > 0:
            following = text[place + PORTION : place + PORTION + 2]
            pieces = make_visible(
                text[place : place + PORTION],
                ends_line=following.startswith(("\n", "\r\n")) if following else ends_line,
                all_spaces=spaces,
                all_hidden=characters,
            )
            parts += [self._piece(piece, line_ends=spaces) for piece in pieces]
            plain += [piece.text for piece in pieces if piece.kind is PieceKind.TEXT]
            place += PORTION
        if place < len(text):
            self.are_used_up = True
            parts.append(format_html("{}", _BIDI.sub("\ufffd", text[place:])))
        return format_html("{}{}", joined(parts), _code_points("".join(plain)) if characters else NOTHING)

    def _piece(self, piece: Piece, *, line_ends: bool) -> SafeString:
        match piece.kind:
            case PieceKind.TEXT:
                return format_html("{}", piece.text.replace("\n", "↵\n") if line_ends else piece.text)
            case PieceKind.SPACES:
                self._left -= 1
                return format_html('<span class="ds-spaces">{}</span>', piece.label)
            case PieceKind.CODE_POINT:
                self._left -= 1
                return format_html('<span class="ds-code-point" title="{}">{}</span>', piece.title, piece.label)


def _code_points(text: str) -> SafeString:
    """The non-ASCII characters of a text that looks like another one: `é` may be one character or two."""
    codes = list(dict.fromkeys(f"U+{ord(character):04X}" for character in text if not character.isascii()))
    return format_html_join("", ' <span class="ds-code-point">{}</span>', ((code,) for code in codes[:8]))


def joined(parts: Sequence[SafeString]) -> SafeString:
    return format_html_join("", "{}", ((part,) for part in parts))
