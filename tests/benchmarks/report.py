"""The figures as a table with ratios, and what they are wanted to be."""

from __future__ import annotations

from typing import Any

Figures = dict[str, Any]
Line = tuple[str, str, str]

PEERS_TIMES, FLOOR_TIMES, MEGABYTES = 40, 2.5, 60


def table(figures: Figures) -> str:
    rows = figures["rows"]
    changed = figures["differences"]
    parts = [
        f"{rows} rows of {figures['bytes_per_row']} bytes, {changed} differences, SQLite, "
        f"Python {figures['python']}, Django {figures['django']}; fastest of {figures['repeat']}",
        _section("Seconds", _seconds(figures, rows, changed)),
        _section("Parts of the pull (the sides are read at the same time)", _parts(figures)),
        _section("Peak memory above idle, MB", _memory(figures)),
        _section("Ratios", _ratios(figures)),
    ]
    return "\n\n".join(parts)


def _seconds(figures: Figures, rows: int, changed: int) -> list[Line]:
    lines = [
        ("values_list().iterator() of both sides", _s(figures["floor"]), ""),
        ("pull over HTTP to the stored changeset", _s(figures["pull"]), ""),
        ("second pull, which found nothing", _s(figures["pull_again"]), ""),
        (f"accept and approve {changed} changes", _s(figures["approve"]), ""),
        ("apply them, with checks and audit", _s(figures["apply"]), ""),
        ("the same by save() and set(), keys known", _s(figures["save"]), ""),
        ("the same by get(), save() and set()", _s(figures["get_and_save"]), ""),
    ]
    if "dumpdata" in figures:
        of = "" if figures["peer_rows"] == rows else f"of {figures['peer_rows']} rows"
        lines += [(name, _s(figures[name]), of) for name in ("dumpdata", "loaddata")]
    return lines


def _parts(figures: Figures) -> list[Line]:
    return [(part, f"{seconds:.2f}", "") for part, seconds in figures["pull"]["parts"].items()]


def _memory(figures: Figures) -> list[Line]:
    lines = []
    for name, rows in (("pull_of_few", figures["few_rows"]), ("pull", figures["rows"])):
        for side, result in (("pulling", figures[name]), ("serving", figures[name]["server"])):
            lines.append((f"{side}, {rows} rows", _above_idle(result), f"want at most {MEGABYTES}"))
    lines.append(("applying", _above_idle(figures["apply"]), ""))
    lines += [(name, _above_idle(figures[name]), "") for name in ("dumpdata", "loaddata") if name in figures]
    return lines


def _ratios(figures: Figures) -> list[Line]:
    pull = figures["pull"]["seconds"]
    lines = []
    if "dumpdata" in figures:
        scale = figures["rows"] / figures["peer_rows"]
        peers = (figures["dumpdata"]["seconds"] + figures["loaddata"]["seconds"]) * scale
        scaled = "" if scale == 1 else f"; their time is that of {figures['peer_rows']} rows, times {scale:g}"
        lines.append(("dumpdata and loaddata / pull", f"{peers / pull:.1f}", f"want at least {PEERS_TIMES}{scaled}"))
    apply = figures["apply"]["seconds"]
    return [
        *lines,
        ("pull / values_list()", f"{pull / figures['floor']['seconds']:.2f}", f"want at most {FLOOR_TIMES}"),
        ("save() / apply", f"{figures['save']['seconds'] / apply:.2f}", "want above 1"),
        ("get() and save() / apply", f"{figures['get_and_save']['seconds'] / apply:.2f}", ""),
    ]


def _s(result: Figures) -> str:
    return f"{result['seconds']:.2f}"


def _above_idle(result: Figures) -> str:
    return f"{(result['peak'] - result['idle']) / 1e6:.1f}" if result["peak"] else "not known"


def _section(title: str, lines: list[Line]) -> str:
    return "\n".join([title, *(f"  {name:<44}{value:>10}  {note}".rstrip() for name, value, note in lines)])
