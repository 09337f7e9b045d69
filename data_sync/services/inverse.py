"""The inverse of a changeset as a source, and what it has left behind as bases."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

from data_sync import conf
from data_sync.core.errors import WrongFile
from data_sync.core.listing import key_hash
from data_sync.core.manifest import Manifest
from data_sync.core.records import Record
from data_sync.core.source import Handle, Request
from data_sync.core.wire import write_stream
from data_sync.orm.files import read_blocks
from data_sync.orm.resolution import schemas
from data_sync.orm.schema import ModelSchema


class Inverse:
    """The inverse records as a source: streamed whole, from a file. Its files lie where rows had them."""

    def __init__(self, labels: Collection[str]) -> None:
        self._labels = labels
        self._lines: dict[str, IO[bytes]] = {}
        self._files: dict[str, list[tuple[Any, str]]] = {}

    def add(self, record: Record) -> None:
        if record.model not in self._lines:
            self._lines[record.model] = tempfile.TemporaryFile(dir=conf.spool_dir())
        self._lines[record.model].write(record.line().encode() + b"\n")

    def add_files(self, schema: ModelSchema, record: Record) -> None:
        for file in schema.files:
            value = record.files.get(file.name)
            if value is not None:
                self._files.setdefault(value.checksum, []).append((file.field.storage, value.name))

    def close(self) -> None:
        for file in self._lines.values():
            file.close()

    def manifest(self) -> Manifest:
        """Of the models of the changes; how they are compared, the changeset says."""
        known = {label: schema for label, schema in schemas().items() if label in self._labels}
        return Manifest(models={label: schema.manifest(0) for label, schema in known.items()})

    @contextmanager
    def stream(self, request: Request) -> Iterator[Iterator[bytes]]:
        yield write_stream(request.models, ((label, self._of(label)) for label in request.models))

    def _of(self, label: str) -> Iterator[str]:
        if (file := self._lines.get(label)) is not None:
            file.seek(0)
            yield from (line[:-1].decode() for line in file)

    @contextmanager
    def digests(self, request: Request) -> Iterator[Iterator[bytes]]:
        raise NotImplementedError
        yield

    @contextmanager
    def records(self, request: Request, handles: Sequence[Handle]) -> Iterator[Iterator[bytes]]:
        raise NotImplementedError
        yield

    def outside(self, label: str, key_texts: Collection[str]) -> set[str]:
        return set()

    @contextmanager
    def open_file(self, checksum: str) -> Iterator[Iterator[bytes]]:
        for storage, name in self._files.get(checksum, ()):
            try:
                stored = storage.open(name)
            except FileNotFoundError:
                continue
            with stored:
                yield read_blocks(stored)
            return
        raise WrongFile(f"No storage has the file with the checksum {checksum} any more.")


class Left:
    """What a changeset has left behind, in place of baselines: rows are no conflict as long as they are that."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, int], dict[bytes, bytes]] = {}

    def add(self, label: str, key_text: str, digest: bytes) -> None:
        key = key_hash(key_text.encode())
        self._entries.setdefault((label, key[0]), {})[key] = digest

    def has(self, label: str) -> bool:
        return True

    def knows(self, label: str) -> bool:
        return True

    def bucket(self, label: str, index: int) -> Mapping[bytes, bytes]:
        return self._entries.get((label, index), {})

    def agree(self, label: str, index: int, entries: Mapping[bytes, bytes]) -> None:
        """Nothing is agreed on with anybody."""

    def store(self) -> None:
        """A revert stores no baselines."""
