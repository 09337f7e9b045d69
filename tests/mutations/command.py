"""Run the tests of each guard in a copy of the project in which it is switched off."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .mutation import ROOT, Mutation
from .table import MUTATIONS

USAGE = """\
python3 -m tests.mutations [--list] [TEXT ...]

Switches each guard off, one at a time, in a copy of the project, and runs the tests that stand beside it in the table:
one of them has to fail. TEXT chooses the guards whose description holds it. Exit code 1: a guard is not missed."""
SOME_FAILED = 1
LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", "__pycache__", ".*_cache", "test-results", "build", "*.egg-info")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(usage=USAGE, add_help=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("text", nargs="*")
    options = parser.parse_args(argv)
    if options.help:
        print(USAGE)
        return 0
    chosen = [one for one in MUTATIONS if not options.text or any(text in one.guard for text in options.text)]
    if options.list:
        print(*(f"{one.guard}  ({one.path})" for one in chosen), sep="\n")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
        missed = [mutation for mutation in chosen if not _is_missed(mutation, copy)]
    print(f"{len(chosen) - len(missed)} of {len(chosen)} guards are missed by a test when they are switched off.")
    return 1 if missed else 0


def _is_missed(mutation: Mutation, copy: Path) -> bool:
    """Whether a test fails in the copy, which is put right again."""
    print(f"{mutation.guard:<90}", end=" ", flush=True)
    started = time.monotonic()
    file = copy / mutation.path
    before = file.read_text(encoding="utf-8")
    file.write_text(mutation.applied_to(before), encoding="utf-8")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *mutation.tests],
            cwd=copy,
            env=os.environ | {"DATA_SYNC_TEST_DATABASE": "sqlite", "PYTHONPATH": str(copy)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
    finally:
        file.write_text(before, encoding="utf-8")
    is_missed = done.returncode == SOME_FAILED
    print(f"{'missed' if is_missed else 'NOT MISSED'}  {time.monotonic() - started:5.1f} s", flush=True)
    if not is_missed:
        print(*done.stdout.splitlines()[-15:], sep="\n", flush=True)
    return is_missed
