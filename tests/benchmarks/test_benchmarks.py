"""The benchmark runs and its outcomes are right; how fast it was is not asserted anywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.benchmark
def test_a_small_benchmark_runs_to_its_end(tmp_path: Path) -> None:
    output = tmp_path / "figures.json"
    arguments = ("--rows", "2000", "--repeat", "1", "--peer-rows", "200", "--output", str(output))
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", *arguments], cwd=ROOT, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(output.read_text(encoding="utf-8"))
    assert figures["pull"]["counts"] == {"create": 2, "update": 20, "delete": 2}
    assert figures["apply"]["outcomes"] == {"applied": 24}
    assert "dumpdata and loaddata / pull" in done.stdout
