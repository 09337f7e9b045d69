"""What pulls read from: the `RecordSource` protocol."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar
from zlib import crc32

from . import canonical
from .manifest import Manifest

Member = TypeVar("Member")

Handle = int | str
"""A source's own name for a row: its primary key. Whoever reads it sends it back as it is."""

Outside = Callable[[str, Collection[str]], set[str]]
"""Gives those of some keys (canonical texts) of a model whose rows the source has, but not in scope."""

MAX_HANDLES = 5000
"""So many handles one call of `records` takes."""
MAX_BODY = 1 << 20
"""So many bytes of a request's body a source reads."""
_BODY = 400_000
"""What a batch comes to at most: servers that stand before a source refuse bodies from 1 MB on, some from less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Which models are read, in this order, and by label the fields that are left out of their records."""

    models: tuple[str, ...]
    omitted: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def only(self, label: str) -> Request:
        return Request(models=(label,), omitted={label: self.omitted.get(label, ())})


def handle_batches(handles: Iterable[Handle], *, fixed: bool = False) -> Iterator[list[Handle]]:
    """The same handles in lists that one call of `records` takes: of few enough, and not too long as JSON.

    `fixed`: lists end at certain handles, about every half of the most that one takes. A handle more or less then
    alters one list, or two, and not all that follow.
    """
    yield from within(handles, _json_length, _ends_batch if fixed else None)


def _json_length(handle: Handle) -> int:
    return 21 if isinstance(handle, int) else len(canonical.quote(handle).encode())


def _ends_batch(handle: Handle) -> bool:
    return crc32(str(handle).encode()) % max(1, MAX_HANDLES // 2) == 0


def within(
    members: Iterable[Member], length: Callable[[Member], int], is_last: Callable[[Member], bool] | None = None
) -> Iterator[list[Member]]:
    """Lists of at most `MAX_HANDLES` members, whose lengths come to what one request's body may hold. They end after
    members that `is_last` says so of, too."""
    batch: list[Member] = []
    size = 0
    for member in members:
        more = length(member) + 1
        if batch and (len(batch) == MAX_HANDLES or size + more > _BODY):
            yield batch
            batch, size = [], 0
        batch.append(member)
        size += more
        if is_last is not None and is_last(member):
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class RecordSource(Protocol):
    """Somewhere records are read from: another environment, or the local database.

    Every method may raise `SourceUnavailable`. What `stream` and `digests` give is one consistent
    snapshot; blocks are of any size and end anywhere.
    """

    def manifest(self) -> Manifest:
        """What the source has, and in which shape."""
        ...

    def stream(self, request: Request) -> AbstractContextManager[Iterator[bytes]]:
        """Every record in scope of these models, in this order, as the blocks of one stream of `core.wire`."""
        ...

    def digests(self, request: Request) -> AbstractContextManager[Iterator[bytes]]:
        """Key hash, digest and handle of the same records, as the blocks of one listing of `core.digests`.

        Only for sources whose manifest has the feature "digests".
        """
        ...

    def records(self, request: Request, handles: Sequence[Handle]) -> AbstractContextManager[Iterator[bytes]]:
        """The records behind some handles of the request's one model, as they are now, as a stream of `core.wire`.

        Rows that are gone or out of scope are left out. The handles are one of `handle_batches`.
        """
        ...

    def outside(self, label: str, key_texts: Collection[str]) -> set[str]:
        """Which of these natural keys (canonical texts) belong to rows that exist there, but are not in scope."""
        ...

    def open_file(self, checksum: str) -> AbstractContextManager[Iterator[bytes]]:
        """The bytes of the file with this checksum (`sha256:<hex>`). Raises `WrongFile` if it has none."""
        ...
