"""Looking into a process from outside: statements, bytes on the wire, and how long parts of the work take.

Nothing of data_sync knows of this: functions are wrapped where they are looked up.
"""

from __future__ import annotations

import importlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from django.db.backends.utils import CursorWrapper

from .usage import forget_peak, usage

_lock = threading.Lock()
_counts = {"queries": 0, "received": 0, "sent": 0}


def totals() -> dict[str, int]:
    """Statements sent to databases, and bytes received and sent by sockets, since `count`."""
    return dict(_counts)


def count() -> None:
    """From now on counts statements and bytes, in every thread. Rows fetched by a server-side cursor are one."""
    for name in ("_execute", "_executemany"):
        setattr(CursorWrapper, name, _counted_statement(getattr(CursorWrapper, name)))
    for name in ("recv", "recv_into"):
        setattr(socket.socket, name, _counted_bytes(getattr(socket.socket, name), received=True))
    for name in ("send", "sendall"):
        setattr(socket.socket, name, _counted_bytes(getattr(socket.socket, name), received=False))


def _add(name: str, number: int) -> None:
    with _lock:
        _counts[name] += number


def _counted_statement(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: Any, *arguments: Any) -> Any:
        _add("queries", 1)
        return function(self, *arguments)

    return call


def _counted_bytes(function: Callable[..., Any], *, received: bool) -> Callable[..., Any]:
    def call(self: Any, data: Any, *arguments: Any) -> Any:
        result = function(self, data, *arguments)
        if received:
            _add("received", result if isinstance(result, int) else len(result))
        else:
            _add("sent", memoryview(data).nbytes if result is None else result)
        return result

    return call


class Clock:
    """Seconds, processor time, memory, statements and bytes on the wire of the block it is used around."""

    def __enter__(self) -> Clock:
        forget_peak()
        self._before, self._counted = usage(), totals()
        self._started = time.perf_counter()
        return self

    def __exit__(self, *exception: object) -> None:
        self._seconds = time.perf_counter() - self._started
        self._after = usage()
        self._counted = {name: number - self._counted[name] for name, number in totals().items()}

    def result(self, **more: Any) -> dict[str, Any]:
        return {
            "seconds": self._seconds,
            "processor": self._after.processor - self._before.processor,
            "idle": self._before.memory,
            "peak": self._after.peak,
            "queries": self._counted["queries"],
            "wire": self._counted["received"] + self._counted["sent"],
            **more,
        }


@contextmanager
def parts(named: Iterable[tuple[str, str, str]]) -> Iterator[dict[str, dict[str, Any]]]:
    """Seconds and statements of functions, given as module, attribute path and the words for it.

    Calls of one name add up. Statements are those of the whole process meanwhile, so parts that overlap
    share them. A function that is no longer there is left out: the figures around it stay right.
    """
    found: dict[str, dict[str, Any]] = {}

    def timed(function: Callable[..., Any], part: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            began, queries = time.perf_counter(), _counts["queries"]
            try:
                return function(*arguments, **options)
            finally:
                entry = found.setdefault(part, {"seconds": 0.0, "queries": 0, "calls": 0})
                entry["seconds"] += time.perf_counter() - began
                entry["queries"] += _counts["queries"] - queries
                entry["calls"] += 1

        return call

    with ExitStack() as stack:
        for module, path, part in named:
            *owners, name = path.split(".")
            owner: Any = importlib.import_module(module)
            for step in owners:
                owner = getattr(owner, step, None)
            function = getattr(owner, name, None)
            if function is not None:
                stack.enter_context(mock.patch.object(owner, name, timed(function, part)))
        yield found
