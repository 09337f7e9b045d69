"""The command line: what to measure, in which order, and where the figures go."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests import outside

from .databases import KINDS, opened
from .machine import described
from .measure import Filled, Sides, repeated
from .report import report

PEER_CHANGED = 1.0
BEGIN, END = "<!-- tables of python3 -m tests.benchmarks -->", "<!-- end of the tables -->"


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(options.output.read_text(encoding="utf-8"))["databases"] if options.add else {}
    figures = {"machine": described(), "repeat": options.repeat, "databases": known}
    with tempfile.TemporaryDirectory(prefix="data-sync-benchmark-") as folder:
        for kind in options.database:
            known[kind] = _measure(Path(folder), kind, options)
            options.output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    text = report(figures)
    print(text)
    options.output.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    if options.page:
        _put_into(options.page, text)
    _say(f"All figures are in {options.output}, these tables in {options.output.with_suffix('.md')}.")
    return 0


def _put_into(page: Path, text: str) -> None:
    """Replaces what stands between the page's two comments."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"{page} lacks the comments {BEGIN} and {END}, between which the tables go.")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m tests.benchmarks", description="Measures; see docs/explanation.")
    add = parser.add_argument
    add("--rows", type=_list(int), default=[100_000], metavar="N,…", help="rows of each side; 100000")
    add("--changed", type=_list(float), default=[1.0], metavar="P,…", help="percent that differ; 1")
    add(
        "--apply",
        type=int,
        default=10_000,
        metavar="N",
        help="updates (and a tenth as many creates and deletes) of the apply that is measured beside save(), on the "
        "fewest of --rows that have ten times as many; 10000; 0 leaves it out",
    )
    add(
        "--peer-rows",
        type=int,
        default=10_000,
        metavar="N",
        help="rows for dumpdata, loaddata and the others, which take minutes; 10000; 0 leaves them out",
    )
    add("--database", type=_databases, metavar="D,…", help="sqlite, postgresql; both if there is a server")
    add("--repeat", type=int, default=3, metavar="N", help="runs of each, of which the fastest counts; 3")
    add("--small", action="store_true", help="a quick look: 10000 rows, 1000 peer rows, everything once")
    add("--add", action="store_true", help="keep what the output file has of other databases")
    add("--output", type=Path, default=Path("build/benchmark.json"), help="a JSON file; tables go beside it")
    add("--page", type=Path, help="a page of the documentation whose tables are replaced by these")
    options = parser.parse_args(arguments)
    if options.add and not options.output.exists():
        parser.error(f"{options.output} is not there, so nothing can be added to it.")
    if options.small:
        options.rows, options.apply, options.peer_rows, options.repeat = [10_000], 1000, 1000, 1
    if options.database is None:
        options.database = [kind for kind in KINDS if not outside.why_unreachable(kind)]
    return options


def _list(kind: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    def numbers(text: str) -> list[Any]:
        return [kind(part) for part in text.split(",")]

    return numbers


def _databases(text: str) -> list[str]:
    kinds = text.split(",")
    if unknown := set(kinds) - KINDS.keys():
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: one or more of {', '.join(KINDS)}")
    for kind in kinds:
        if reason := outside.why_unreachable(kind):
            raise argparse.ArgumentTypeError(reason)
    return kinds


def _measure(folder: Path, kind: str, options: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {"cases": [], "apply": None, "peers": None}
    with ExitStack() as stack:
        found["version"] = opened(kind, folder).version()
        apply_rows = _rows_to_apply_to(options) if options.apply else None
        for rows in options.rows:
            with _filled(folder, kind, rows) as filled:
                for changed in options.changed:
                    found["cases"].append(_case(filled, changed, options.repeat))
                if rows == apply_rows:
                    found["apply"] = _apply(filled, options.apply, options.repeat)
                if rows == options.peer_rows:
                    found["peers"] = _peers(filled)
        if options.peer_rows and not found["peers"]:
            found["peers"] = _peers(stack.enter_context(_filled(folder, kind, options.peer_rows)))
    return found


def _rows_to_apply_to(options: argparse.Namespace) -> int | None:
    """The fewest rows of which the updates are a tenth, else those of which they are a part at all."""
    enough = [rows for rows in options.rows if rows >= options.apply]
    return min((rows for rows in enough if rows >= 10 * options.apply), default=max(enough, default=None))


def _filled(folder: Path, kind: str, rows: int) -> Filled:
    _say(f"{KINDS[kind]}: making {rows} rows ...")
    return Filled(folder, kind, rows)


def _case(filled: Filled, changed: float, repeat: int) -> dict[str, Any]:
    updates = max(1, round(filled.rows * changed / 100))
    _say(f"  {changed:g} % changed: reading, pulling, applying ...")
    sides = Sides(filled, updates)
    steps = (
        ("floor", sides.floor),
        ("export", lambda: sides.answer("export")),
        ("digests", lambda: sides.answer("digests")),
        ("pull", sides.pull),
        ("pull_without_baselines", sides.pull_without_baselines),
        ("approve", sides.approve),
        ("apply", sides.apply),
        ("plain_dump", sides.plain_dump),
        ("document", sides.document),
        ("verify", sides.verify),
        ("verify_stored", sides.verify_stored),
        ("pull_again", sides.pull_again),
    )
    return {
        "rows": filled.rows,
        "changed": changed,
        "bytes_per_row": filled.made["bytes_per_row"],
        "edits": sides.edits,
        "steps": repeated(steps, repeat, _say),
    }


def _apply(filled: Filled, updates: int, repeat: int) -> dict[str, Any]:
    _say(f"  apply of {updates} updates, beside save() ...")
    sides = Sides(filled, updates)
    sides.pull()
    steps = (
        ("approve", sides.approve),
        ("apply", sides.apply),
        ("save", sides.save),
        ("get_and_save", sides.get_and_save),
    )
    return {"rows": filled.rows, "edits": sides.edits, "steps": repeated(steps, repeat, _say)}


def _peers(filled: Filled) -> dict[str, Any]:
    _say(f"  the others, on {filled.rows} rows; 10000 take two or three minutes ...")
    sides = Sides(filled, max(1, round(filled.rows * PEER_CHANGED / 100)))
    steps = [
        ("floor", sides.floor),
        ("pull", sides.pull),
        ("approve", sides.approve),
        ("apply", sides.apply),
        ("dumpdata", sides.dumpdata),
        ("loaddata", sides.loaddata),
        ("seed", sides.seed),
        ("import_export", sides.import_export),
    ]
    if importlib.util.find_spec("diffsync"):
        steps.append(("diffsync", sides.diffsync))
    return {
        "rows": filled.rows,
        "changed": PEER_CHANGED,
        "edits": sides.edits,
        "steps": repeated(steps, 1, _say),
    }


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
