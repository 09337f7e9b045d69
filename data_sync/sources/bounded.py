"""Calls that take no time-out of their own, such as the system's name resolution."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")


def bounded(call: Callable[[], Result], seconds: float) -> Result:
    """What a call gives, or raises. Raises `TimeoutError` where that takes longer; the call is then left to itself.

    In a thread of its own: the call must touch no database.
    """
    outcome: list[tuple[Any, BaseException | None]] = []

    def run() -> None:
        try:
            outcome.append((call(), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=run, name="data_sync-bounded", daemon=True)
    thread.start()
    thread.join(max(0.0, seconds))
    if not outcome:
        raise TimeoutError
    [(result, error)] = outcome
    if error is not None:
        raise error
    found: Result = result
    return found
