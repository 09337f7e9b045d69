"""Answers of a source that are kept in the database, for pulls that take longer than one task may.

A further task asks the source only for what is missing. Its listing is thus that of the first task; the local rows are
listed anew. Records are kept by the batches in which they were asked for.
"""

from __future__ import annotations

import hashlib
import tempfile
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import IO, Any

from django.db import transaction
from django.db.models import F

from data_sync import conf
from data_sync.core import canonical
from data_sync.core.manifest import Manifest
from data_sync.core.source import Handle, RecordSource, Request
from data_sync.models import DataPull, KeptAnswer
from data_sync.orm.resolution import schemas

from .pull_states import update_claimed

PIECE = 1 << 19
"""Bytes of a piece before it is compressed."""
_STREAMS = ("digests", "stream")
_STAGED = "staged"
Blocks = AbstractContextManager[Iterator[bytes]]


class KeptSource:
    """A `RecordSource` that gives again what has been kept for a pull, and keeps what it gives: at `settle`.

    What was read in another shape, before a release on either side, is not given again. Listings and streams may be
    read by another thread, which uses no database; everything else is for the thread that made it, and not meanwhile.
    Files are open until `stack` closes them.

    `added` counts the answers kept since it was made; `staged` has the checksums of files that earlier tasks have
    staged or found so. Without `keeps`, answers are not kept, as they are asked for again at no cost.
    """

    def __init__(self, source: RecordSource, pull: DataPull, stack: ExitStack, *, keeps: bool = True) -> None:
        self._source = source
        self._keeps = keeps
        self._pull = pull
        self._stack = stack
        self._shapes = ""
        self._waiting: list[tuple[str, str, IO[bytes]]] = []
        self._streams = {asked: self._spooled(asked) for asked in self._kept(*_STREAMS)}
        self.staged = {line.decode() for asked in self._kept(_STAGED) for line in self._spooled(asked).read().split()}
        self.added = 0

    def _kept(self, *kinds: str) -> set[str]:
        return set(self._pull.kept_answers.filter(kind__in=kinds, number=0).values_list("asked", flat=True))

    def _spooled(self, asked: str) -> IO[bytes]:
        file = self._file()
        file.writelines(self._pieces(asked))
        file.seek(0)
        return file

    def _pieces(self, asked: str) -> Iterator[bytes]:
        """One at a time: MariaDB's client takes in whatever a query gives."""
        pieces = self._pull.kept_answers.filter(asked=asked)
        for number in range(pieces.count()):
            yield zlib.decompress(pieces.values_list("data", flat=True).get(number=number))

    def _file(self) -> IO[bytes]:
        return self._stack.enter_context(tempfile.TemporaryFile(dir=conf.spool_dir(), prefix="data_sync_"))

    # As any source

    def manifest(self) -> Manifest:
        there = self._source.manifest()
        shapes_there = {
            label: {name: value for name, value in model.to_plain().items() if name != "count"}
            for label, model in there.models.items()
        }
        shapes_here = {label: schema.shape() for label, schema in schemas().items()}
        self._shapes = hashlib.sha256(canonical.dumps([shapes_there, shapes_here]).encode()).hexdigest()
        return there

    def stream(self, request: Request) -> Blocks:
        return self._stream("stream", request, self._source.stream)

    def digests(self, request: Request) -> Blocks:
        return self._stream("digests", request, self._source.digests)

    def outside(self, label: str, key_texts: Collection[str]) -> set[str]:
        return self._source.outside(label, key_texts)

    def open_file(self, checksum: str) -> Blocks:
        return self._source.open_file(checksum)

    @contextmanager
    def _stream(self, kind: str, request: Request, ask: Callable[[Request], Blocks]) -> Iterator[Iterator[bytes]]:
        if not self._keeps:
            with ask(request) as blocks:
                yield blocks
            return
        asked = self._digest(kind, request)
        kept = self._streams.get(asked)
        if kept is not None:
            kept.seek(0)
            yield _blocks(kept, 1 << 16)
            return
        with self._noted(kind, asked, ask(request)) as blocks:
            yield blocks

    @contextmanager
    def records(self, request: Request, handles: Sequence[Handle]) -> Iterator[Iterator[bytes]]:
        asked = self._digest("records", request, list(handles))
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

    def _digest(self, kind: str, request: Request, *more: Any) -> str:
        omitted = {label: sorted(names) for label, names in request.omitted.items() if names}
        asked = [self._shapes, kind, list(request.models), omitted, *more]
        return hashlib.sha256(canonical.dumps(asked).encode()).hexdigest()

    # Keeping: under the token, because a worker that was only paused must not add to what its successor reads

    def settle(self) -> None:
        """Keeps what has been read to its end since the last time. Raises `LeaseLost`."""
        while self._waiting:
            kind, asked, file = self._waiting.pop(0)
            file.seek(0)
            self._keep(kind, asked, _blocks(file, PIECE))
            file.close()
            self.added += 1

    def keep_staged(self, checksums: Collection[str]) -> None:
        """Keeps which files are staged. Raises `LeaseLost`."""
        text = "\n".join(sorted(checksums)).encode()
        pieces = (text[start : start + PIECE] for start in range(0, len(text), PIECE))
        self._keep(_STAGED, hashlib.sha256(text).hexdigest(), pieces)

    def renew(self) -> None:
        """Forgets what the source has answered, because it is about to be listed again. Raises `LeaseLost`."""
        self._waiting.clear()
        self._streams.clear()
        with transaction.atomic():
            update_claimed(self._pull, relisted=F("relisted") + 1)
            self._pull.kept_answers.exclude(kind=_STAGED).delete()

    def _keep(self, kind: str, asked: str, pieces: Iterator[bytes]) -> None:
        with transaction.atomic():
            update_claimed(self._pull, token=self._pull.token)
            self._pull.kept_answers.filter(asked=asked).delete()
            for number, data in enumerate(pieces):
                KeptAnswer.objects.create(
                    pull=self._pull, kind=kind, asked=asked, number=number, data=zlib.compress(data, 1)
                )


class _Copy:
    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.is_whole = False

    def of(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            self.file.write(block)
            yield block
        self.is_whole = True


def _blocks(file: IO[bytes], size: int) -> Iterator[bytes]:
    while block := file.read(size):
        yield block
