"""The closed vocabularies of DESIGN's words: states, operations, decisions, outcomes."""

from __future__ import annotations

from enum import StrEnum


class Operation(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    RENAME = "rename"


class RenameChoice(StrEnum):
    """How an accepted rename is written: the row keeps its primary key, or is deleted and made anew."""

    RENAME = "rename"
    REPLACE = "replace"


class Decision(StrEnum):
    UNDECIDED = "undecided"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class Outcome(StrEnum):
    APPLIED = "applied"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    STALE = "stale"
    BLOCKED = "blocked"
    FAILED = "failed"


class PullKind(StrEnum):
    """What a pull reads: an environment over HTTP, an uploaded bundle or spreadsheet, or the inverse of a changeset."""

    SOURCE = "source"
    BUNDLE = "bundle"
    SHEET = "sheet"
    REVERT = "revert"


class PullState(StrEnum):
    QUEUED = "queued"
    READING = "reading"
    COMPARING = "comparing"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_active(self) -> bool:
        return self in (PullState.QUEUED, PullState.READING, PullState.COMPARING)


class ChangesetState(StrEnum):
    PENDING = "pending"
    BLOCKED = "blocked"
    APPROVED = "approved"
    APPLYING = "applying"
    APPLIED = "applied"
    STALE = "stale"
    FAILED = "failed"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"
    REVERTED = "reverted"


class AutoApply(StrEnum):
    """How far a changeset is that was to be applied by itself. One attempt: `due` becomes one of the others, once."""

    DUE = "due"
    APPROVED = "approved"
    LEFT = "left"
