"""What a database's refusal is about: the rows that were to be written, or the database itself."""

from __future__ import annotations

from collections.abc import Collection

from django.db import Error, InterfaceError, OperationalError, connections

from data_sync.core.unquoted import unquoted

_NOT_ABOUT_ROWS = frozenset({1020, 1205, 1213, 2006, 2013})
"""MySQL's codes for rows that another altered, a lock that did not come, a deadlock, and lost connections."""
_OF_A_WHOLE_ROW = frozenset({"23502", "23514"})
"""PostgreSQL's codes for null in a column that takes none, and for check constraints."""


def is_about_rows(error: Exception, using: str) -> bool:
    """Whether other rows, or fewer, may still be written after this, in the transaction that it was raised in.

    Ask after the savepoint around what raised it: where that is lost, so is the whole transaction.
    """
    connection = connections[using]
    if isinstance(error, InterfaceError) or connection.needs_rollback:
        return False
    if isinstance(error, Error) and connection.vendor == "mysql":
        return not error.args or error.args[0] not in _NOT_ABOUT_ROWS
    return not isinstance(error, OperationalError)


def words_of(error: BaseException, redacted: Collection[str]) -> str:
    """What an error says, in one line, but for a whole row. Where fields are redacted, whose values databases and the
    project's own code quote, it says of which kind it is, and which constraint it is about, as far as the database
    tells; in full only what is about the database itself: that it is busy, or was lost."""
    if not redacted:
        return _primary(error) if _quotes_a_whole_row(error) else " ".join(str(error).split())
    if is_about_the_database(error):
        return _primary(error)
    return (
        f"{_without_values(error)}; what it says is not shown, because it may quote redacted fields "
        f"({', '.join(sorted(set(redacted)))})"
    )


def without_values(error: BaseException) -> str:
    """What an error is, in one line that quotes no value: its kind, the constraint it is about, as far as the database
    tells; and what it says only where that is about the database itself."""
    if is_about_the_database(error):
        return f"{type(error).__name__}: {_primary(error)}"
    return _without_values(error)


def _without_values(error: BaseException) -> str:
    constraint = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None)
    return unquoted(error) + (f" about {constraint}" if constraint else "")


def _primary(error: BaseException) -> str:
    # PostgreSQL adds the line of a COPY that it was at.
    diagnosis = getattr(error.__cause__, "diag", None)
    return " ".join(str(getattr(diagnosis, "message_primary", None) or error).split())


def _quotes_a_whole_row(error: BaseException) -> bool:
    """PostgreSQL does, in what it adds: with the columns of the table that are not synced, and may hold secrets."""
    return getattr(getattr(error.__cause__, "diag", None), "sqlstate", None) in _OF_A_WHOLE_ROW


def is_about_the_database(error: BaseException) -> bool:
    """Whether what an error says is about the database itself, and quotes no value; whatever the connection's vendor.
    MySQL counts values that a column cannot hold as operational errors."""
    if isinstance(error, InterfaceError):
        return True
    if not isinstance(error, OperationalError):
        return False
    code = error.args[0] if error.args else None
    return not isinstance(code, int) or code in _NOT_ABOUT_ROWS


def raised(error: Exception, redacted: Collection[str]) -> str:
    """The same of an error of the project's own code, with its kind in any case."""
    return words_of(error, redacted) if redacted else f"{type(error).__name__}: {error}"
