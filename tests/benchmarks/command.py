"""The command line: what to measure, in which order, and where the figures go."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import django

from .measure import Sides, fastest
from .report import table

SMALL = 10


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="data-sync-benchmark-") as folder:
        figures = _measure(Path(folder), options)
    print(table(figures))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    _say(f"All figures are in {options.output}.")
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m tests.benchmarks", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the large databases; 100000")
    parser.add_argument("--small", action="store_true", help="a quick look: 10000 rows, everything once")
    parser.add_argument(
        "--peer-rows",
        type=int,
        help="rows for dumpdata and loaddata, which take minutes: their time is then scaled up, and the "
        "table says so; 0 leaves them out; default as many as --rows",
    )
    parser.add_argument("--repeat", type=int, default=3, help="runs of each, the fastest counts; 3")
    parser.add_argument("--output", type=Path, default=Path("build/benchmark.json"), help="a JSON file")
    options = parser.parse_args(arguments)
    if options.small:
        options.rows, options.repeat = min(options.rows, 10_000), 1
    if options.peer_rows is None:
        options.peer_rows = options.rows
    return options


def _measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    rows, repeat = options.rows, options.repeat
    few = rows // SMALL
    figures: dict[str, Any] = {
        "rows": rows,
        "few_rows": few,
        "peer_rows": options.peer_rows,
        "repeat": repeat,
        "python": platform.python_version(),
        "django": django.get_version(),
        "machine": f"{platform.machine()}, {platform.system()}",
    }
    _say(f"Making two databases with {rows} rows, and two with {few} ...")
    sides = Sides(folder / "many", rows)
    few_sides = Sides(folder / "few", few)
    figures |= {**sides.made, "differences": sides.differences}
    runs = []
    for number in range(1, repeat + 1):
        _say(f"Reading, pulling and applying, {number} of {repeat} ...")
        runs.append(
            {
                "floor": sides.floor(),
                "pull": sides.pull(),
                "pull_of_few": few_sides.pull(),
                "approve": sides.approve(),
                "apply": sides.apply(),
                "pull_again": sides.pull_again(),
                "save": sides.save("save"),
                "get_and_save": sides.save("get_and_save"),
            }
        )
    figures |= {step: fastest(run[step] for run in runs) for step in runs[0]}
    if options.peer_rows:
        _say(f"dumpdata and loaddata of {options.peer_rows} rows; 100000 take about five minutes ...")
        same = options.peer_rows == rows
        peer_sides = sides if same else Sides(folder / "peer", options.peer_rows)
        figures |= {"dumpdata": peer_sides.dumpdata(), "loaddata": peer_sides.loaddata()}
    return figures


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
