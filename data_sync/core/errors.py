"""The errors that a user of data_sync can meet. Each message names what is wrong and what to do."""

from __future__ import annotations


class DataSyncError(Exception):
    """Base of every error that data_sync raises on purpose; `str()` is fit to be shown to a person."""


class RegistrationError(DataSyncError):
    """A model is registered in a way that cannot work. `code` names the kind, for the system checks."""

    def __init__(self, message: str, code: str = "registration") -> None:
        super().__init__(message)
        self.code = code


class InvalidInput(DataSyncError):
    """What a person or a caller gave cannot be used; the message says why and what would do."""


class NotPermitted(DataSyncError):
    """The actor lacks a permission; the message names it."""


class InvalidTransition(DataSyncError):
    """The pull or changeset is not in the state this needs; the message names both."""


class RevisionConflict(InvalidTransition):
    """Somebody else decided since the page was made. Reload, look again, decide again."""


class ApprovalVoid(InvalidTransition):
    """An approval does not hold any more, and was taken back. Look again, and approve anew."""


class ApprovalExpired(ApprovalVoid):
    """An approval held for its time and no longer. Look again, and approve anew."""


class Busy(InvalidTransition):
    """Another worker is at it. `seconds`: until its lease ends, unless it is renewed; at least 1."""

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.seconds = max(1, seconds)


class HandOverFailed(DataSyncError):
    """Work is recorded as due, but could not be handed to the queue; the message says why, and what to do."""


class NotAcknowledged(InvalidTransition):
    """A change was accepted without saying that what happened here to its row has been seen.

    `number` is the change's; `digest` that of the row as it is now, where it was edited after the pull.
    """

    def __init__(self, message: str, number: int, digest: str = "") -> None:
        super().__init__(message)
        self.number = number
        self.digest = digest


class RequirementRejected(InvalidTransition):
    """A decision would leave an accepted change without one that it requires.

    `number` is the change decided on; `missing` are the rejected changes that it requires, or, where it was to be
    rejected, the accepted ones that require it.
    """

    def __init__(self, message: str, number: int, missing: list[int]) -> None:
        super().__init__(message)
        self.number = number
        self.missing = missing


class RecordError(DataSyncError):
    """A row here cannot be expressed as a record; the message names the row."""


class MalformedStream(DataSyncError):
    """What a source sent is not what the protocol says; the message names the line."""


class MalformedSheet(DataSyncError):
    """A spreadsheet cannot be read as rows of its model; the message names each row and column, and the remedy."""


class IncompleteStream(MalformedStream):
    """A stream ended before its closing line. Nothing was concluded from it."""


class MalformedBundle(MalformedStream):
    """A file is not the bundle that it says it is; the message names the member, and what to do."""


class DuplicateKey(DataSyncError):
    """Two rows of one side share a natural key; the message names the key and the side."""


class SourceUnavailable(DataSyncError):
    """The source could not be reached or refused to answer; the message says how to mend it."""


class WrongFile(DataSyncError):
    """A file's bytes are missing, or are not those that its record promised."""


class TooManyBytes(DataSyncError):
    """The files of a pull are larger together than the settings allow; the message names the figure and the setting."""


class SchemaMismatch(DataSyncError):
    """The two sides describe their models differently; `differences` lists every one."""

    def __init__(self, message: str, differences: list[dict[str, str]]) -> None:
        super().__init__(message)
        self.differences = differences


class StaleChangeset(DataSyncError):
    """Rows are no longer what the reviewer saw; `reasons` maps change numbers to sentences."""

    def __init__(self, reasons: dict[int, str]) -> None:
        super().__init__("; ".join(f"change {number}: {reason}" for number, reason in sorted(reasons.items())[:3]))
        self.reasons = reasons


class ChangeFailed(DataSyncError):
    """Changes could not be written; `reasons` maps change numbers to sentences."""

    def __init__(self, reasons: dict[int, str]) -> None:
        super().__init__("; ".join(f"change {number}: {reason}" for number, reason in sorted(reasons.items())[:3]))
        self.reasons = reasons


class LeaseLost(DataSyncError):
    """Another worker has taken over; this one wrote nothing."""
