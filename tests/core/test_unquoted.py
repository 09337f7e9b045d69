"""Errors of other code are told without what they say, in which a password may be."""

from __future__ import annotations

import errno
import importlib
import os

import pytest

from data_sync.core.unquoted import unquoted

SECRET = "https://app:pass-word@storage.example"


class Broken(Exception):
    def __str__(self) -> str:
        return SECRET


def missing(name: str) -> ImportError:
    with pytest.raises(ImportError) as raised:
        importlib.import_module(name)
    return raised.value


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError(SECRET), "RuntimeError"),
        (Broken(), "Broken"),
        (KeyError(SECRET), "KeyError"),
        (OSError(SECRET), "OSError"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), SECRET), "OSError: No space left on device"),
        (FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)), "FileNotFoundError: No such file or directory"),
        (ConnectionRefusedError(errno.ECONNREFUSED, SECRET), "ConnectionRefusedError"),
        (OSError(SECRET, SECRET), "OSError"),
        (ImportError(SECRET), "ImportError"),
        (missing("nothing_like_this.at_all"), "ModuleNotFoundError about the module nothing_like_this"),
        (
            caused(ValueError(SECRET), missing("nothing_like_this")),
            "ValueError (ModuleNotFoundError about the module nothing_like_this)",
        ),
        (caused(ValueError(SECRET), RuntimeError(SECRET)), "ValueError"),
    ],
    ids=repr,
)
def test_an_error_is_told_by_its_kind_and_what_the_system_says_of_it(error: Exception, told: str) -> None:
    assert unquoted(error) == told
