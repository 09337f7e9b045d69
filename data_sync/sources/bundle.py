"""A bundle, which is a source in a file: read as another environment is, with the same answers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import groupby
from typing import IO, Any

from data_sync import conf
from data_sync.core import canonical
from data_sync.core.bundle import (
    CLOSING,
    HEAD,
    MAX_DOCUMENT,
    OUTSIDE,
    RECORDS,
    Closing,
    Head,
    checksums_of,
    file_member,
    is_file_member,
    key_hash,
    malformed,
    refuse_other_closing,
)
from data_sync.core.errors import MalformedStream, SourceUnavailable, WrongFile
from data_sync.core.manifest import WHOLE, Manifest
from data_sync.core.records import split_line
from data_sync.core.scratch import open_scratch
from data_sync.core.source import Handle, Request
from data_sync.core.spool import glance
from data_sync.core.wire import StreamReader, write_stream
from data_sync.orm.read import LocalSource

from .archive import Archive

_TABLES = "CREATE TABLE outside (label TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (label, key)) WITHOUT ROWID;"
_AT_ONCE = 1000


class BundleSource:
    """A `RecordSource` in an open file, which stays open until it is closed.

    Made, it has looked at all that can be seen without reading the records: members, their order and sizes, the closing
    digest over them, and the manifest. Records and files are checked while they are read. Raises `MalformedBundle`.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._archive = Archive(file, conf.max_stream_bytes())
        said = self._archive.document(CLOSING, MAX_DOCUMENT)
        self._checksums = checksums_of(said)
        found = Closing()
        for name, info in self._archive.members.items():
            if name != CLOSING:
                is_file = is_file_member(name)
                checksum = f"sha256:{name.rpartition('/')[2]}" if is_file else self._checksums[name]
                found.add(name, info.file_size, checksum)
        refuse_other_closing(said, found)
        self.head = Head(self._archive.document(HEAD, MAX_DOCUMENT, self._checksums[HEAD]))
        self._outside: Any = None

    def manifest(self) -> Manifest:
        return replace(self.head.manifest, features=(WHOLE,))

    @contextmanager
    def stream(self, request: Request) -> Iterator[Iterator[bytes]]:
        """As the protocol says. What a bundle's own stream says wrong of itself is found while it is read."""
        blocks = self._archive.blocks(RECORDS, self._checksums[RECORDS])
        if request.models == self.head.models and not any(request.omitted.values()):
            yield blocks
            return
        yield write_stream(request.models, self._some(request, blocks))

    def _some(self, request: Request, blocks: Iterator[bytes]) -> Iterator[tuple[str, Iterator[str]]]:
        """The lines of these models, without what is left out."""
        wanted = set(request.models)
        for lines in StreamReader(blocks, self.head.models, conf.max_rows(), conf.max_line_bytes()):
            labelled = [(_label(line), line) for _, line in lines]
            for label, group in groupby(labelled, lambda pair: pair[0]):
                if label in wanted:
                    omitted = request.omitted.get(label, ())
                    yield label, (_without(line, omitted) for _, line in group)

    @contextmanager
    def digests(self, request: Request) -> Iterator[Iterator[bytes]]:
        raise SourceUnavailable("A bundle lists no digests: read its stream.")
        yield iter(())

    @contextmanager
    def records(self, request: Request, handles: Sequence[Handle]) -> Iterator[Iterator[bytes]]:
        raise SourceUnavailable("A bundle has no handles of rows: read its stream.")
        yield iter(())

    def outside(self, label: str, key_texts: Collection[str]) -> set[str]:
        if self._outside is None:
            self._outside = self._read_outside()
        find = "SELECT 1 FROM outside WHERE label = ? AND key = ?"
        return {text for text in key_texts if self._outside.execute(find, (label, key_hash(text))).fetchone()}

    def _read_outside(self) -> Any:
        database = open_scratch(conf.spool_dir(), _TABLES)
        try:
            waiting: list[tuple[str, str]] = []
            for number, line in enumerate(self._lines_outside(), 1):
                match _plain(line):
                    case [str(label), str(key)] if label in self.head.manifest.models and number <= conf.max_rows():
                        waiting.append((label, key))
                    case _:
                        raise malformed(OUTSIDE, f"its line {number} is not a model and the hash of a key")
                if len(waiting) == _AT_ONCE:
                    database.executemany("INSERT OR IGNORE INTO outside VALUES (?, ?)", waiting)
                    waiting.clear()
            database.executemany("INSERT OR IGNORE INTO outside VALUES (?, ?)", waiting)
        except BaseException:
            database.close()
            raise
        return database

    def _lines_outside(self) -> Iterator[bytes]:
        rest = b""
        for block in self._archive.blocks(OUTSIDE, self._checksums[OUTSIDE]):
            *lines, rest = (rest + block).split(b"\n")
            if max(map(len, [*lines, rest])) > _AT_ONCE:
                raise malformed(OUTSIDE, "one of its lines is longer than a model and a hash can be")
            yield from lines
        if rest:
            raise malformed(OUTSIDE, "its last line is cut short")

    @contextmanager
    def open_file(self, checksum: str) -> Iterator[Iterator[bytes]]:
        """As the protocol says; where the bundle has no files, those that rows here have are taken. Not verified here:
        hash the bytes while reading."""
        name = file_member(checksum)
        if self._archive.has(name):
            yield self._archive.blocks(name)
            return
        if self.head.has_files:
            raise WrongFile(
                f"The bundle names the file {checksum}, but does not have it. Make the bundle anew, and carry it over "
                "whole."
            )
        with ExitStack() as stack:
            try:
                blocks = stack.enter_context(LocalSource().open_file(checksum))
            except WrongFile:
                raise WrongFile(
                    f"The bundle was made without files, and no row here has the file {checksum}. Make the bundle with "
                    "files, or bring the file here first."
                ) from None
            yield blocks

    def close(self) -> None:
        if self._outside is not None:
            self._outside.close()
            self._outside = None


def _label(line: bytes) -> str:
    seen = glance(line)
    if seen is None:
        raise malformed(RECORDS, "one of its lines is not a record")
    return seen.label


def _without(line: bytes, omitted: Collection[str]) -> str:
    """A record's line without these fields and files."""
    try:
        text = line.decode()
        if not omitted:
            return text
        split = split_line(text)
        beside, (label, key, *members) = canonical.loads(split.beside), canonical.loads(split.canonical)
        left = [{name: value for name, value in of.items() if name not in omitted} for of in members]
        kept = {what: {name: value for name, value in of.items() if name not in omitted} for what, of in beside.items()}
    except (UnicodeDecodeError, MalformedStream, ValueError, TypeError, AttributeError):
        raise malformed(RECORDS, "one of its records cannot be read") from None
    shown = {what: of for what, of in kept.items() if of}
    return f"[{canonical.dumps(shown)},{canonical.dumps([label, key, *left])}]"


def _plain(line: bytes) -> Any:
    try:
        return canonical.loads(line.decode())
    except (UnicodeDecodeError, MalformedStream):
        return None
