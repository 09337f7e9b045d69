"""Starting web servers and commands on the tests' database, and seeing that nothing of them is left."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
SECONDS = 60
"""How long anything may take here."""
SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.serving.settings", "DATA_SYNC_TEST_CHILD": "default"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A web server that runs. `log` is the file of what it says."""

    url: str
    log: Path

    def said(self) -> str:
        return self.log.read_text()


@contextlib.contextmanager
def serving(kind: str, *options: str, **environ: str) -> Iterator[Server]:
    """A web server of this kind, until the block is over; then it must end by itself, with all its workers."""
    with contextlib.ExitStack() as stack:
        # It listens before the server is there: who is early waits, and nobody has to ask whether it is ready.
        ears = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
        log = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "log"
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.serving.server", kind, str(ears.fileno()), *options],
            env=os.environ | SETTINGS | environ,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=stack.enter_context(log.open("w")),
            stderr=subprocess.STDOUT,
            pass_fds=[ears.fileno()],
            start_new_session=True,
        )
        try:
            yield Server(url=f"http://127.0.0.1:{ears.getsockname()[1]}", log=log)
        finally:
            _end(process)


def _end(process: subprocess.Popen[Any]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 0)
            raise AssertionError("the server has left processes behind")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Command:
    """``manage.py data_sync …`` in a process of its own, with as little of an environment as cron gives."""

    def __init__(self, *words: str) -> None:
        kept = {name: value for name, value in os.environ.items() if name.startswith("DATA_SYNC_TEST_")}
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "django", "data_sync", *words],
            env={**kept, **SETTINGS, "PATH": "/usr/bin:/bin", "PYTHONPATH": path},
            cwd=tempfile.gettempdir(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        self._said: tuple[str, str] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    def end(self) -> int:
        """Its exit code, once it has ended."""
        if self._said is None:
            self._said = self._process.communicate(timeout=SECONDS)
        return self._process.returncode

    @property
    def output(self) -> str:
        self.end()
        assert self._said is not None
        return self._said[0]

    @property
    def errors(self) -> str:
        self.end()
        assert self._said is not None
        return self._said[1]

    @property
    def document(self) -> Any:
        """What it printed with ``--json``: one document, and nothing else."""
        return json.loads(self.output)

    def kill(self) -> None:
        self._process.kill()
        self.end()


@contextlib.contextmanager
def commands(*each: Sequence[str]) -> Iterator[list[Command]]:
    """These commands at once; none of them outlives the block."""
    started = [Command(*words) for words in each]
    try:
        yield started
    finally:
        for command in started:
            command.kill()


def command(*words: str) -> Command:
    """A command that has ended."""
    with commands(words) as (done,):
        done.end()
    return done


def eventually(holds: Callable[[], Any]) -> Any:
    """What the function gives as soon as that is true."""
    last = time.monotonic() + SECONDS
    while not (found := holds()):
        assert time.monotonic() < last, "it never came to hold"
        time.sleep(0.05)
    return found
