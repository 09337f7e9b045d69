"""Word-level marks for two versions of a text, and folding of what is the same in both."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from . import tokens
from .alignment import TOO_COSTLY, Budget, align
from .visible import is_invisible

Level = Literal["word", "line", "whole"]
Stretch = tuple[bool, str, str]
"""Whether both sides are the same here, the text before, the text after."""


class Mark(StrEnum):
    EQUAL = "equal"
    REMOVED = "removed"
    ADDED = "added"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    mark: Mark
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Whole unchanged lines that need not be shown; `lines` is their count."""

    text: str
    lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDiff:
    """Two versions of a text, cut where they differ.

    The texts of `before` joined are the text before, those of `after` the text after; no segment is
    empty. Both sides have the same equal segments in the same order; two may touch, where the other
    side has something between them.

    `level` is the coarsest comparison that was needed: `word`; `line`, where some lines or sentences
    are marked as a whole; `whole`, where all between the first and the last difference is. `note` is
    `too_costly` where the level is not `word`.
    """

    before: tuple[Segment, ...]
    after: tuple[Segment, ...]
    level: Level = "word"
    note: str | None = None
    whitespace_only: bool = False
    """The texts differ, but not without their white space: spaces of any kind, tabs, line ends."""
    unicode_only: bool = False
    """The texts differ, but not in NFC without invisible characters: they may well look the same."""


def diff_text(before: str, after: str, *, budget: int = 300_000) -> TextDiff:
    """Marks the words that differ. Where that costs more than the budget, words within differing lines
    or sentences, then those as a whole, at last everything from the first difference to the last.

    The budget is in steps of at most 0.1 µs and may be spent twice. A thousand words with a twentieth
    of them edited take some 100,000 steps. Deterministic.
    """
    if before == after:
        equal = (Segment(mark=Mark.EQUAL, text=before),) if before else ()
        return TextDiff(before=equal, after=equal)
    start, end = _common_ends(before, after)
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    level, stretches = _compare(old, new, budget)
    head, tail = before[:start], before[len(before) - end :]
    segments_before, segments_after = _segments([(True, head, head), *stretches, (True, tail, tail)])
    return TextDiff(
        before=segments_before,
        after=segments_after,
        level=level,
        note=None if level == "word" else TOO_COSTLY,
        whitespace_only="".join(old.split()) == "".join(new.split()),
        unicode_only=_looks_same(old, new),
    )


def fold(segments: Iterable[Segment], context: int = 3) -> list[Segment | Fold]:
    """Takes out runs of unchanged lines, but for `context` lines next to a change and at both ends.

    Both sides of a `TextDiff` fold at the same places. A single line is not folded.
    """
    folded: list[Segment | Fold] = []
    for segment in segments:
        lines = tokens.lines(segment.text) if segment.mark is Mark.EQUAL else []
        # The first line and an unfinished last one belong to what is beside them: they do not count.
        start = context + 1
        end = len(lines) - context - (not segment.text.endswith("\n"))
        if end - start < 2:
            folded.append(segment)
            continue
        folded += [
            Segment(mark=Mark.EQUAL, text="".join(lines[:start])),
            Fold(text="".join(lines[start:end]), lines=end - start),
            Segment(mark=Mark.EQUAL, text="".join(lines[end:])),
        ]
    return [part for part in folded if part.text]


def _compare(before: str, after: str, budget: int) -> tuple[Level, list[Stretch]]:
    words = _align_text(before, after, tokens.words, 2, Budget(budget))
    if words is not None:
        return "word", words
    steps = Budget(budget)
    sentences = _align_text(before, after, tokens.sentences, 0.1, steps)
    if sentences is None or len(sentences) == 1:
        return "whole", [(False, before, after)]
    level: Level = "word"
    stretches: list[Stretch] = []
    for equal, old, new in sentences:
        finer = None
        if not equal and old and new:
            finer = _align_text(old, new, tokens.words, 2, steps)
            if finer is None:
                level = "line"
        stretches += finer or [(equal, old, new)]
    return level, stretches


def _align_text(
    before: str, after: str, cut: Callable[[str], list[str]], steps_a_character: float, budget: Budget
) -> list[Stretch] | None:
    if not budget.spend(int((len(before) + len(after)) * steps_a_character)):
        return None
    left, right = cut(before), cut(after)
    runs = align(left, right, budget)
    if runs is None:
        return None
    return [
        (
            run.equal,
            "".join(left[run.before.start : run.before.stop]),
            "".join(right[run.after.start : run.after.stop]),
        )
        for run in runs
    ]


def _segments(stretches: Iterable[Stretch]) -> tuple[tuple[Segment, ...], tuple[Segment, ...]]:
    before: list[Segment] = []
    after: list[Segment] = []
    same = ""

    def close() -> None:
        if same:
            equal = Segment(mark=Mark.EQUAL, text=same)
            before.append(equal)
            after.append(equal)

    for equal, old, new in stretches:
        if equal:
            same += old
            continue
        # Both words brought their space along: it did not change.
        space = " " if old.startswith(" ") and new.startswith(" ") else ""
        same += space
        close()
        same = ""
        if old != space:
            before.append(Segment(mark=Mark.REMOVED, text=old[len(space) :]))
        if new != space:
            after.append(Segment(mark=Mark.ADDED, text=new[len(space) :]))
    close()
    return tuple(before), tuple(after)


def _common_ends(before: str, after: str) -> tuple[int, int]:
    """How many characters both texts start and end with, back to where a word or a line starts."""
    start = _common(lambda size: before[:size] == after[:size], min(len(before), len(after)))
    start = max(before.rfind(" ", 0, start), *(before.rfind(sign, 0, start) + 1 for sign in "\n。"))
    longest = min(len(before), len(after)) - start
    end = _common(lambda size: before[len(before) - size :] == after[len(after) - size :], longest)
    tail = re.search(r" |(?<=[\n。])", before[len(before) - end :])
    return start, end - tail.start() if tail else 0


def _common(same: Callable[[int], bool], longest: int) -> int:
    """The greatest size for which `same` holds, by bisection: comparing slices is fast, characters not."""
    shortest = 0
    while shortest < longest:
        size = (shortest + longest + 1) // 2
        if same(size):
            shortest = size
        else:
            longest = size - 1
    return shortest


def _looks_same(before: str, after: str) -> bool:
    if before.isascii() and after.isascii():
        return False
    start, other = sorted((_decomposed_start(before), _decomposed_start(after)), key=len)
    if not other.startswith(start):
        return False  # the usual answer, and a cheap one
    before, after = _bare(before), _bare(after)
    # Sorting a run of marks takes quadratic time, five seconds at 100 kB. No text in any language
    # has more than 30 in a row (Unicode Standard Annex 15, stream-safe text format).
    marks = "".join(sorted(filter(unicodedata.combining, set(before) | set(after))))
    if marks:
        endless = re.compile(f"[{re.escape(marks)}]{{31}}")
        if endless.search(before) or endless.search(after):
            return False
    return unicodedata.normalize("NFC", before) == unicodedata.normalize("NFC", after)


def _decomposed_start(text: str) -> str:
    """How a text starts in NFD; without marks at its end, which more marks might follow."""
    start = unicodedata.normalize("NFD", _bare(text[:100]))
    while start and unicodedata.combining(start[-1]):
        start = start[:-1]
    return start


def _bare(text: str) -> str:
    return text.translate({ord(character): None for character in set(text) if is_invisible(character)})
