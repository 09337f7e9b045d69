"""Values as a review shows them: what to say for one side of one row. Pure functions, no HTML."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from data_sync.core.records import MISSING, key_text
from data_sync.core.text import Fold, Mark, Segment, TextDiff, diff_text, fold

CONTEXT = 3
"""Lines left standing on both sides of a folded run."""
FOLD_CHARACTERS = 800
"""An unchanged stretch of a line is folded from this length on; a quarter of it stays on either side."""
CLAMP_LINES = 20
CLAMP_SLACK = 4
"""Fewer lines than that are not worth hiding."""
CLAMP_CHARACTERS = 2_000
CLAMP_ITEMS = 20
MAX_MARKS = 300
"""More marked stretches than that in one text say nothing, and cost the page its speed."""

Absence = Literal["absent", "null", "empty", "none", "no_file", "unknown"]
Trouble = Literal["", "too_large", "broken"]
"""Why a picture has no thumbnail."""
Reveal = Literal["", "spaces", "characters"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Text that is shown. `folded` says how much there is behind a fold: ("lines", 40); None: it shows."""

    text: str
    mark: Mark = Mark.EQUAL
    folded: tuple[Literal["lines", "characters", "items"], int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A reference, by natural key. `created_by` is the change of this changeset that adds the row."""

    text: str
    mark: Mark = Mark.EQUAL
    created_by: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePlace:
    """Where a file's bytes are. Of a picture also where its thumbnail is, its dimensions where they are known (else
    0), and why it has no thumbnail."""

    url: str = ""
    thumbnail: str = ""
    width: int = 0
    height: int = 0
    trouble: Trouble = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCell:
    name: str
    size: int
    checksum: str
    is_missing: bool
    place: FilePlace


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One side of one row. An `absence` stands for there being no value to show.

    `kept` are the links that both sides have, which one side names and the other counts.
    `mark` is for the cell as a whole. `reveal` asks for signs where the sides would look the same.
    """

    absence: Absence | None = None
    stretches: tuple[Stretch, ...] = ()
    items: tuple[Item, ...] = ()
    kept: tuple[str, ...] = ()
    names_kept: bool = True
    file: FileCell | None = None
    is_code: bool = False
    mark: Mark = Mark.EQUAL
    reveal: Reveal = ""


ABSENT = Cell(absence="absent")
UNKNOWN = Cell(absence="unknown")


@dataclass(slots=True)
class Patience:
    """How long one page may look for words that differ: after 0.2 s, texts are compared by their ends only."""

    seconds: float = 0.2
    _until: float = field(init=False)

    def __post_init__(self) -> None:
        self._until = time.monotonic() + self.seconds

    def budget(self) -> int:
        return 100_000 if time.monotonic() < self._until else 0


def text_cells(before: str, after: str, patience: Patience) -> tuple[Cell, Cell, TextDiff]:
    """Both sides of a text that changed, with its words marked and what is the same folded."""
    diff = diff_text(before, after, budget=patience.budget())
    if len(diff.before) + len(diff.after) > MAX_MARKS:
        diff = diff_text(before, after, budget=0)
    reveal: Reveal = "spaces" if diff.whitespace_only else "characters" if diff.unicode_only else ""
    left, right = (
        Cell(stretches=tuple(folded(side)), mark=mark, reveal=reveal) if text else Cell(absence="empty", mark=mark)
        for side, text, mark in ((diff.before, before, Mark.REMOVED), (diff.after, after, Mark.ADDED))
    )
    return left, right, diff


def folded(segments: Sequence[Segment]) -> Iterator[Stretch]:
    """The segments with long equal runs folded: lines, and the middle of a long line."""
    for part in fold(segments, context=CONTEXT):
        if isinstance(part, Fold):
            yield Stretch(text=part.text, folded=("lines", part.lines))
        elif part.mark is not Mark.EQUAL or len(part.text) < FOLD_CHARACTERS:
            yield Stretch(text=part.text, mark=part.mark)
        else:
            yield from _folded_line(part.text)


