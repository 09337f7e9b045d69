"""What pulls read from: the `RecordSource` protocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from .manifest import Manifest


class RecordSource(Protocol):
    """Somewhere records are read from: another environment, or the local database.

    Every method may raise `SourceUnavailable`. A stream is in the format of `core.wire` and is one
    consistent snapshot; its blocks are of any size and end anywhere.
    """

    def manifest(self) -> Manifest:
        """What the source has, and in which shape."""
        ...

    def stream(self, models: Sequence[str]) -> AbstractContextManager[Iterator[bytes]]:
        """Every record in scope of these models, in this order, as the blocks of one stream."""
        ...

    def open_file(self, checksum: str) -> AbstractContextManager[Iterator[bytes]]:
        """The bytes of the file with this checksum (`sha256:<hex>`). Raises `WrongFile` if it has none."""
        ...
