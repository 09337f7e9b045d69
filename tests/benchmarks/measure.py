"""Which step runs on which copy of which database; a wrong outcome ends the benchmark."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .processes import Place

Result = dict[str, Any]

TARGET, SOURCE, PULLED, APPLIED, SAVED, LOADED = (
    f"{name}.sqlite3" for name in ("target", "source", "pulled", "applied", "saved", "loaded")
)


class Sides:
    """Two databases in a new folder: the target's with `rows` texts, and the source's with the edits."""

    def __init__(self, folder: Path, rows: int) -> None:
        self._place = Place(folder)
        self.made = self._place.step("fill", str(rows), database=TARGET)
        self._copy(TARGET, SOURCE)
        self._edits = self._place.step("edit", database=SOURCE)

    @property
    def differences(self) -> int:
        return sum(self._edits.values())

    def floor(self) -> Result:
        return self._place.step("floor", database=TARGET, source=SOURCE)

    def dumpdata(self) -> Result:
        return self._place.step("dumpdata", self._fixture, database=SOURCE)

    def loaddata(self) -> Result:
        self._copy(TARGET, LOADED)
        return self._place.step("loaddata", self._fixture, database=LOADED)

    @property
    def _fixture(self) -> str:
        return str(self._place.folder / "texts.json")

    def pull(self) -> Result:
        """A pull by a fresh process from a fresh server. `apply` goes on from what it stored."""
        self._copy(TARGET, PULLED)
        result = self._pull(PULLED)
        _expect(result["counts"] == self._edits, result)
        return result

    def pull_again(self) -> Result:
        """A pull after `apply`: it has to find nothing."""
        result = self._pull(APPLIED)
        _expect(not any(result["counts"].values()), result)
        return result

    def _pull(self, database: str) -> Result:
        with self._place.server(SOURCE) as server:
            self._place.step("add_source", server.url, database=database)
            result = self._place.step("pull", database=database)
            result["server"] = server.result()
        _expect(result["state"] == "done", result)
        return result

    def approve(self) -> Result:
        self._copy(PULLED, APPLIED)
        return self._place.step("approve", database=APPLIED)

    def apply(self) -> Result:
        """Applies what `approve` approved."""
        result = self._place.step("apply", database=APPLIED, source=SOURCE)
        _expect(result["outcomes"] == {"applied": self.differences} and result["left"] == 0, result)
        return result

    def save(self, step: str) -> Result:
        """The same changes without data_sync."""
        self._copy(TARGET, SAVED)
        result = self._place.step(step, database=SAVED, source=SOURCE)
        _expect(result["left"] == 0, result)
        return result

    def _copy(self, name: str, copy: str) -> None:
        shutil.copy(self._place.folder / name, self._place.folder / copy)


def fastest(runs: Iterable[Result]) -> Result:
    """The run with the fewest seconds: whatever disturbs a run only makes it slower."""
    return min(runs, key=lambda result: result["seconds"])


def _expect(right: bool, result: Result) -> None:
    if not right:
        raise SystemExit(f"The outcome is wrong, so the figures are worth nothing: {result}")
