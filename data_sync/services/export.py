"""What other environments may read from this one; the caller has had `asked` see to what they may ask for."""

from __future__ import annotations

import gzip
import hashlib
import re
import tempfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import IO, Any

from data_sync import conf
from data_sync.core import canonical
from data_sync.core.errors import WrongFile
from data_sync.core.source import Request
from data_sync.core.wire import closing_of
from data_sync.orm.read import LocalSource

from .asked import KeysOutside, SomeRecords

_CHECKSUM = re.compile(r"[0-9a-f]{64}")


def manifest(labels: Collection[str]) -> dict[str, Any]:
    """The manifest document of these models."""
    return LocalSource(list(labels)).manifest().to_plain()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spool:
    """An answer in a temporary file without a name, at its start. `closing` is what its closing line says.

    The snapshot ends with the writing: a slow reader of the file pins no transaction, and an error is
    raised there, before anything was sent.
    """

    file: IO[bytes]
    closing: dict[str, Any]


def spool_export(request: Request, *, compress: bool = False) -> Spool:
    """A whole stream of these models, in this order. `compress`: the file is gzipped."""
    with LocalSource(request.models).stream(request) as blocks:
        return _closed(blocks, compress=compress)


def spool_digests(request: Request) -> Spool:
    """The listing of digests of these models."""
    with LocalSource(request.models).digests(request) as blocks:
        return _closed(blocks)


def spool_records(asked: SomeRecords, *, compress: bool = False) -> Spool:
    """The records that are asked for, as `spool_export` gives all."""
    with LocalSource(asked.request.models).records(asked.request, asked.handles) as blocks:
        return _closed(blocks, compress=compress)


def outside(asked: KeysOutside) -> dict[str, Any]:
    """The document that names those of these keys that rows out of scope have."""
    found = LocalSource([asked.label]).outside(asked.label, asked.key_texts)
    return {"outside": [canonical.loads(text) for text in sorted(found)]}


def open_file(checksum: str, labels: Collection[str]) -> IO[bytes]:
    """The file with this checksum (64 hex digits) in a temporary file, if a row of these models has it now.

    Raises `WrongFile`, also where the stored bytes are no longer those that were hashed.
    """
    if _CHECKSUM.fullmatch(checksum) is None:
        raise WrongFile("A file is asked for by its SHA-256 in 64 lower-case hex digits.")
    sha = hashlib.sha256()
    with LocalSource(list(labels)).open_file(f"sha256:{checksum}") as blocks:
        spool = _spool(_hashing(blocks, sha))
    if sha.hexdigest() != checksum:
        spool.close()
        raise WrongFile("The file with this checksum has been overwritten in place since it was hashed. Pull again.")
    return spool


def _closed(blocks: Iterable[bytes], *, compress: bool = False) -> Spool:
    kept = [b""]
    file = _spool(_keeping_last(blocks, kept), compress=compress)
    return Spool(file=file, closing=closing_of(kept[0]))


def _keeping_last(blocks: Iterable[bytes], kept: list[bytes]) -> Iterable[bytes]:
    for block in blocks:
        kept[0] = block
        yield block


def _hashing(blocks: Iterable[bytes], sha: Any) -> Iterable[bytes]:
    for block in blocks:
        sha.update(block)
        yield block


def _spool(blocks: Iterable[bytes], *, compress: bool = False) -> IO[bytes]:
    spool = tempfile.TemporaryFile(dir=conf.spool_dir(), prefix="data_sync_")
    try:
        if compress:
            # Level 6 would save a tenth of the bytes and take twice the time.
            with gzip.GzipFile(fileobj=spool, mode="wb", compresslevel=1, mtime=0) as compressed:
                for block in blocks:
                    compressed.write(block)
        else:
            spool.writelines(blocks)
        spool.seek(0)
    except BaseException:
        spool.close()
        raise
    return spool
