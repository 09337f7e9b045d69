"""Values as text that is safe on a terminal, and readable: texts, sizes, times, counts."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from data_sync.core.visible import PieceKind, make_visible


def visible(text: str, *, ends_line: bool = True, all_hidden: bool = False) -> str:
    """A text with a sign for all that would not be seen, or that would command the terminal. Lines stay."""
    pieces = make_visible(text, ends_line=ends_line, all_hidden=all_hidden)
    return "".join(f"⟨{piece.label}⟩" if piece.kind is PieceKind.CODE_POINT else piece.label for piece in pieces)


def line(text: object) -> str:
    """The same in one line, for names and keys."""
    return visible(str(text).replace("\n", "⏎"), ends_line=False)


def bounded(text: str, most: int | None) -> str:
    """At most so many characters, and how many more there are; None: all."""
    if most is None or len(text) <= most + 40:
        return text
    return f"{text[:most]}… ({len(text) - most:,} more characters)"


def moment(at: datetime | None) -> str:
    """A time in the project's time zone, which it names, to the minute; "–" for none."""
    if at is None:
        return "–"
    return f"{timezone.localtime(at) if timezone.is_aware(at) else at:%Y-%m-%d %H:%M %Z}".rstrip()


def count(number: int, noun: str) -> str:
    """`1 change`, `1,200 changes`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listing(words: list[str], most: int | None = None) -> str:
    """The words with commas; of more than `most`, the first ones and how many are left."""
    if most is None or len(words) <= most:
        return ", ".join(words)
    return f"{', '.join(words[:most])} and {len(words) - most:,} more"
