"""One change as a reviewer reads it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from data_sync.core import canonical
from data_sync.core.records import MISSING, key_text
from data_sync.core.states import Decision, Operation, RenameChoice
from data_sync.models import Change
from data_sync.services.moved import Moved

from .marks import Paint, marked
from .table import wrapped
from .words import bounded, count, line, listing, visible

INDENT = "    "
SHORT_TEXT = 400
SHORT_LIST = 10
NOT_SHOWN = "••• (not shown)"
SIGNS = {"added": "+", "removed": "-", "changed": "~"}
EFFECTS = {
    "delete": "is deleted with it",
    "null": "loses its reference to it",
    "default": "gets its default reference",
    "set": "gets another reference",
    "unlink": "is unlinked from it",
}

BACK = {"create": "is there again", "set": "refers to it again"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How to describe: `whole` leaves nothing out, otherwise long values and lists are cut."""

    paint: Paint
    whole: bool = False

    @property
    def most_text(self) -> int | None:
        return None if self.whole else SHORT_TEXT

    @property
    def most_items(self) -> int | None:
        return None if self.whole else SHORT_LIST


def describe(change: Change, manner: Manner, redacted: Collection[str] = ()) -> Iterator[str]:
    """The change in lines: what it is, what differs, what goes with it; no value of `redacted` fields."""
    decided = "" if change.decision == Decision.UNDECIDED else f"  [{change.decision}]"
    yield f"#{change.number} {change.operation} {line(change.model)}  {_named(change)}{decided}"
    if change.undoes is not None:
        yield f"{INDENT}undoes #{change.undoes}"
    yield from _standing(change)
    for row in change.diff:
        yield from _difference(row, manner)
    yield from _agreed(change, manner, redacted)
    for name, sides in change.files.items():
        yield from _file(name, sides["before"], sides["after"])
    if change.requires:
        numbers = [f"#{number}" for number in change.requires]
        yield from wrapped(f"requires {listing(numbers, manner.most_items)}", INDENT * 2, INDENT)
    if change.kept:
        yield from wrapped(f"kept as it is here: {line(', '.join(change.kept['fields']))}", INDENT * 2, INDENT)
    if change.operation == Operation.RENAME:
        yield from _rename(change)
    yield from _cascades(change, manner.most_items)
    yield from _restores(change, manner.most_items)
    for problem in change.problems:
        yield from wrapped(f"problem: {line(problem['message'])}", INDENT * 2, INDENT)
    for warning in change.warnings:
        yield from wrapped(f"warning: {line(warning['message'])}", INDENT * 2, INDENT)
    if change.outcome:
        reason = f": {line(change.outcome_reason)}" if change.outcome_reason else ""
        yield from wrapped(f"outcome: {change.outcome}{reason}", INDENT * 2, INDENT)


def since_the_pull(moved: Moved, manner: Manner, redacted: Collection[str] = ()) -> Iterator[str]:
    """How the row here is now, if it is no longer as it was at the pull; no value of `redacted` fields."""
    if moved.record is None:
        yield from wrapped(f"the row {line(moved.reason)}: pull again", INDENT * 2, INDENT)
        return
    yield f"{INDENT}changed here since the pull; here now:"
    for name in moved.names:
        if name in redacted:
            yield from _lines(f"= {line(name)}, now", NOT_SHOWN)
            continue
        value = moved.record.fields[name]
        text = bounded(_value(value, isinstance(value, str | None)), manner.most_text)
        yield from _lines(f"= {line(name)}, now", text)
    yield f"{INDENT}to write over it: accept --acknowledge --seen {moved.digest}"


def path_text(path: Sequence[str | int]) -> str:
    """`value.theme["dark mode"].colours[2]`: the field, then object members and list positions."""
    text = line(path[0])
    for part in path[1:]:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if part.isidentifier() and part.isascii() else f"[{visible(canonical.dumps(part))}]"
    return text


def _difference(row: dict[str, Any], manner: Manner) -> Iterator[str]:
    path, kind = row["path"], row["kind"]
    if row.get("redacted"):
        text = "••• changed" if kind == "changed" else NOT_SHOWN
        yield from _lines(f"{SIGNS[kind]} {path_text(path)}", text)
        return
    plain = len(path) == 1
    before, after = row.get("before"), row.get("after")
    match kind:
        case "changed" if isinstance(before, str) and isinstance(after, str) and before and after:
            text = marked(before, after, manner.paint, manner.most_text)
        case "changed":
            plain = plain and isinstance(before, str | None) and isinstance(after, str | None)
            sides = [bounded(_value(side, plain), manner.most_text) for side in (before, after)]
            text = f"{manner.paint.removed(sides[0])} → {manner.paint.added(sides[1])}"
        case "removed":
            text = bounded(_value(before, plain), manner.most_text)
        case _:
            text = bounded(_value(after, plain), manner.most_text)
    yield from _lines(f"{SIGNS[kind]} {path_text(path)}", text)
    if row.get("note"):
        yield f"{INDENT}  (too large to compare in detail: shown as a whole)"


