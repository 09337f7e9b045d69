"""Values as a review shows them: what to say for one side of one row. Pure functions, no HTML."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from data_sync.core.records import MISSING, key_text
from data_sync.core.text import Mark, TextDiff, diff_text

from .folding import Rest, Stretch, clamped, folded

MAX_MARKS = 300
"""More marked stretches than that in one text say nothing, and cost the page its speed."""

Absence = Literal["absent", "null", "empty", "none", "no_file", "unknown", "redacted", "redacted_change"]
Trouble = Literal["", "too_large", "broken", "other"]
"""Why a picture has no thumbnail: "other" is that the storage has other bytes, or none, by now."""
Reveal = Literal["", "spaces", "characters"]


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

    `kept` are the links that both sides have, which one side names and
    the other counts. `left_out` counts the items and the kept links for which the page has no room.
    `mark` is for the cell as a whole. `reveal` asks for signs where the sides would look the same.
    """

    absence: Absence | None = None
    stretches: tuple[Stretch, ...] = ()
    rest: Rest | None = None
    items: tuple[Item, ...] = ()
    kept: tuple[str, ...] = ()
    names_kept: bool = True
    left_out: tuple[int, int] = (0, 0)
    file: FileCell | None = None
    is_code: bool = False
    mark: Mark = Mark.EQUAL
    reveal: Reveal = ""

    @property
    def says_nothing(self) -> bool:
        """Whether there is no value, or an empty one: of a redacted one that is not told."""
        return self.absence is not None and self.absence not in ("redacted", "redacted_change")

    @property
    def is_cut(self) -> bool:
        """Whether the page has no room for all of it."""
        rest = () if self.rest is None else self.rest.stretches
        return any(self.left_out) or any(stretch.is_cut for stretch in (*self.stretches, *rest))


ABSENT = Cell(absence="absent")
UNKNOWN = Cell(absence="unknown")
REDACTED = Cell(absence="redacted")
REDACTED_CHANGE = Cell(absence="redacted_change")
"""What stands for a redacted value: alone, and where it differs. Whether it is null or empty is not told either."""


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
        _text_cell(list(folded(side)), mark=mark, reveal=reveal) if text else Cell(absence="empty", mark=mark)
        for side, text, mark in ((diff.before, before, Mark.REMOVED), (diff.after, after, Mark.ADDED))
    )
    return left, right, diff


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
            return _text_cell([Stretch(text=value, mark=of_words)], mark=mark)
        case _:
            return _text_cell([Stretch(text=json_text(value), mark=of_words)], mark=mark, is_code=True)


def _text_cell(stretches: Sequence[Stretch], *, mark: Mark, is_code: bool = False, reveal: Reveal = "") -> Cell:
    shown, rest = clamped(stretches)
    return Cell(stretches=shown, rest=rest, mark=mark, is_code=is_code, reveal=reveal)


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
