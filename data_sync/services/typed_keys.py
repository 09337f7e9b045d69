"""Natural keys as people write them: in parts, as JSON, or how they begin."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_sync import registry
from data_sync.core import canonical
from data_sync.core.errors import InvalidInput, MalformedStream
from data_sync.models import Change

from .content import key_digest

Key = tuple[Any, ...]

GUESSES = 64
"""So many readings of what was typed are looked up: 7 may be a number or a text."""
SUGGESTED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The keys, as people read them, that what was typed may mean; `key` where it means one."""

    key: Key | None
    suggestions: tuple[str, ...] = ()
    has_more: bool = False


def find_key(label: str, words: Sequence[str]) -> Found:
    """Reads what somebody has typed as a natural key: its parts, one text with `·` between them, a JSON array, or the
    beginning of one. Raises `InvalidInput` for a model that nothing is known of, and for no words."""
    words = [word.strip() for word in words if word.strip()]
    if not words:
        raise InvalidInput("Name the row: the parts of its natural key, or a JSON array of them.")
    if registration_labelled(label) is None and not Change.objects.filter(model=label).exists():
        raise InvalidInput(f"{label} is not registered here, and no change is of it. Write it as app.model.")
    readings = {key_digest(canonical.dumps(list(key))): key for key in _readings(words)}
    known = Change.objects.filter(model=label, key_digest__in=readings).order_by().values_list("key_digest", flat=True)
    found = [readings[digest] for digest in known.distinct()[:2]]
    if len(found) == 1:
        return Found(key=found[0])
    if found:
        return Found(key=None, suggestions=tuple(canonical.dumps(list(key)) for key in found))
    return _by_beginning(label, " · ".join(words), readings)


def _by_beginning(label: str, text: str, readings: Mapping[str, Key]) -> Found:
    rows = Change.objects.filter(model=label, key_text__istartswith=text).order_by("key_text")
    texts = list(rows.values_list("key_text", flat=True).distinct()[: SUGGESTED + 1])
    if len(texts) == 1:
        key = rows.values_list("key", flat=True)[:1].get()
        return Found(key=tuple(key))
    if not texts:
        # A row that was renamed before anything else is known of it is found by its old key alone.
        return Found(key=next(iter(readings.values()), None))
    return Found(key=None, suggestions=tuple(texts[:SUGGESTED]), has_more=len(texts) > SUGGESTED)


def _readings(words: Sequence[str]) -> Iterator[Key]:
    if len(words) == 1:
        value = _json(words[0])
        if isinstance(value, list):
            yield tuple(value)
            return
        parts = [part.strip() for part in words[0].split("·")]
        if len(parts) > 1:
            yield from _typed(parts)
    yield from _typed(words)


def _typed(parts: Sequence[str]) -> Iterator[Key]:
    choices: list[list[Any]] = []
    for part in parts:
        value = _json(part)
        others = [] if isinstance(value, str | list | dict) or (value is None and part != "null") else [value]
        choices.append([part, *others, *([None] if part == "∅" else [])])
    yield from itertools.islice(itertools.product(*choices), GUESSES)


def _json(text: str) -> Any:
    """The value; the text itself where it is no JSON."""
    try:
        return canonical.loads(text)
    except (MalformedStream, ValueError):
        return text


def registration_labelled(label: str) -> registry.Registration | None:
    return next((one for one in registry.registrations() if one.label == label), None)
