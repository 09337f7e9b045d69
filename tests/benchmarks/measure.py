"""The order of measuring: which step on which copy of which database."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import data
from .processes import Place

Result = dict[str, Any]
Say = Callable[[str], None]


def prepare(folder: Path, rows: int) -> tuple[Place, Result]:
    """Two databases with `rows` texts each: `target.sqlite3`, and `source.sqlite3` with the edits."""
    folder.mkdir()
    place = Place(folder)
    made = place.step("fill", str(rows), database="target.sqlite3")
    shutil.copy(folder / "target.sqlite3", folder / "source.sqlite3")
    place.step("edit", database="source.sqlite3")
    return place, made


def fastest(repeat: int, step: Callable[[], Result]) -> Result:
    """The run with the fewest seconds: what disturbs a run only ever makes it slower."""
    return min((step() for _ in range(repeat)), key=lambda result: result["seconds"])


def floor(place: Place) -> Result:
    return place.step("floor", database="target.sqlite3", source="source.sqlite3")


def peers(place: Place) -> dict[str, Result]:
    copy = _copy(place, "target.sqlite3", "peer.sqlite3")
    path = str(place.folder / "texts.json")
    return {
        "dumpdata": place.step("dumpdata", path, database="source.sqlite3"),
        "loaddata": place.step("loaddata", path, database=copy),
    }


def pull(place: Place, rows: int) -> Result:
    """A pull into a fresh copy, `pulled.sqlite3`, from a fresh server. Checks what it found."""
    copy = _copy(place, "target.sqlite3", "pulled.sqlite3")
    with place.server("source.sqlite3") as server:
        place.step("add_source", server.url, database=copy)
        result = place.step("pulled", database=copy)
        result["server"] = server.memory()
    _expect(result["state"] == "done" and result["counts"] == data.expected(rows), result)
    return result


def apply(place: Place, rows: int) -> dict[str, Result]:
    """Approves and applies in a copy of `pulled.sqlite3`, then pulls again, which has to find nothing."""
    copy = _copy(place, "pulled.sqlite3", "applied.sqlite3")
    approved = place.step("approve", database=copy)
    applied = place.step("applied", database=copy, source="source.sqlite3")
    _expect(applied["state"] == "applied", applied)
    _expect(applied["outcomes"] == {"applied": sum(data.expected(rows).values())}, applied)
    return {"approve": approved, "apply": applied}


def pull_again(place: Place) -> Result:
    """A pull into what `apply` left; it has to find nothing."""
    with place.server("source.sqlite3") as server:
        place.step("move_source", server.url, database="applied.sqlite3")
        result = place.step("pulled", database="applied.sqlite3")
    _expect(result["state"] == "done" and not any(result["counts"].values()), result)
    return result


def save(place: Place, step: str) -> Result:
    """The same changes without data_sync, on a copy."""
    copy = _copy(place, "target.sqlite3", "saved.sqlite3")
    result = place.step(step, database=copy, source="source.sqlite3")
    _expect(result["left"] == 0, result)
    return result


def _copy(place: Place, name: str, copy: str) -> str:
    shutil.copy(place.folder / name, place.folder / copy)
    return copy


def _expect(right: bool, result: Result) -> None:
    if not right:
        raise SystemExit(f"The figures would be worth nothing, as the outcome is wrong: {result}")
