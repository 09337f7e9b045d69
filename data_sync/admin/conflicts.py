"""Conflicts in words: what has happened here since both sides last agreed, and what accepting would do to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from django.utils.dateparse import parse_datetime
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from data_sync.core.states import Operation
from data_sync.models import Change
from data_sync.services.moved import Kind, Moved

from .dates import moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """`what` happened here, by whom; `outcome` is what accepting comes to; `seen` is what a reviewer says to accept.
    `is_base_known`: what both sides had is still kept."""

    what: SafeString
    outcome: str
    seen: str
    is_acknowledged: bool
    is_base_known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedRow:
    """A row that is not as it was at the pull: what to say about it, and the digest that a reviewer has seen.

    Only of one that was edited there is something to acknowledge.
    """

    kind: Kind
    what: str
    seen: str = ""
    digest: str = ""
    is_acknowledged: bool = False


def moved_row_of(row_change: Change, moved: Moved | None, label: Callable[[str], str]) -> MovedRow | None:
    """None for a row that is as it was at the pull. `label` gives a field's name for people."""
    if moved is None:
        return None
    return MovedRow(
        kind=moved.kind,
        what=_moved_words(moved, label),
        seen=_("I have seen the row as it is now") if moved.digest else "",
        digest=moved.digest,
        is_acknowledged=bool(moved.digest) and row_change.acknowledged_digest == moved.digest,
    )


def _moved_words(moved: Moved, label: Callable[[str], str]) -> str:
    match moved.kind:
        case "edited":
            return _("Changed here since the pull: %(names)s.") % {"names": ", ".join(map(label, moved.names))}
        case "done":
            return _("The row is already here as it comes in: there is nothing left to write.")
        case "gone":
            return _("The row is gone here since the pull. Pull again.")
        case "left":
            return _("The row has left what is synced since the pull. Pull again.")
        case "added":
            return _("The row has been added here since the pull. Pull again.")
        case "rekeyed":
            return _("The row was given another natural key here since the pull, %(key)s. Pull again.") % {
                "key": moved.detail
            }
        case "unreadable":
            return _("The row cannot be read any more. Mend it, or pull again. %(reason)s") % {"reason": moved.detail}
        case _:
            assert_never(moved.kind)


def conflict_of(row_change: Change) -> Conflict | None:
    """None for a change that is no conflict."""
    if not row_change.is_conflict:
        return None
    removed = row_change.conflict.get("kind") == "removed"
    return Conflict(
        what=_what(removed, row_change.conflict.get("by", ""), row_change.conflict.get("at", "")),
        is_base_known=row_change.base is not None,
        outcome=_outcome(removed, row_change.operation),
        seen=_("I have seen that it was deleted here") if removed else _("I have seen what was changed here"),
        is_acknowledged=bool(row_change.acknowledged_digest),
    )


def _what(removed: bool, by: str, at: str) -> SafeString:
    found = parse_datetime(at) if at else None
    when = at if found is None else moment(found)
    if by and when:
        pattern = _("Deleted here by {who}, {when}.") if removed else _("Changed here by {who}, {when}.")
    elif by:
        pattern = _("Deleted here by {who}.") if removed else _("Changed here by {who}.")
    elif removed:
        pattern = _("Deleted here since both sides last agreed; nobody recorded by whom.")
    else:
        pattern = _("Changed here since both sides last agreed; nobody recorded by whom.")
    return format_html(pattern, who=format_html("<bdi>{}</bdi>", by), when=when)


def _outcome(removed: bool, operation: str) -> str:
    if removed:
        return _("Accepting adds it again.")
    if operation == Operation.DELETE:
        return _("Accepting deletes it with what was changed here.")
    return _("Accepting overwrites what was changed here.")
