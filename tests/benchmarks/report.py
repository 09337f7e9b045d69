"""The figures as tables, which are Markdown, so that they can stand in the documentation as they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .databases import KINDS
from .wanted import wanted

Figures = dict[str, Any]

PEERS = {
    "floor": "raw SQL read of both sides",
    "pull": "data_sync: pull to the stored changeset",
    "apply": "data_sync: apply it",
    "diffsync": "diffsync: load both sides and diff",
    "import_export": "django-import-export: dry run, `skip_unchanged`",
    "dumpdata": "`dumpdata` with natural keys",
    "loaddata": "`loaddata` (deletes nothing)",
    "seed": "fetch all, `save()` each, delete the rest",
}
STEPS = {
    "pull": "pull to the stored changeset",
    "pull_without_baselines": "the same, without keeping baselines",
    "pull_again": "pull that finds nothing",
    "digests": "export: the listing of digests",
    "export": "export: all records",
    "approve": "accept all and approve",
    "apply": "apply",
    "plain_dump": "the changes by `values_list` and `json.dump`",
    "document": "changeset as JSON document",
    "verify": "verify that document",
    "verify_stored": "verify all that is stored",
}


def report(figures: Figures) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in figures["machine"].items())
    sections = [f"Made on: {machine}. {_runs(figures['repeat'])}"]
    for kind, found in figures["databases"].items():
        sections.append(f"### {KINDS[kind]} ({found['version']})")
        sections += [section for section in (_pulls(found), _steps(found), _apply(found), _peers(found)) if section]
        sections += _parts(found)
    sections += ["### What was wanted", _wanted(figures)]
    return "\n\n".join(sections)


def _runs(repeat: int) -> str:
    return "One run each." if repeat == 1 else f"The fastest of up to {repeat} runs each."


def _pulls(found: Figures) -> str:
    lines = []
    for case in found["cases"]:
        steps, parts = case["steps"], case["steps"]["pull"]["parts"]
        pull = steps["pull"]
        lines.append(
            (
                f"{case['rows']:,}",
                f"{case['changed']:g} %",
                _seconds(steps["floor"]),
                _seconds(pull),
                f"{pull['seconds'] / steps['floor']['seconds']:.1f}",
                *(f"{parts[name]['seconds']:.2f}" if name in parts else "" for name in PARTS_OF_PULL),
                _seconds(steps["apply"]),
                _seconds(steps["export"]),
                _over_idle(pull),
                _over_idle(pull["server"]),
                f"{pull['wire'] / 1e6:.2f}",
                f"{pull['queries']:,}",
                f"{pull['server']['queries']:,}",
            )
        )
    head = ("rows", "changed", "floor, s", "pull, s", "× floor", "read, s", "compare, s", "describe, s", "store, s")
    head += ("apply, s", "export, s", "peak here, MB", "peak there, MB", "wire, MB", "queries here", "there")
    return "#### Pulls, by rows and changes\n\n" + _table(head, lines)


PARTS_OF_PULL = ("read both sides", "compare", "describe", "store")


def _steps(found: Figures) -> str:
    """For each number of rows the case with about one percent; the JSON has the others."""
    shown: dict[int, Figures] = {}
    for case in sorted(found["cases"], key=lambda case: abs(case["changed"] - 1)):
        shown.setdefault(case["rows"], case)
    lines = [
        (
            f"{case['rows']:,}",
            f"{case['changed']:g} %",
            words,
            _seconds(result),
            f"{result['processor'] + result.get('server', {}).get('processor', 0):.2f}",
            _over_idle(result),
            _over_idle(result["server"]) if "server" in result else "",
            f"{result['wire'] / 1e6:.2f}" if "server" in result else "",
            f"{result['queries']:,}",
            f"{result['server']['queries']:,}" if "server" in result else "",
        )
        for _, case in sorted(shown.items())
        for name, words in STEPS.items()
        if (result := case["steps"].get(name))
    ]
    head = ("rows", "changed", "step", "seconds", "processor, both, s", "peak here, MB", "peak there, MB", "wire, MB")
    return "#### Every step\n\n" + _table((*head, "queries here", "there"), lines)


def _apply(found: Figures) -> str:
    if not found["apply"]:
        return ""
    steps, edits = found["apply"]["steps"], found["apply"]["edits"]
    apply = steps["apply"]["seconds"]
    names = {
        "save": "bare `save()`, `set()` and `delete()` per row, one transaction",
        "get_and_save": "the same, but `get()` each row first",
        "apply": "data_sync: apply, with recheck, read-back, outcomes, History and audit",
    }
    lines = [
        (
            words,
            _seconds(steps[name]),
            f"{steps[name]['seconds'] / apply:.1f}",
            _over_idle(steps[name]),
            f"{steps[name]['queries']:,}",
        )
        for name, words in names.items()
    ]
    return (
        f"#### Writing {edits['update']:,} updates, {edits['create']:,} creates and {edits['delete']:,} deletes "
        f"into {found['apply']['rows']:,} rows\n\n" + _table(("", "seconds", "× apply", "peak, MB", "queries"), lines)
    )


def _peers(found: Figures) -> str:
    if not found["peers"]:
        return ""
    peers, edits = found["peers"], found["peers"]["edits"]
    steps = peers["steps"]
    pull = steps["pull"]["seconds"]
    lines = [
        (
            words,
            _seconds(steps[name]),
            f"{steps[name]['seconds'] / pull:.1f}",
            _over_idle(steps[name]),
            _over_idle(steps[name]["server"]) if "server" in steps[name] else "",
            f"{steps[name]['queries']:,}",
        )
        for name, words in PEERS.items()
        if name in steps
    ]
    return (
        f"#### Beside others, {peers['rows']:,} rows ({edits['update']:,} updates, {edits['create']:,} creates, "
        f"{edits['delete']:,} deletes)\n\n"
        + _table(("", "seconds", "× pull", "peak, MB", "peak there, MB", "queries"), lines)
    )


def _parts(found: Figures) -> Iterable[str]:
    """Where the time goes: of the pull with the most rows, and of the apply with the most changes."""
    if not found["cases"]:
        return
    case = max(found["cases"], key=lambda case: case["rows"])
    yield _parts_of("pull", case["steps"]["pull"], case)
    writing = max([found["apply"] or case, case], key=lambda one: sum(one["edits"].values()))
    yield _parts_of("apply", writing["steps"]["apply"], writing)


def _parts_of(name: str, result: Figures, case: Figures) -> str:
    lines = [(part, f"{entry['seconds']:.2f}", f"{entry['queries']:,}") for part, entry in result["parts"].items()]
    lines.append(("altogether", _seconds(result), f"{result['queries']:,}"))
    title = f"#### Where the time of the {name} goes: {case['rows']:,} rows, {sum(case['edits'].values()):,} changes"
    return f"{title}\n\n{_table(('part', 'seconds', 'queries'), lines)}"


def _wanted(figures: Figures) -> str:
    lines = [
        (KINDS[wish.kind], wish.what, wish.limit, wish.measured, "yes" if wish.reached else "**no**")
        for kind, found in figures["databases"].items()
        for wish in wanted(kind, found)
    ]
    return _table(("database", "figure", "wanted", "measured", "reached"), lines)


def _seconds(result: Figures) -> str:
    return f"{result['seconds']:.2f}"


def _over_idle(result: Figures) -> str:
    return f"{(result['peak'] - result['idle']) / 1e6:.0f}" if result["peak"] else "unknown"


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns line up; what looks like a number is set to the right."""
    columns = list(zip(head, *lines, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [all(value[:1].isdigit() or not value for value in column[1:]) for column in columns]

    def line(values: Sequence[str]) -> str:
        cells = zip(values, widths, right, strict=True)
        return "| " + " | ".join(value.rjust(w) if r else value.ljust(w) for value, w, r in cells) + " |"

    rule = "|" + "|".join("-" * (w + 1) + ":" if r else "-" * (w + 2) for w, r in zip(widths, right, strict=True)) + "|"
    return "\n".join([line(head), rule, *map(line, lines)])
