"""What is to be written for a change, from what is stored of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from data_sync.core.records import FileValue, Key, Record, keeping
from data_sync.orm.writes import Write

from .entries import Entry

_loads: Callable[[str], Any] = json.JSONDecoder().decode


TEXTS = ("before", "after", "files", "carried", "kept", "seen")
"""The columns of `Change` that `write_of` takes the stored texts of."""


def write_of(entry: Entry, texts: Sequence[Any], promoted: Mapping[tuple[int, str], str]) -> Write:
    """From the stored `TEXTS` of a change.

    The approval seal vouches for what was pulled, for which fields are kept, and for the digest of the row that was
    seen; whatever else is altered is found when the row is read back.

    `promoted` has, by number and field, under which names new files lie in their storage.
    """
    before, after, files, carried, kept, seen = texts
    key = tuple(_loads(entry.key_text))
    beside = _loads_object(carried), _loads_object(files)
    new = _record(entry.label, key, after, *beside, "after")
    old = None
    if before is not None and not entry.is_replaced:
        key = key if entry.previous_key is None else tuple(_loads(entry.previous_key))
        old = _record(entry.label, key, before, *beside, "before")
        if seen != "{}" and (row := _loads(seen))["digest"] == entry.seen_digest:
            old = replace(old, fields=row["fields"])
        if kept != "{}":
            new = keeping(new, old, _loads(kept)["fields"])
    stored = {name: "" if value is None else promoted.get((entry.number, name)) for name, value in new.files.items()}
    if entry.is_replaced:  # The new row takes over the files of the old one that stay as they are.
        taken = {name: sides["before"]["name"] for name, sides in beside[1].items() if sides["before"]}
        stored = {name: taken.get(name) if value is None else value for name, value in stored.items()}
    return Write(
        number=entry.number,
        after=new,
        before=old,
        pk=entry.pk,
        files={
            name: value
            for name, value in stored.items()
            if value is not None and (old is None or value or old.files[name] is not None)
        },
    )


def _loads_object(text: str) -> dict[str, Any]:
    """Most are empty."""
    return {} if text == "{}" else _loads(text)


def _record(
    label: str, key: Key, fields: str, carried: Mapping[str, Any], files: Mapping[str, Any], side: str
) -> Record:
    return Record(
        model=label,
        key=key,
        fields=_loads(fields),
        files={name: None if sides[side] is None else FileValue(**sides[side]) for name, sides in files.items()},
        carried=carried.get(side, {}),
    )