def _value(value: Any, plain: bool) -> str:
    """A column's text stands as it is, unless it would be taken for something else; the rest is JSON."""
    if plain and isinstance(value, str) and value.strip() == value and value not in ("", "null", "true", "false"):
        return visible(value)
    return visible(canonical.dumps(value))


def _lines(title: str, text: str) -> Iterator[str]:
    first, *more = text.split("\n")
    if not more:
        yield f"{INDENT}{title}: {first}"
        return
    yield f"{INDENT}{title}:"
    for part in (first, *more):
        yield f"{INDENT}  | {part}".rstrip()


def _file(name: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> Iterator[str]:
    if _identity(before) == _identity(after):
        return
    yield f"{INDENT}{SIGNS['added' if before is None else 'removed' if after is None else 'changed']} {line(name)}:"
    for sign, file in (("-", before), ("+", after)):
        if file is None:
            continue
        if file["checksum"] == MISSING:
            yield f"{INDENT}  {sign} {line(file['name'])}, which is missing in its storage"
            continue
        yield f"{INDENT}  {sign} {line(file['name'])}, {count(file['size'], 'byte')}"
        yield f"{INDENT}    {line(file['checksum'])}"


def _identity(file: dict[str, Any] | None) -> tuple[Any, ...] | None:
    return None if file is None else (file["checksum"], file["size"])


def _named(change: Change) -> str:
    if change.previous_key is None:
        return line(change.key_text)
    return f"{line(key_text(tuple(change.previous_key)))} → {line(change.key_text)}"


def _standing(change: Change) -> Iterator[str]:
    """What is known of the local row since both sides last agreed, and of the source's row that is gone."""
    if change.is_conflict:
        yield from wrapped(f"conflict: {_conflict(change)}", INDENT * 2, INDENT)
    elif change.operation != Operation.CREATE and not change.base_digest:
        yield f"{INDENT}unknown base: nobody can tell whether it was edited here"
    if change.left_scope:
        yield f"{INDENT}left scope: the source still has it, but not among what is synced"


def _conflict(change: Change) -> str:
    what = "deleted here" if change.conflict.get("kind") == "removed" else "changed here"
    by, at = line(change.conflict.get("by", "")), line(change.conflict.get("at", ""))
    if not by:
        told = f"{what} since both sides last agreed, nobody recorded by whom"
    else:
        told = f"{what} by {by}" + (f", {at}" if at else "")
    return f"{told} (acknowledged)" if change.acknowledged_digest else told


def _agreed(change: Change, manner: Manner, redacted: Collection[str]) -> Iterator[str]:
    """Of a conflict, the value of each field shown on which both sides last agreed."""
    if not change.is_conflict:
        return
    if change.base is None:
        yield f"{INDENT}= last agreed: not known"
        return
    for name in dict.fromkeys(row["path"][0] for row in change.diff):
        if name in redacted:
            yield f"{INDENT}= {line(name)}, last agreed: {NOT_SHOWN}"
        elif name in change.base:
            text = bounded(_value(change.base[name], isinstance(change.base[name], str | None)), manner.most_text)
            yield from _lines(f"= {line(name)}, last agreed", text)
        else:
            yield f"{INDENT}= {line(name)}, last agreed: not known"


def _rename(change: Change) -> Iterator[str]:
    if change.rename_choice == RenameChoice.REPLACE:
        yield f"{INDENT}deletes the row and adds a new one"
    else:
        yield f"{INDENT}keeps the row, under the new key (accept it with --replace to delete it and add a new one)"


def _cascades(change: Change, most: int | None) -> Iterator[str]:
    cascades: list[dict[str, Any]] = change.cascades
    if not cascades:
        return
    would = "would take" if change.operation == Operation.RENAME else "takes"
    deleting = "deleting it " if change.operation == Operation.RENAME else ""
    yield f"{INDENT}{deleting}{would} along {count(len(cascades), 'row')}:"
    for cascade in cascades[:most]:
        label = f" “{line(cascade['label'])}”" if cascade["label"] else ""
        effect = EFFECTS.get(cascade["effect"], line(cascade["effect"]))
        yield from wrapped(f"{cascade['model']} {line(cascade['pk'])}{label} {effect}", INDENT * 2, f"{INDENT}  · ")
    if most is not None and len(cascades) > most:
        yield f"{INDENT}  · and {len(cascades) - most:,} more"


def _restores(change: Change, most: int | None) -> Iterator[str]:
    """What comes back with a row that was deleted, besides the row itself."""
    rows = [row for row in change.restores if row["column"]]
    if not rows:
        return
    yield f"{INDENT}brings back {count(len(rows), 'row')}:"
    for row in rows[:most]:
        label = f" “{line(row['label'])}”" if row["label"] else ""
        yield from wrapped(
            f"{row['model']} {line(row['pk'])}{label} {BACK[row['effect']]}", INDENT * 2, f"{INDENT}  · "
        )
    if most is not None and len(rows) > most:
        yield f"{INDENT}  · and {len(rows) - most:,} more"
