"""The benchmark runs and its outcomes are right; how fast it was is not asserted anywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests import outside

ROOT = Path(__file__).parents[2]


@pytest.mark.benchmark
@pytest.mark.timeout(1500)  # dozens of processes, one after the other, and all the other tests beside them
@pytest.mark.parametrize(
    ("database", "rows", "changed"), [("sqlite", (2000, 4000), (1.0,)), ("postgresql", (2000,), (1.0, 100.0))]
)
def test_a_small_benchmark_runs_to_its_end(
    tmp_path: Path, database: str, rows: tuple[int, ...], changed: tuple[float, ...]
) -> None:
    if reason := outside.why_unreachable(database):
        pytest.skip(reason)
    output = tmp_path / "figures.json"
    arguments = "--apply 500 --repeat 1 --peer-rows 200".split()
    arguments += ["--rows", ",".join(map(str, rows)), "--changed", ",".join(f"{share:g}" for share in changed)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.command", *arguments, "--database", database, "--output", output],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text(encoding="utf-8"))["databases"][database]
    assert [(case["rows"], case["changed"]) for case in found["cases"]] == [
        (number, share) for number in rows for share in changed
    ]
    first = found["cases"][0]["steps"]
    assert first["pull"]["counts"] == {"create": 2, "update": 20, "delete": 2}
    assert first["apply"]["outcomes"] == {"applied": 24}
    assert first["pull"]["wire"] > 0 and first["pull"]["queries"] > 0 and first["pull"]["server"]["queries"] > 0
    assert found["apply"]["steps"]["save"]["equal"]
    wanted = {"dumpdata", "loaddata", "seed", "import_export"} | ({"diffsync"} if find_spec("diffsync") else set())
    assert wanted <= found["peers"]["steps"].keys()
    assert "| `dumpdata` with natural keys" in done.stdout
    assert output.with_suffix(".md").read_text(encoding="utf-8") == done.stdout
