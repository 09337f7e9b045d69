"""The points at which a worker can be stopped. Each is reached by patches in the worker's own process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

Pause = Callable[[], None]


def arm(step: str, point: str, pause: Pause) -> None:
    """Has `pause` called when the step comes to the point. Of what comes by several times, the first time counts."""
    _ARMS[step][point](_once(pause))


def names(step: str) -> tuple[str, ...]:
    """The points of a step ("pull", "approve", "apply" or "revert"), in the order in which it comes by."""
    return tuple(_ARMS[step])


def _once(pause: Pause) -> Pause:
    paused: list[bool] = []

    def call() -> None:
        if not paused:
            paused.append(True)
            pause()

    return call


def _before(owner: Any, name: str, pause: Pause) -> None:
    real = getattr(owner, name)

    def call(*arguments: Any, **options: Any) -> Any:
        pause()
        return real(*arguments, **options)

    setattr(owner, name, call)


def _after(owner: Any, name: str, pause: Pause, when: Callable[..., bool] = lambda *_: True) -> None:
    real = getattr(owner, name)

    def call(*arguments: Any, **options: Any) -> Any:
        result = real(*arguments, **options)
        if when(*arguments):
            pause()
        return result

    setattr(owner, name, call)


def _handing_over(pause: Pause) -> None:
    """The transaction that asks for the work is committed; nobody has been told."""
    from django.db import transaction

    real = transaction.on_commit

    def on_commit(function: Callable[[], Any], *arguments: Any, **options: Any) -> None:
        def later() -> None:
            pause()
            function()

        real(later, *arguments, **options)

    transaction.on_commit = on_commit


def _recorded(action: str, pause: Pause) -> None:
    from data_sync.services import audit

    _after(audit, "record", pause, lambda changeset_id, actor, recorded, detail: recorded == action)


# Pull


def _connected(pause: Pause) -> None:
    from urllib3.connection import HTTPConnection

    _after(HTTPConnection, "connect", pause)


def _reading(name: str, split: Callable[[bytes], int], pause: Pause) -> None:
    """In an answer's body, before the byte that `split` gives."""
    from data_sync.sources.http import HttpSource

    real = getattr(HttpSource, name)

    def halves(blocks: Iterator[bytes]) -> Iterator[bytes]:
        whole = b"".join(blocks)
        place = split(whole)
        if place:
            yield whole[:place]
        pause()
        yield whole[place:]

    @contextmanager
    def read(self: Any, *arguments: Any) -> Iterator[Iterator[bytes]]:
        with real(self, *arguments) as blocks:
            yield halves(blocks)

    setattr(HttpSource, name, read)


def _staged(pause: Pause) -> None:
    from data_sync.services import pulling

    _after(pulling, "stage", pause)


def _comparing(pause: Pause) -> None:
    """One batch of changes is described; nothing is stored."""
    from data_sync.services import pulling

    real = pulling.prepare

    def prepare(comparison: Any, outside: Any, source: Any, advance: Callable[[int], None], **options: Any) -> Any:
        def advanced(steps: int) -> None:
            advance(steps)
            pause()

        return real(comparison, outside, source, advanced, **options)

    pulling.prepare = prepare


def _pull_stored(pause: Pause) -> None:
    from data_sync.services import pulling

    _after(pulling, "finish", pause)


def _pull_committed(pause: Pause) -> None:
    from data_sync.services import pull

    _after(pull, "compare_and_store", pause)


# Approve


def _approved(pause: Pause) -> None:
    from data_sync.services import approval

    _after(approval, "approve", pause)


# Apply


def _apply(when: Callable[..., None], name: str, pause: Pause) -> None:
    from data_sync.services import apply

    when(apply, name, pause)


def _traced(pause: Pause) -> None:
    """It is written down which file will be copied; the storage has not been asked."""
    from data_sync.services import promotions

    _before(promotions, "promote", pause)


def _copying(pause: Pause) -> None:
    """Half of a file is in the storage."""
    from data_sync.orm import promotion

    class Halting(promotion.DjangoFile):
        def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
            content = self.read()
            yield content[: len(content) // 2]
            pause()
            yield content[len(content) // 2 :]

    promotion.DjangoFile = Halting


def _writing(number: int, pause: Pause) -> None:
    """So many statements have altered tables of the project."""
    from django.db import connection

    counted: list[str] = []

    def execute(real: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        result = real(sql, *arguments)
        if sql.startswith(("INSERT", "UPDATE", "DELETE")) and "testapp_" in sql:
            counted.append(sql)
            if len(counted) == number:
                pause()
        return result

    connection.execute_wrappers.append(execute)


# Revert


def _kept(pause: Pause) -> None:
    """What the first deletes take away is kept; they are not done."""
    from data_sync.orm import write

    _before(write, "delete_rows", pause)


def _restoring(pause: Pause) -> None:
    """Rows that went along are there again; no reference is set back."""
    from data_sync.orm.restoration import Restoration

    _before(Restoration, "set_back", pause)


_ARMS: dict[str, dict[str, Callable[[Pause], None]]] = {
    "pull": {
        "after commit, before enqueue": _handing_over,
        "connect": _connected,
        "headers": partial(_reading, "stream", lambda whole: 0),
        "mid-body": partial(_reading, "stream", lambda whole: len(whole) // 2),
        "before the closing line": partial(_reading, "stream", lambda whole: whole.rstrip().rindex(b"\n") + 1),
        "mid-file": partial(_reading, "open_file", lambda whole: len(whole) // 2),
        "staged, before row": _staged,
        "mid-compare": _comparing,
        "before commit": _pull_stored,
        "commit, before response": _pull_committed,
    },
    "approve": {
        "before commit": partial(_recorded, "approved"),
        "commit, before response": _approved,
    },
    "apply": {
        "callback": _handing_over,
        "received": partial(_apply, _before, "_claim"),
        "claimed": partial(_apply, _after, "_claim"),
        "before promotion": _traced,
        "mid-promotion": _copying,
        "files done": partial(_apply, _after, "promote_files"),
        "first write": partial(_writing, 1),
        "middle write": partial(_writing, 4),
        "last write": partial(_apply, _after, "write_rows"),
        "audit, before commit": partial(_recorded, "applied"),
        "commit, before response": partial(_apply, _after, "_write"),
    },
    "revert": {
        "mid-restore": _restoring,
        "kept, before delete": _kept,
        "before the original's state": partial(_apply, _before, "settle"),
    },
}
