"""Two versions of a text as one, with marks: `A [-quick-]{+slow+} fox`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from data_sync.core.text import Fold, Mark, Segment, TextDiff, diff_text, fold

from .words import bounded, count, visible

Style = Callable[[str], str]
NEAR = 60
"""Characters of what did not change that are shown next to what did, where not all is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paint:
    """How what goes and what comes is set apart beside the marks: in colour, or not at all."""

    removed: Style = str
    added: Style = str


def marked(before: str, after: str, paint: Paint, most: int | None) -> str:
    """The two texts as one. With `most`, long stretches are cut, to so many characters where they differ.

    Numbers, dates and single words stand beside each other, `12.90 → 13.40`, unless they look the same.
    """
    diff = diff_text(before, after)
    if not diff.unicode_only and not (_is_prose(before) or _is_prose(after)):
        return f"{paint.removed(bounded(visible(before), most))} → {paint.added(bounded(visible(after), most))}"
    pieces = list(_pieces(diff, short=most is not None))
    shown = "".join(_shown(piece, diff, paint, most, last=piece is pieces[-1]) for piece in pieces)
    if diff.unicode_only:
        return f"{shown}  (may look the same: only Unicode forms or invisible characters differ)"
    return f"{shown}  (only white space differs)" if diff.whitespace_only else shown


def _is_prose(text: str) -> bool:
    return len(text) > 40 or (any(map(str.isspace, text)) and any(map(str.isalpha, text)))


def _pieces(diff: TextDiff, *, short: bool) -> Iterator[Segment | Fold]:
    merged = list(_merged(diff))
    if not short:
        yield from merged
        return
    folded = fold(merged)
    for place, piece in enumerate(folded):
        if isinstance(piece, Fold) or piece.mark is not Mark.EQUAL:
            yield piece
            continue
        near_start = 0 < place and not isinstance(folded[place - 1], Fold)
        near_end = place + 1 < len(folded) and not isinstance(folded[place + 1], Fold)
        yield from _near(piece.text, near_start, near_end)


def _near(text: str, near_start: bool, near_end: bool) -> Iterator[Segment | Fold]:
    """The ends of an unchanged stretch that touch a change; all of it where little would be left out."""
    kept = NEAR * (near_start + near_end) or len(text)
    if len(text) <= kept + 40:
        yield Segment(mark=Mark.EQUAL, text=text)
        return
    head, tail = (NEAR if near_start else 0), (NEAR if near_end else 0)
    if head:
        yield Segment(mark=Mark.EQUAL, text=text[:head])
    yield Fold(text=text[head : len(text) - tail], lines=0)
    if tail:
        yield Segment(mark=Mark.EQUAL, text=text[len(text) - tail :])


def _merged(diff: TextDiff) -> Iterator[Segment]:
    """Both sides in one row: they have the same equal segments in the same order."""
    before, after = deque(diff.before), deque(diff.after)
    while before or after:
        if before and before[0].mark is Mark.REMOVED:
            yield before.popleft()
        elif after and after[0].mark is Mark.ADDED:
            yield after.popleft()
        else:
            yield before.popleft()
            after.popleft()


def _shown(piece: Segment | Fold, diff: TextDiff, paint: Paint, most: int | None, *, last: bool) -> str:
    if isinstance(piece, Fold):
        if piece.lines:
            return f"⟨{count(piece.lines, 'unchanged line')}⟩\n"
        return f"⟨{count(len(piece.text), 'unchanged character')}⟩"
    changed = piece.mark is not Mark.EQUAL
    text = piece.text.replace("\n", "⏎\n") if changed else piece.text
    text = visible(text, ends_line=last, all_hidden=diff.unicode_only)
    match piece.mark:
        case Mark.REMOVED:
            return paint.removed(f"[-{bounded(text, most)}-]")
        case Mark.ADDED:
            return paint.added(f"{{+{bounded(text, most)}+}}")
        case Mark.EQUAL:
            return text
