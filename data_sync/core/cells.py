"""Texts in the cells of spreadsheets, so that no program takes one for a formula, and each is read back as it was."""

from __future__ import annotations

import re

MARK = "'"
"""Before a text: what follows is text as it stands."""
_FORMULA = re.compile("[=+\\-@\t\r\n＝＋－＠]")
_MARKED = re.compile("'+(?:[=+\\-@\t\r\n＝＋－＠]|$)")


class Marked(str):
    """A cell that has its mark, if it wants one."""

    __slots__ = ()


EMPTY_TEXT = Marked(MARK)
"""The cell that stands for an empty text where an empty cell is null."""


def harmless(text: str) -> str:
    """The text as a cell may hold it: marked if a spreadsheet would calculate it, or if `meant` would alter it.

    The signs are OWASP's ("CSV Injection"), and their full-width forms, which some programs take for the same.
    """
    if isinstance(text, Marked):
        return text
    return MARK + text if _FORMULA.match(text) or _MARKED.match(text) else text


def meant(cell: str) -> str:
    """The text that a cell stands for: without its first mark, if marks are all that it has or a sign follows them.

    `meant(harmless(text)) == text` for every text.
    """
    return cell[1:] if _MARKED.match(cell) else cell
