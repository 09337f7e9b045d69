"""The figures as a table with ratios, and what they are wanted to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Figures = dict[str, Any]

PEERS_TIMES, FLOOR_TIMES, MEGABYTES = 40, 2.5, 60


def table(figures: Figures) -> str:
    rows, differences = figures["rows"], figures["differences"]
    sections = [
        f"{rows} rows of {figures['bytes_per_row']} bytes, {differences} differences, SQLite, "
        f"Python {figures['python']}, Django {figures['django']}; the fastest of {figures['repeat']}",
        _section("Seconds: elapsed, and of the processor", _seconds(figures, rows, differences)),
        _section("Parts of the pull; both sides are read at the same time", _parts(figures)),
        _section("Peak memory above idle, in MB", _memory(figures)),
        _section("Ratios of elapsed seconds", _ratios(figures)),
    ]
    return "\n\n".join(sections)


def _seconds(figures: Figures, rows: int, differences: int) -> list[Sequence[str]]:
    lines = [
        ("read both sides by values_list().iterator()", figures["floor"]),
        ("pull over HTTP to the stored changeset", figures["pull"]),
        ("  the source's server meanwhile", {"seconds": None, **figures["pull"]["server"]}),
        ("pull again, which finds nothing", figures["pull_again"]),
        (f"accept and approve {differences} changes", figures["approve"]),
        ("apply them, with all checks and audit", figures["apply"]),
        ("save() and set() per row, of ready instances", figures["save"]),
        ("get(), save() and set() per row", figures["get_and_save"]),
    ]
    of = "" if figures["peer_rows"] == rows else f" of {figures['peer_rows']} rows"
    lines += [(name + of, figures[name]) for name in ("dumpdata", "loaddata") if name in figures]
    return [(name, _number(result["seconds"]), _number(result["processor"])) for name, result in lines]


def _parts(figures: Figures) -> list[Sequence[str]]:
    return [(part, _number(seconds)) for part, seconds in figures["pull"]["parts"].items()]


def _memory(figures: Figures) -> list[Sequence[str]]:
    lines: list[Sequence[str]] = []
    for pull, rows in ((figures["pull_of_few"], figures["few_rows"]), (figures["pull"], figures["rows"])):
        lines.append((f"pulling {rows} rows", _above_idle(pull), f"want at most {MEGABYTES}"))
        lines.append((f"serving {rows} rows", _above_idle(pull["server"]), f"want at most {MEGABYTES}"))
    lines.append(("applying", _above_idle(figures["apply"])))
    return lines + [(name, _above_idle(figures[name])) for name in ("dumpdata", "loaddata") if name in figures]


def _ratios(figures: Figures) -> list[Sequence[str]]:
    pull, apply = figures["pull"]["seconds"], figures["apply"]["seconds"]
    lines: list[Sequence[str]] = []
    if "dumpdata" in figures:
        scale = figures["rows"] / figures["peer_rows"]
        peers = (figures["dumpdata"]["seconds"] + figures["loaddata"]["seconds"]) * scale
        scaled = "" if scale == 1 else f"; their seconds were multiplied by {scale:g}"
        lines.append(("dumpdata and loaddata / pull", _number(peers / pull), f"want at least {PEERS_TIMES}{scaled}"))
    floor = figures["floor"]["seconds"]
    return [
        *lines,
        ("pull / values_list()", _number(pull / floor), f"want at most {FLOOR_TIMES}"),
        ("save() / apply", _number(figures["save"]["seconds"] / apply), "want more than 1"),
        ("get() and save() / apply", _number(figures["get_and_save"]["seconds"] / apply)),
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _above_idle(result: Figures) -> str:
    return f"{(result['peak'] - result['idle']) / 1e6:.1f}" if result["peak"] else "unknown"


def _section(title: str, lines: list[Sequence[str]]) -> str:
    rows = [f"  {name:<46}{value:>9}   {' '.join(rest):>6}".rstrip() for name, value, *rest in lines]
    return "\n".join([title, *rows])
