"""Answers of a source that are kept in the database, for pulls that take longer than one task may.

A further task asks the source only for what is missing. Its listing is thus that of the first task; the local rows are
listed anew. Where they are as they were, the same batches of records are asked for and found.
"""

from __future__ import annotations

import hashlib
import tempfile
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import IO, Any

from django.db import transaction

from data_sync import conf
from data_sync.core import canonical
from data_sync.core.manifest import Manifest
from data_sync.core.source import Handle, RecordSource, Request
from data_sync.models import DataPull, KeptAnswer

PIECE = 1 << 19
"""Bytes of a piece before it is compressed."""
_LISTINGS = ("digests", "stream")
Blocks = AbstractContextManager[Iterator[bytes]]


class KeptSource:
    """A `RecordSource` that gives again what has been kept for a pull, and keeps what it gives: at `settle`.

    Like its source it may be read by another thread, but for `records` and `settle`, which use the database, and not
    meanwhile. Its files
    are open until `stack` closes them. `added` counts the answers kept since it was made.
    """

    def __init__(self, source: RecordSource, pull: DataPull, stack: ExitStack) -> None:
        self._source = source
        self._pull = pull
        self._stack = stack
        self._given: set[str] = set()
        self._waiting: list[tuple[str, str, IO[bytes]]] = []
        self._is_outdated = False
        self._listings = {asked: self._spooled(asked) for asked in self._kept(*_LISTINGS)}
        self.added = 0

    def _kept(self, *kinds: str) -> set[str]:
        return set(self._pull.kept_answers.filter(kind__in=kinds, number=0).values_list("asked", flat=True))

    def _spooled(self, asked: str) -> IO[bytes]:
        file = self._file()
        file.writelines(self._pieces(asked))
        return file

    def _pieces(self, asked: str) -> Iterator[bytes]:
        pieces = self._pull.kept_answers.filter(asked=asked).order_by("number").values_list("data", flat=True)
        return (zlib.decompress(data) for data in pieces.iterator(chunk_size=4))

    def _file(self) -> IO[bytes]:
        return self._stack.enter_context(tempfile.TemporaryFile(dir=conf.spool_dir(), prefix="data_sync_"))

    # As any source

    def manifest(self) -> Manifest:
        return self._source.manifest()

    def stream(self, request: Request) -> Blocks:
        return self._listing("stream", request, self._source.stream)

    def digests(self, request: Request) -> Blocks:
        return self._listing("digests", request, self._source.digests)

    def outside(self, label: str, key_texts: Collection[str]) -> set[str]:
        return self._source.outside(label, key_texts)

    def open_file(self, checksum: str) -> Blocks:
        return self._source.open_file(checksum)

    @contextmanager
    def _listing(self, kind: str, request: Request, ask: Callable[[Request], Blocks]) -> Iterator[Iterator[bytes]]:
        asked = _digest(kind, request)
        if asked in self._given:
            # A row was not as listed. Records that were read for the old listing may be old, too.
            self._is_outdated = True
            self._listings.clear()
            self._waiting.clear()
        self._given.add(asked)
        kept = self._listings.get(asked)
        if kept is not None:
            kept.seek(0)
            yield _blocks(kept, 1 << 16)
            return
        with self._noted(kind, asked, ask(request)) as blocks:
            yield blocks

    @contextmanager
    def records(self, request: Request, handles: Sequence[Handle]) -> Iterator[Iterator[bytes]]:
        self.settle()
        asked = _digest("records", request, list(handles))
        if self._pull.kept_answers.filter(asked=asked, number=0).exists():
            yield self._pieces(asked)
            return
        with self._noted("records", asked, self._source.records(request, handles)) as blocks:
            yield blocks

    @contextmanager
    def _noted(self, kind: str, asked: str, answer: Blocks) -> Iterator[Iterator[bytes]]:
        """The answer, which waits to be kept once it was read to its end; who reads it raises where it is not whole."""
        copy = _Copy(self._file())
        with answer as blocks:
            yield copy.of(blocks)
        if copy.is_whole:
            self._waiting.append((kind, asked, copy.file))

    # Keeping

    def settle(self) -> None:
        """Keeps what has been read to its end since the last time."""
        if self._is_outdated:
            self._pull.kept_answers.all().delete()
            self._is_outdated = False
        while self._waiting:
            kind, asked, file = self._waiting.pop(0)
            file.seek(0)
            with transaction.atomic():
                for number, data in enumerate(_blocks(file, PIECE)):
                    KeptAnswer.objects.create(
                        pull=self._pull, kind=kind, asked=asked, number=number, data=zlib.compress(data, 1)
                    )
            file.close()
            self.added += 1


def forget_answers(pull_id: int) -> None:
    """What was kept for a pull that is over."""
    KeptAnswer.objects.filter(pull=pull_id).delete()


def _blocks(file: IO[bytes], size: int) -> Iterator[bytes]:
    while block := file.read(size):
        yield block


class _Copy:
    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.is_whole = False

    def of(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            self.file.write(block)
            yield block
        self.is_whole = True


def _digest(kind: str, request: Request, *more: Any) -> str:
    omitted = {label: sorted(names) for label, names in request.omitted.items() if names}
    return hashlib.sha256(canonical.dumps([kind, list(request.models), omitted, *more]).encode()).hexdigest()
