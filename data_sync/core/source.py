"""What pulls read from: the `RecordSource` protocol."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from .manifest import Manifest

Handle = int | str
"""A source's own name for a row: its primary key. Whoever reads it sends it back as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Which models are read, in this order, and by label the fields that are left out of their records."""

    models: tuple[str, ...]
    omitted: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def only(self, label: str) -> Request:
        return Request(models=(label,), omitted={label: self.omitted.get(label, ())})


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

        Rows that are gone or out of scope are left out.
        """
        ...

    def outside(self, label: str, key_texts: Collection[str]) -> set[str]:
        """Which of these natural keys (canonical texts) belong to rows that exist there, but are not in scope."""
        ...

    def open_file(self, checksum: str) -> AbstractContextManager[Iterator[bytes]]:
        """The bytes of the file with this checksum (`sha256:<hex>`). Raises `WrongFile` if it has none."""
        ...
