"""Running `manage.py data_sync …` as a shell would, in this process."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.management import base

from data_sync.management.commands.data_sync import Command

Run = Callable[..., "Ran"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output; fails if there is anything else."""
        return json.loads(self.out)


class Terminal(io.StringIO):
    """A stream in memory that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `data_sync` with these words; `given` is its standard input, which is a `terminal` or not."""
    # Commands close connections when they end; those of the tests are needed again.
    monkeypatch.setattr(base.connections, "close_all", lambda: None)

    def run_words(*words: object, given: str | bytes = "", terminal: bool = False) -> Ran:
        stdin: io.TextIOBase
        if isinstance(given, bytes):
            stdin = io.TextIOWrapper(io.BytesIO(given))
        else:
            stdin = Terminal(given) if terminal else io.StringIO(given)
        monkeypatch.setattr("sys.stdin", stdin)
        out, err = io.StringIO(), io.StringIO()
        command = Command(stdout=out, stderr=err, no_color=True)
        try:
            command.run_from_argv(["manage.py", "data_sync", *map(str, words)])
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        return Ran(code=code, out=out.getvalue(), err=err.getvalue())

    return run_words
