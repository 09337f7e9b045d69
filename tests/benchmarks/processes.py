"""Child processes, each with a database of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .usage import forget_peak, usage

ROOT = Path(__file__).parents[2]


class Place:
    """Databases of one kind, known by name, and a folder for files."""

    def __init__(self, folder: Path, kind: str) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.kind = kind

    def variables(self, database: str, source: str) -> dict[str, str]:
        return os.environ | {
            "DJANGO_SETTINGS_MODULE": "tests.benchmarks.settings",
            "DATA_SYNC_BENCHMARK_FOLDER": str(self.folder),
            "DATA_SYNC_BENCHMARK_KIND": self.kind,
            "DATA_SYNC_BENCHMARK_DATABASE": database,
            "DATA_SYNC_BENCHMARK_SOURCE": source,
        }

    def step(self, name: str, *arguments: str, database: str, source: str = "") -> dict[str, Any]:
        """Runs a step in a fresh process. Raises `SystemExit` with its last words if it fails."""
        command = [sys.executable, "-m", "tests.benchmarks.step", name, *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.variables(database, source), capture_output=True, encoding="utf-8"
        )
        if done.returncode:
            raise SystemExit(f"The step {name} failed:\n{done.stderr[-4000:]}")
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result

    @contextmanager
    def server(self, database: str) -> Iterator[Server]:
        """A server on this database, ready and idle."""
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.server"],
            cwd=ROOT,
            env=self.variables(database, database),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        assert child.stdin is not None and child.stdout is not None
        try:
            port = child.stdout.readline().strip()
            if not port:
                raise SystemExit("The source's server did not start.")
            yield Server(child.pid, f"http://127.0.0.1:{port}")
        finally:
            child.stdin.close()
            child.wait()


class Server:
    """A running server. Idle is after it has answered a request, its database connection included."""

    def __init__(self, pid: int, url: str) -> None:
        self._pid = pid
        self.url = url
        urllib.request.urlopen(f"{url}/serialized/app.country").read()
        self._counted = self._used()
        forget_peak(pid)
        self._before = usage(pid)

    def result(self) -> dict[str, Any]:
        """What it has used since it was idle."""
        after, counted = usage(self._pid), self._used()
        return {
            "processor": after.processor - self._before.processor,
            "idle": self._before.memory,
            "peak": after.peak,
            "queries": counted["queries"] - self._counted["queries"],
        }

    def _used(self) -> dict[str, int]:
        with urllib.request.urlopen(f"{self.url}/used") as answer:
            used: dict[str, int] = json.load(answer)
        return used
