"""What the figures are wanted to be. Nothing fails where they are not: machines differ, the table says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Figures = dict[str, Any]

TRAIL_TIMES, TRAIL_MEMORY = 3, 60e6
FLOOR_TIMES = {"sqlite": 4.0, "postgresql": 2.0}
SAVE_TIMES = {"sqlite": 3.0, "postgresql": 6.0}
DUMP_TIMES, WIRE, GROWTH, MORE_MEMORY, MEMORY, BYTES_PER_ROW, BASELINES = 80, 4e6, 15, 20e6, 100e6, 40, 30
MANY, MOST = 100_000, 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A figure in words: what, at most or at least how much, how much it is, and whether that is reached."""

    kind: str
    what: str
    limit: str
    measured: str
    reached: bool


def wanted(kind: str, found: Figures) -> Iterator[Wish]:
    """Every figure that this run can tell."""

    def at_most(what: str, limit: float, measured: float, unit: str = "") -> Wish:
        return _wish(kind, what, "at most", limit, measured, unit, measured <= limit)

    def at_least(what: str, limit: float, measured: float) -> Wish:
        return _wish(kind, what, "at least", limit, measured, "", measured >= limit)

    for case in found["cases"]:
        if (changes := sum(case["edits"].values())) >= MANY:
            for name, what in (("document", "export"), ("verify", "verify")):
                result, plain = case["steps"][name], case["steps"]["plain_dump"]
                words = f"{what} of {changes:,} changes"
                yield at_most(f"{words} / values_list and json.dump", TRAIL_TIMES, result["seconds"] / plain["seconds"])
                memory = (result["peak"] - result["idle"]) / 1e6
                yield at_most(f"peak of {words}", TRAIL_MEMORY / 1e6, memory, " MB")
    cases = {case["rows"]: case["steps"] for case in found["cases"] if case["changed"] == 1}
    many, most = cases.get(MANY), cases.get(MOST)
    peers, apply = found["peers"], found["apply"]
    if many:
        pull = many["pull"]
        yield at_most("pull / raw read, 100,000 rows", FLOOR_TIMES[kind], pull["seconds"] / many["floor"]["seconds"])
        yield at_most("on the wire, 100,000 rows", WIRE / 1e6, pull["wire"] / 1e6, " MB")
        yield at_most(
            "on the wire a row, where nothing differs", BYTES_PER_ROW, many["pull_again"]["wire"] / MANY, " B"
        )
        bare = many["pull_without_baselines"]["seconds"]
        yield at_most("baselines add to a pull, 100,000 rows", BASELINES, 100 * (pull["seconds"] / bare - 1), " %")
    if many and peers:
        steps = peers["steps"]
        times = MANY / peers["rows"]
        dumped = (steps["dumpdata"]["seconds"] + steps["loaddata"]["seconds"]) * times
        scaled = "" if times == 1 else f" ({peers['rows']:,} × {times:g})"
        yield at_least(f"dumpdata and loaddata{scaled} / pull", DUMP_TIMES, dumped / many["pull"]["seconds"])
    if apply:
        steps = apply["steps"]
        ratio = steps["save"]["seconds"] / steps["apply"]["seconds"]
        yield at_least(f"save() per row / apply, {sum(apply['edits'].values()):,} changes", SAVE_TIMES[kind], ratio)
        memory = (steps["apply"]["peak"] - steps["apply"]["idle"]) / 1e6
        yield at_most(f"peak of that apply, {apply['rows']:,} rows", MEMORY / 1e6, memory, " MB")
    if most:
        for what, result in (
            ("pull", most["pull"]),
            ("the source in a pull", most["pull"]["server"]),
            ("the source in an export", most["export"]["server"]),
            ("apply", most["apply"]),
        ):
            memory = (result["peak"] - result["idle"]) / 1e6
            yield at_most(f"peak of {what}, 1,000,000 rows", MEMORY / 1e6, memory, " MB")
    if many and most:
        for what in ("pull", "apply", "export"):
            times = _queries(most[what]) / _queries(many[what])
            yield at_most(f"queries of {what}, 1,000,000 rows / 100,000", MOST / MANY, times)
        yield at_most("1,000,000 rows / 100,000", GROWTH, most["pull"]["seconds"] / many["pull"]["seconds"])
        for what, small, large in (
            ("here", many["pull"], most["pull"]),
            ("at the source", many["pull"]["server"], most["pull"]["server"]),
        ):
            more = ((large["peak"] - large["idle"]) - (small["peak"] - small["idle"])) / 1e6
            yield at_most(f"memory of a pull {what}, 1,000,000 above 100,000 rows", MORE_MEMORY / 1e6, more, " MB")


def _queries(result: Figures) -> int:
    """On both sides."""
    return int(result["queries"] + result.get("server", {}).get("queries", 0))


def _wish(kind: str, what: str, word: str, limit: float, measured: float, unit: str, reached: bool) -> Wish:
    return Wish(
        kind=kind, what=what, limit=f"{word} {limit:g}{unit}", measured=f"{measured:.1f}{unit}", reached=reached
    )
