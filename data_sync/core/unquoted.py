"""What can be told of an error that other code has raised, without what it says: that may quote a password or a row."""

from __future__ import annotations

import os


def unquoted(error: BaseException) -> str:
    """Its kind; and what comes from the operating system's own table of errors, or is the name of a module.

    Of its causes it tells a module that could not be imported: backends that settings name fail so.
    """
    kind, cause = type(error).__name__, error.__cause__
    match error:
        case OSError(errno=int(number)) if error.strerror == os.strerror(number):
            return f"{kind}: {error.strerror}"
        case ImportError(name=str(module)):
            return f"{kind} about the module {module}"
    return f"{kind} ({unquoted(cause)})" if isinstance(cause, ImportError) else kind