def plain_cell(value: Any, *, mark: Mark = Mark.EQUAL, is_json: bool = False, words: bool = False) -> Cell:
    """A value on its own, clamped. Texts stand as they are, unless `is_json` asks for their quotes.

    `words` marks not only the cell, but every word in it: where one side of an update is shown.
    """
    of_words = mark if words else Mark.EQUAL
    match value:
        case None:
            return Cell(absence="null", mark=mark)
        case "" if not is_json:
            return Cell(absence="empty", mark=mark)
        case str() if not is_json:
            return Cell(stretches=tuple(_clamped(value, of_words)), mark=mark)
        case _:
            return Cell(stretches=tuple(_clamped(json_text(value), of_words)), mark=mark, is_code=True)


def json_text(value: Any) -> str:
    """JSON for reading: indented where it has members, non-ASCII as it is."""
    return json.dumps(value, ensure_ascii=False, indent=2 if isinstance(value, dict | list) and value else None)


def reference_cell(key: Any, created_by: int | None, mark: Mark, *, words: bool, model: str = "") -> Cell:
    """A row of another model by its key; `model` names the model where it may be one of several."""
    if key is None:
        return Cell(absence="null", mark=mark)
    text = f"{model} {_key(key)}" if model else _key(key)
    return Cell(items=(Item(text=text, mark=mark if words else Mark.EQUAL, created_by=created_by),), mark=mark)


def links_cell(
    own: Iterable[Any],
    kept: Iterable[Any],
    mark: Mark,
    created_by: Callable[[Any], int | None],
    *,
    words: bool,
    names_kept: bool = True,
) -> Cell:
    """One side of a many-to-many: the keys that only this side has, and behind a fold what both have."""
    of_words = mark if words else Mark.EQUAL
    items = tuple(Item(text=_key(key), mark=of_words, created_by=created_by(key)) for key in own)
    shared = tuple(map(_key, kept))
    if not items and not shared:
        return Cell(absence="none")
    return Cell(items=items, kept=shared, names_kept=names_kept, mark=mark if items else Mark.EQUAL)


def file_cell(described: dict[str, Any] | None, place: FilePlace, mark: Mark) -> Cell:
    if described is None:
        return Cell(absence="no_file", mark=mark)
    return Cell(
        file=FileCell(
            name=described["name"],
            size=described["size"],
            checksum=described["checksum"],
            is_missing=described["checksum"] == MISSING,
            place=place,
        ),
        mark=mark,
    )


def path_text(path: Sequence[str | int]) -> str:
    """Where inside a field: `tags[2].label`; a name with odd characters is quoted: `["a.b"]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.isidentifier():
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part, ensure_ascii=False)}]"
    return text


def _key(key: Any) -> str:
    return key_text(tuple(key)) if isinstance(key, list) else str(key)


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


def _clamped(text: str, mark: Mark) -> Iterator[Stretch]:
    lines = text.splitlines(keepends=True)
    if len(lines) > CLAMP_LINES + CLAMP_SLACK:
        yield Stretch(text="".join(lines[:CLAMP_LINES]), mark=mark)
        rest = "".join(lines[CLAMP_LINES:])
        yield Stretch(text=rest, mark=mark, folded=_extent(rest))
    elif len(text) > CLAMP_CHARACTERS + FOLD_CHARACTERS:
        cut = _space(text, CLAMP_CHARACTERS, CLAMP_CHARACTERS + 40)
        yield Stretch(text=text[:cut], mark=mark)
        yield Stretch(text=text[cut:], mark=mark, folded=_extent(text[cut:]))
    else:
        yield Stretch(text=text, mark=mark)


def _extent(text: str) -> tuple[Literal["lines", "characters"], int]:
    lines = len(text.splitlines())
    return ("lines", lines) if lines > 1 else ("characters", len(text))
