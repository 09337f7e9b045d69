"""Long texts in a cell: what folds away, and how much of it shows at once. Pure functions, no HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from data_sync.core.text import Fold, Mark, Segment, fold

CONTEXT = 3
"""Lines left standing on both sides of a folded run."""
FOLD_CHARACTERS = 800
"""An unchanged stretch of a line is folded from this length on; a quarter of it stays on either side."""
CLAMP_LINES = 20
CLAMP_SLACK = 4
"""Fewer lines than that are not worth hiding."""
CLAMP_CHARACTERS = 2_000

Extent = tuple[Literal["lines", "characters"], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Text that is shown. `folded`: both sides have it alike, and so much of it is behind a fold.

    Where the page has no room, a fold has no text, and `left_out` says how much is missing at an end.
    """

    text: str
    mark: Mark = Mark.EQUAL
    folded: Extent | None = None
    left_out: Extent | None = None

    @property
    def is_cut(self) -> bool:
        return self.left_out is not None or (self.folded is not None and not self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What "show all" shows of a long text, how long that is, and in how many more places it differs."""

    stretches: tuple[Stretch, ...]
    size: Extent
    differences: int


def folded(segments: Sequence[Segment]) -> Iterator[Stretch]:
    """The segments with long equal runs folded: lines, and the middle of a long line."""
    for part in fold(segments, context=CONTEXT):
        if isinstance(part, Fold):
            yield Stretch(text=part.text, folded=("lines", part.lines))
        elif part.mark is not Mark.EQUAL or len(part.text) < FOLD_CHARACTERS:
            yield Stretch(text=part.text, mark=part.mark)
        else:
            yield from _folded_line(part.text)


def clamped(stretches: Sequence[Stretch]) -> tuple[tuple[Stretch, ...], Rest | None]:
    """What a cell shows at once, about twenty lines, and the rest if there is one; a fold takes one line.

    Lines count from the first difference on: that one always shows.
    """
    first = next((place for place, stretch in enumerate(stretches) if stretch.mark is not Mark.EQUAL), 0)
    text = "".join("\n" if stretch.folded else stretch.text for stretch in stretches[first:])
    if text.count("\n") < CLAMP_LINES + CLAMP_SLACK and len(text) <= CLAMP_CHARACTERS + FOLD_CHARACTERS:
        return tuple(stretches), None
    lines, characters = CLAMP_LINES, CLAMP_CHARACTERS
    for place, stretch in enumerate(stretches[first:], first):
        if stretch.folded is not None:
            lines -= 1
            continue
        cut = _cut(stretch.text, lines, characters)
        if cut < len(stretch.text):
            head, tail = (replace(stretch, text=text) for text in (stretch.text[:cut], stretch.text[cut:]))
            following = tuple(stretches[place + 1 :])
            begun = following if cut else (tail, *following)  # A difference that goes on is not another one.
            rest = Rest(
                stretches=(tail, *following),
                size=_extent("".join(other.text for other in (tail, *following))),
                differences=sum(other.mark is not Mark.EQUAL for other in begun),
            )
            return (*stretches[:place], *([head] if cut else ())), rest
        lines -= stretch.text.count("\n")
        characters -= len(stretch.text)
    return tuple(stretches), None


def fitted(stretches: Sequence[Stretch], characters: int) -> tuple[Stretch, ...]:
    """As much of a text as there is room for.

    What is folded because it is the same on both sides goes first, then what is at the end.
    """
    over = sum(len(stretch.text) for stretch in stretches) - characters
    kept: list[Stretch] = []
    for stretch in stretches:
        if over > 0 and stretch.folded is not None:
            over -= len(stretch.text)
            stretch = replace(stretch, text="")
        kept.append(stretch)
    gone: list[str] = []
    while over > 0:
        last, whole = kept.pop(), stretches[len(kept)].text
        left = max(0, len(last.text) - over)
        over -= len(last.text) - left
        gone.insert(0, whole[left:])
        if left:
            kept.append(replace(last, text=last.text[:left]))
    return (*kept, Stretch(text="", left_out=_extent("".join(gone)))) if gone else tuple(kept)


def _cut(text: str, lines: int, characters: int) -> int:
    """Where a text has to end to have so many lines and, up to a word, so many characters."""
    place = 0
    for _ in range(lines):
        place = text.find("\n", place) + 1
        if not place:
            place = len(text)
            break
    if place <= characters:
        return place
    return min(place, _space(text, characters, characters + 40)) if characters > 0 else 0


def _folded_line(text: str) -> Iterator[Stretch]:
    quarter = FOLD_CHARACTERS // 4
    start, end = _space(text, quarter, quarter + 40), _space(text, len(text) - quarter - 40, len(text) - quarter)
    if "\n" in text[start:end]:
        yield Stretch(text=text)
        return
    yield Stretch(text=text[:start])
    yield Stretch(text=text[start:end], folded=("characters", end - start))
    yield Stretch(text=text[end:])


def _space(text: str, low: int, high: int) -> int:
    found = text.find(" ", low, high)
    return high if found == -1 else found + 1


def _extent(text: str) -> Extent:
    """How long a text is, in the unit that says more of it."""
    lines = text.count("\n") + (not text.endswith("\n"))
    return ("lines", lines) if lines > 1 else ("characters", len(text))
