"""Run the suite on each database that answers, and close with a summary in plain words."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests import outside

ROOT = Path(__file__).resolve().parent.parent
USAGE = """\
python3 -m tests [--only DATABASE] [--require-services] [pytest arguments]

Runs the suite on SQLite, and what concerns the database again on PostgreSQL and MariaDB where they
answer: as many at a time as there are processors, the first before your eyes, what the others said
after it. Browser tests run on SQLite, where Chromium is found, and so do those with workers, where Redis,
RabbitMQ and PostgreSQL answer. What is missing is left out and named; with --require-services, and in CI
(the environment variable CI is set), it is a failure."""
NOTHING_COLLECTED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the summary: what, how it ended (passed, left out, FAILED), and what there is to say."""

    name: str
    ended: str
    text: str

    def __str__(self) -> str:
        return f"  {self.name:<11} {self.ended:<9} {self.text}"


def main(argv: list[str]) -> int:
    """Run the tests and return the exit code; arguments that this command does not know go to pytest."""
    parser = argparse.ArgumentParser(usage=USAGE, add_help=False, allow_abbrev=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--only", action="append", choices=outside.DATABASES)
    parser.add_argument("--require-services", action="store_true")
    options, pytest_arguments = parser.parse_known_args(argv)
    if options.help:
        print(USAGE, "", "pytest's own: python3 -m pytest --help, inside the environment", sep="\n")
        return 0
    if options.require_services:
        os.environ[outside.REQUIRED] = "1"

    chosen = options.only or outside.DATABASES
    lines = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = [pool.submit(run_on, name, pytest_arguments, live=name == chosen[0]) for name in chosen]
        try:
            for run in runs:
                line, said = run.result()
                print(said, end="", flush=True)
                lines.append(line)
        except KeyboardInterrupt:  # Which the running ones have heard, too.
            pool.shutdown(cancel_futures=True)
            return 130
    if "sqlite" in chosen and (reason := outside.why_no_chromium()):
        lines.append(missing("browser", reason))
    if "sqlite" in chosen:
        lines += [missing(name, reason) for name in outside.BROKERS if (reason := outside.why_unreachable(name))]
    failed = any(line.ended == "FAILED" for line in lines)
    print("", "Summary", *lines, "Failed." if failed else "Passed.", sep="\n", flush=True)
    return 1 if failed else 0


def run_on(name: str, pytest_arguments: list[str], *, live: bool) -> tuple[Line, str]:
    """Run pytest on one database in a process of its own, because settings are read once per process.

    Gives what the run said as well, unless that was printed `live`.
    """
    if reason := outside.why_unreachable(name):
        return missing(name, reason), ""
    heading = f"\n==> the tests on {name}\n"
    if live:
        print(heading, end="", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", f"--junitxml={report}", *pytest_arguments]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | {"DATA_SYNC_TEST_DATABASE": name},
            stdout=None if live else subprocess.PIPE,
            stderr=None if live else subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        counts = tally(report)
    said = "" if live else heading + done.stdout
    if done.returncode == NOTHING_COLLECTED and name != "sqlite":
        return Line(name=name, ended="left out", text="none of the chosen tests uses the database"), said
    took = f"{time.monotonic() - started:.0f} s"
    ended = "FAILED" if done.returncode else "passed"
    return Line(name=name, ended=ended, text=f"{counts or f'pytest ended with {done.returncode}'}, {took}"), said


def tally(report: Path) -> str:
    """What pytest's report says, as "12 passed, 1 skipped"; empty where it wrote none."""
    if not report.exists():
        return ""
    suites = list(ElementTree.parse(report).getroot().iter("testsuite"))
    total, failed, broken, skipped = (
        sum(int(suite.get(key, 0)) for suite in suites) for key in ("tests", "failures", "errors", "skipped")
    )
    counts = {
        "passed": total - failed - broken - skipped,
        "failed": failed,
        "broken in set-up": broken,
        "skipped": skipped,
    }
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def missing(name: str, reason: str) -> Line:
    """A service that is not there: a failure where services are required, else left out."""
    return Line(name=name, ended="FAILED" if outside.required() else "left out", text=reason)
