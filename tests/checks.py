"""``python3 -m tests.checks``: every check but the tests, the same for people and for CI.

All checks run even if one fails; what a failing one said is shown, and the exit code is then 1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import bootstrap

ROOT = Path(bootstrap.ROOT)
LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def main() -> int:
    """Run all checks, print each with its outcome, and return the exit code."""
    failed = []
    for name, check in CHECKS.items():
        print(f"{name:<34}", end=" ", flush=True)
        started = time.monotonic()
        complaint = check()
        print(f"{'FAILED' if complaint else 'passed'}  {time.monotonic() - started:5.1f} s", flush=True)
        if complaint:
            failed.append(name)
            print("", complaint, "", sep="\n", flush=True)
    print(f"Failed: {', '.join(failed)}." if failed else "Passed.")
    return 1 if failed else 0


def run(*arguments: str, cwd: Path = ROOT) -> str:
    """Run a Python command (``-m something``); returns what it printed if it failed, else nothing."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings", "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    return (done.stdout.strip() or f"ended with {done.returncode}") if done.returncode else ""


def documentation() -> str:
    """Build the pages; a warning, such as a link that leads nowhere, is a failure."""
    with tempfile.TemporaryDirectory() as folder:
        options = ("-W", "--keep-going", "-q", "-b", "html", "-d", f"{folder}/doctrees")
        return run("-m", "sphinx", *options, "docs", f"{folder}/html")


def wheel() -> str:
    """Build the wheel and compare: it holds every file of ``data_sync/``, and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        # From a copy, because setuptools leaves a build folder behind and packs what an older one holds.
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT / "data_sync", tree / "data_sync", ignore=shutil.ignore_patterns("__pycache__", ".*"))
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, tree)
        expected = {path.relative_to(tree).as_posix() for path in tree.glob("data_sync/**/*") if path.is_file()}
        options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder)
        complaint = run("-m", "pip", "wheel", *options, str(tree))
        if complaint:
            return complaint
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as archive:
            packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    return "\n".join(
        [f"not in the wheel: {name}" for name in sorted(expected - packed)]
        + [f"should not be in the wheel: {name}" for name in sorted(packed - expected)]
    )


CHECKS = {
    "lint (ruff check)": lambda: run("-m", "ruff", "check", "--output-format", "concise", "."),
    "format (ruff format)": lambda: run("-m", "ruff", "format", "--check", "--output-format", "concise", "."),
    "types (mypy)": lambda: run("-m", "mypy"),
    "layers (import-linter)": lambda: run("-c", LINT_IMPORTS),
    "migrations (makemigrations)": lambda: run("-m", "django", "makemigrations", "--check", "--dry-run", "data_sync"),
    "documentation (sphinx)": documentation,
    "wheel (setuptools)": wheel,
}


if __name__ == "__main__":
    bootstrap.ensure(extras=("demo", "dev"), module="tests.checks")
    sys.exit(main())
