"""Cutting text into the pieces that a word diff compares."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

# Scripts that put no spaces between words: a piece is one character with its marks.
_UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf"  # Myanmar, Khmer, Tai
    "\u3005-\u3007\u3040-\u30ff\u3100-\u312f\u31a0-\u31bf\u31f0-\u31ff\uff66-\uff9f"  # kana, Bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
_MODIFIERS = "\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f\U000e0100-\U000e01ef"
"""Skin tones, flag tags, variation selectors: they alter the character before them."""


def words(text: str) -> list[str]:
    """The text's words, signs and white space; joined, they are the text again.

    A word or a sign takes the one space before it along. Line ends, tabs and further spaces stand
    alone, CR LF as one piece. Combining marks, and what belongs to one emoji, stay together.
    """
    return _pattern().findall(text)


def lines(text: str) -> list[str]:
    """The text's lines with their ends; joined, they are the text again. Only LF ends a line."""
    return re.findall(r"[^\n]*+\n|[^\n]++", text)


def sentences(text: str) -> list[str]:
    """The text's lines, and sentences within a line, with what ends them; joined, they are the text again."""
    return [sentence for sentence in _SENTENCE.findall(text) if sentence]


_SENTENCE = re.compile(r"(?:[^\n.!?。！？]++|[.!?]++(?! ))*+(?:\n|[.!?]++|[。！？]++)?")


@cache
def marks() -> str:
    """Combining marks, as ranges for a character class of `re`, which has no name for them."""
    found: list[list[int]] = []
    for code in range(0x300, 0x10000):
        if unicodedata.category(chr(code)).startswith("M"):
            if found and found[-1][1] == code - 1:
                found[-1][1] = code
            else:
                found.append([code, code])
    return "".join(f"\\u{first:04x}-\\u{last:04x}" for first, last in found) + _MODIFIERS


@cache
def _pattern() -> re.Pattern[str]:
    letter = rf"[^\W{_UNSPACED}]"
    mark = rf"[{marks()}]"
    inner_mark = rf"[{marks()}\u200c\u200d]"
    letters = rf"{letter}++(?:{inner_mark}++{letter}*+)*+"
    joint = rf"(?:['’](?={letter})|(?<=\d)(?:\.(?=\d)|,(?=\d\d\d(?!\d))))"
    sign = rf"[^\w\s]{mark}*+"
    piece = "|".join(
        (
            rf"{letters}(?:{joint}{letters})*+",
            rf"[{_UNSPACED}]{mark}*+",
            "[\U0001f1e6-\U0001f1ff]{2}",  # two letters that make a flag
            rf"{sign}(?:\u200d{sign})*+",
        )
    )
    return re.compile(rf"\r\n| ?+(?:{piece})|\s")
