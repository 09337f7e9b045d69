"""Child processes: management commands of either environment, and the servers."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .environments import ROOT, Environment


class CommandFailed(Exception):
    """A command ended with an exit code that was not expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command printed as JSON, and its exit code."""

    code: int
    document: Any


def manage(environment: Environment, *arguments: str, codes: tuple[int, ...] = (0,), given: str = "") -> Answer:
    """Runs a management command that prints one JSON document. `given` is its standard input.

    Raises `CommandFailed`, with what the command wrote to standard error, for an exit code that is not
    among `codes` and for output that is no JSON.
    """
    command = [sys.executable, "-m", "demo.manage", *arguments]
    ran = subprocess.run(
        command, cwd=ROOT, env=environment.variables(), input=given, capture_output=True, encoding="utf-8"
    )
    words = f"{environment.name}: {' '.join(arguments)}"
    if ran.returncode not in codes:
        raise CommandFailed(f"{words}: exit code {ran.returncode}\n{ran.stderr}{ran.stdout}".rstrip())
    try:
        return Answer(code=ran.returncode, document=json.loads(ran.stdout))
    except json.JSONDecodeError:
        raise CommandFailed(f"{words}: printed no JSON\n{ran.stderr}{ran.stdout}".rstrip()) from None


def free_port(wanted: int, *, apart_from: int | None = None) -> int:
    """`wanted`, or the first free port after it. Raises `SystemExit` when the next 200 are all busy."""
    for port in range(wanted, min(wanted + 200, 65536)):
        if port != apart_from and _is_free(port):
            return port
    raise SystemExit(f"Port {wanted} and those after it are busy. Name another one with --port.")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if os.name == "posix":
            # As the server itself does: a port whose last connections are still closing counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextlib.contextmanager
def server(environment: Environment) -> Iterator[subprocess.Popen[bytes]]:
    """The environment's server: answers when the block begins, has ended when the block is left.

    Raises `CommandFailed`, with the end of the log, for a server that does not start.
    """
    with environment.log.open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "demo.serve"],
            cwd=ROOT,
            env=environment.variables(),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_it_answers(environment, child)
        yield child
    finally:
        if child.stdin:
            with contextlib.suppress(OSError):
                child.stdin.close()
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _wait_until_it_answers(environment: Environment, child: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while child.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", environment.port), 1):
            return
        time.sleep(0.05)
    end = environment.log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
    raise CommandFailed("\n".join([f"The server of {environment.name} did not start.", *end]))
