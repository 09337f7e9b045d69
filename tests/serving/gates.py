"""Moments at which a process waits until the test lets it go on.

A gate that a test has shut is a file with a port in it. The process connects, says who it is, and waits for the test to
hang up; so neither side has to look again and again, and a test that is gone holds nobody.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

SECONDS = 60
"""How long a test waits for a process to come: far more than it takes, on a busy machine too."""


def _file(moment: str) -> Path:
    return Path(os.environ["DATA_SYNC_TEST_FOLDER"]) / f"gate-{moment}"


# In the process


def reach(moment: str) -> None:
    try:
        port = int(_file(moment).read_text())
        with socket.create_connection(("127.0.0.1", port)) as line:
            line.sendall(f"{os.getpid()}\n".encode())
            line.recv(1)
    except (FileNotFoundError, ConnectionError):
        return


def before(owner: Any, name: str, moment: str) -> None:
    """Puts a gate before a function."""
    function: Callable[..., Any] = getattr(owner, name)

    def gated(*arguments: Any, **options: Any) -> Any:
        reach(moment)
        return function(*arguments, **options)

    setattr(owner, name, gated)


def receiver(moment: str) -> Callable[..., None]:
    """Puts a gate into a signal."""

    def receive(**_: Any) -> None:
        reach(moment)

    return receive


# In the test


class Gate:
    """Shut for the first process that comes; others pass behind its back."""

    def __init__(self, moment: str) -> None:
        self.moment = moment
        self._ears = socket.create_server(("127.0.0.1", 0))
        self._ears.settimeout(SECONDS)
        self._line: socket.socket | None = None
        self._file = _file(moment)
        # Whole or not at all: a process may be looking.
        part = self._file.with_suffix(".part")
        part.write_text(str(self._ears.getsockname()[1]))
        part.replace(self._file)

    def reached(self) -> int:
        """Waits until a process stands before it; its id."""
        try:
            self._line, _ = self._ears.accept()
        except TimeoutError:
            raise AssertionError(f"nobody came to the gate {self.moment!r}") from None
        self._line.settimeout(SECONDS)
        self._file.unlink()
        return int(self._line.makefile().readline())

    def left(self) -> None:
        """Waits until the process that stood there is gone without having been let through."""
        assert self._line is not None
        try:
            assert self._line.recv(1) == b""
        except ConnectionError:
            pass

    def open(self) -> None:
        self._file.unlink(missing_ok=True)
        if self._line is not None:
            self._line.close()
        self._ears.close()

    def __enter__(self) -> Gate:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.open()
