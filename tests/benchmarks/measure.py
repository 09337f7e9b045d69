"""Which step runs on which copy of which database; a wrong outcome ends the benchmark."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .databases import opened
from .processes import Place

Result = dict[str, Any]
Steps = dict[str, Result]
Say = Callable[[str], None]

#: What has taken so many seconds is not repeated once more.
PATIENCE = 120
BASE, SOURCE, PULLED, APPLIED, WRITTEN = "base", "source", "pulled", "applied", "written"


class Filled:
    """A database with `rows` texts, of which both sides are copies. Leaves nothing behind."""

    def __init__(self, folder: Path, kind: str, rows: int) -> None:
        self.rows = rows
        self.place = Place(folder / f"{kind}-{rows}", kind)
        self.databases = opened(kind, self.place.folder)
        self.databases.make(BASE)

    def __enter__(self) -> Filled:
        try:
            self.made = self.place.step("fill", str(self.rows), database=BASE)
            self.databases.settle(BASE)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.databases.remove(BASE, SOURCE, PULLED, APPLIED, WRITTEN)


class Sides:
    """The filled database as the target, and a copy of it with so many updates as the source."""

    def __init__(self, filled: Filled, updates: int) -> None:
        self._place, self._databases = filled.place, filled.databases
        self._databases.copy(BASE, SOURCE)
        self.edits: dict[str, int] = self._place.step("edit", str(updates), database=SOURCE)
        self._databases.settle(SOURCE)

    @property
    def differences(self) -> int:
        return sum(self.edits.values())

    # data_sync

    def floor(self) -> Result:
        return self._place.step("floor", database=BASE, source=SOURCE)

    def pull(self) -> Result:
        """A pull by a fresh process from a fresh server. `approve` and `apply` go on from what it stored."""
        self._databases.copy(BASE, PULLED)
        result = self._pull(PULLED)
        _expect(result["counts"] == self.edits, result)
        return result

    def pull_without_baselines(self) -> Result:
        self._databases.copy(BASE, WRITTEN)
        result = self._pull(WRITTEN, "pull_without_baselines")
        _expect(result["counts"] == self.edits, result)
        return result

    def pull_again(self) -> Result:
        """A pull after `apply`: it has to find nothing."""
        result = self._pull(APPLIED)
        _expect(not any(result["counts"].values()), result)
        return result

    def _pull(self, database: str, step: str = "pull") -> Result:
        with self._place.server(SOURCE) as server:
            self._place.step("add_source", server.url, database=database)
            result = self._place.step(step, database=database)
            result["server"] = server.result()
        _expect(result["state"] == "done", result)
        return result

    def answer(self, name: str) -> Result:
        """`export` or `digests`: everything that the source sends, read to its end. Empty if it cannot."""
        with self._place.server(SOURCE) as server:
            result = self._place.step(name, server.url, database=BASE)
            return {**result, "server": server.result()} if result else {}

    def approve(self) -> Result:
        self._databases.copy(PULLED, APPLIED)
        result = self._place.step("approve", database=APPLIED)
        _expect(result["accepted"] == self.differences, result)
        return result

    def apply(self) -> Result:
        """Applies what `approve` approved."""
        result = self._place.step("apply", database=APPLIED, source=SOURCE)
        _expect(result["outcomes"] == {"applied": self.differences} and result["equal"], result)
        return result

    def plain_dump(self) -> Result:
        return self._place.step("plain_dump", database=APPLIED)

    def document(self) -> Result:
        return self._place.step("document", database=APPLIED)

    def verify(self) -> Result:
        return self._verified("verify")

    def verify_stored(self) -> Result:
        return self._verified("verify_stored")

    def _verified(self, step: str) -> Result:
        result = self._place.step(step, database=APPLIED)
        _expect(result["changes"] > 0 and not result["faults"], result)
        return result

    # Others

    def save(self) -> Result:
        result = self._written("save")
        _expect(result["equal"], result)
        return result

    def get_and_save(self) -> Result:
        result = self._written("get_and_save")
        _expect(result["equal"], result)
        return result

    def dumpdata(self) -> Result:
        return self._place.step("dumpdata", self._fixture, database=SOURCE)

    def loaddata(self) -> Result:
        return self._written("loaddata", self._fixture)

    @property
    def _fixture(self) -> str:
        return str(self._place.folder / "texts.json")

    def seed(self) -> Result:
        with self._place.server(SOURCE) as server:
            result = self._written("seed", server.url)
            _expect(result["equal"], result)
            return {**result, "server": server.result()}

    def diffsync(self) -> Result:
        result = self._place.step("diffsync", database=BASE, source=SOURCE)
        _expect(result["counts"] == self.edits, result)
        return result

    def import_export(self) -> Result:
        return self._written("import_export")

    def _written(self, step: str, *arguments: str) -> Result:
        self._databases.copy(BASE, WRITTEN)
        return self._place.step(step, *arguments, database=WRITTEN, source=SOURCE)


def repeated(steps: Iterable[tuple[str, Callable[[], Result]]], times: int, say: Say) -> Steps:
    """The steps one after the other, `times` times; of each the run with the fewest seconds.

    Whatever disturbs a run only makes it slower. Steps that cannot be measured (empty results) are left out.
    """
    steps, best, began = list(steps), {}, time.monotonic()
    for number in range(1, times + 1):
        for name, step in steps:
            result = step()
            if result and (name not in best or result["seconds"] < best[name]["seconds"]):
                best[name] = result
        spent = time.monotonic() - began
        say(f"    {number} of {times} done, {spent:.0f} s")
        if spent > PATIENCE:
            break
    return best


def _expect(right: bool, result: Result) -> None:
    if not right:
        raise SystemExit(f"The outcome is wrong, so the figures are worth nothing: {result}")
