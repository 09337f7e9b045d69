"""`python3 -m demo`: the arguments, what is said, and what runs until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

from . import environments, once, preparation
from .environments import DEFAULT_PORTS, STATE, TIME_ZONES, Environment
from .processes import CommandFailed, free_port, server

WELCOME = """
  staging      {staging}/admin/   the source: content is edited here
  production   {production}/admin/   the target: pull, review, apply here

  Log in to both as admin, with the password admin.

What to click first, at production
  1. Data Sync › Data sources › staging › Pull now; then open the changeset.
  2. Conflicts come first, then deletes: three of these would take rows along that are not synced. The review
     names each.
  3. Look at the texts, pictures and settings. One Arabic text was edited at both ends: whose is right?
     Accept or reject, each or many at once.
  4. Because of those rows a guard holds the changeset back: Let it through…, and say why.
     Review & apply…, and confirm. Then pull again: nothing differs, or only what you rejected.
  5. Changed your mind? Revert…, on the changeset's result, makes another one that undoes it. Verify, on its
     History, says whether anybody has altered the record.
  6. Edit anything at staging, and begin again.

docs/tutorial/first-sync.md goes through it step by step. The two sites are in different time zones, staging
in {zones[staging]} and production in {zones[production]}: times look different and are the same.

Ctrl-C stops both. What you did stays in {state}; --reset starts anew.
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs the demo; returns the exit code."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _once(options) if options.once else _serve(options)
    except CommandFailed as failure:
        say(f"\n{failure}")
        return 1
    except KeyboardInterrupt:
        say("\nStopped.")
        return 0 if not options.once else 130


def say(words: str) -> None:
    """Progress goes to standard error: standard output is for results."""
    print(words, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m demo", description="Two environments of one small shop, to try data_sync with."
    )
    parser.add_argument("--port", type=int, help="staging's port; production gets the next one")
    parser.add_argument("--dir", type=Path, default=STATE, help="where databases and pictures are kept")
    parser.add_argument("--reset", action="store_true", help="start anew, without what was done before")
    parser.add_argument(
        "--once",
        action="store_true",
        help="no browser: pull, accept, apply and compare, in a directory of its own, and print JSON",
    )
    return parser


def _once(options: argparse.Namespace) -> int:
    state = options.dir.resolve() / environments.ONCE
    environments.reset(state)
    try:
        report = once.run(_pair(state, options.port), say)
    except CommandFailed as failure:
        report = {"ok": False, "error": str(failure)}
    print(json.dumps(report, ensure_ascii=False, indent=2))
    return 0 if report["ok"] else 1


def _serve(options: argparse.Namespace) -> int:
    state = options.dir.resolve()
    environments.require_own(state)
    with environments.only_one(state) as alone:
        if not alone:
            raise CommandFailed(
                f"A demo with the state in {state} is running already. Stop it with Ctrl-C where it runs, or name "
                "another directory with --dir."
            )
        return _run(options, state)


def _run(options: argparse.Namespace, state: Path) -> int:
    if options.reset or not preparation.is_prepared(state):
        environments.reset(state)
    both = _pair(state, options.port)
    if preparation.is_prepared(state):
        say(f"Using what {state} has; --reset starts anew.")
        preparation.reuse(both)
    else:
        preparation.prepare(both, say)
    say("Starting both servers ...")
    with contextlib.ExitStack() as stack:
        servers = [(environment, stack.enter_context(server(environment))) for environment in both]
        urls = {environment.name: environment.url for environment in both}
        print(WELCOME.format(**urls, zones=TIME_ZONES, state=state), flush=True)
        while True:
            for environment, child in servers:
                if child.poll() is not None:
                    raise CommandFailed(f"The server of {environment.name} has ended; see {environment.log}.")
            time.sleep(0.5)


def _pair(state: Path, port: int | None) -> tuple[Environment, Environment]:
    """Both environments on ports that are free: the wanted ones, the last ones, or those after them."""
    last = {**DEFAULT_PORTS, **preparation.ports_of(state)}
    wanted = (port, port + 1) if port else (last["staging"], last["production"])
    staging = free_port(wanted[0])
    production = free_port(wanted[1], apart_from=staging)
    if (staging, production) != wanted:
        say(f"Port {wanted[0]} or {wanted[1]} is busy: using {staging} and {production}.")
    return environments.pair(state, staging, production)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt
