"""What other environments may read from this one; the caller has asked `keys.authenticate` for the labels."""

from __future__ import annotations

import gzip
import hashlib
import re
import tempfile
from collections.abc import Collection, Iterable
from typing import IO, Any

from data_sync import conf
from data_sync.core.errors import InvalidInput, NotPermitted, WrongFile
from data_sync.orm.read import LocalSource
from data_sync.orm.resolution import schemas

_CHECKSUM = re.compile(r"[0-9a-f]{64}")


class UnknownModel(InvalidInput):
    """A model was asked for that is not registered here."""


def scope(models: str | None, labels: Collection[str]) -> list[str]:
    """The labels to export: those in `models` (comma-separated), in that order; None: all of `labels`.

    Raises `InvalidInput` for an empty or doubled name, `UnknownModel`, and `NotPermitted` for a model
    that is registered but not among `labels`.
    """
    known = schemas()
    if models is None:
        return [label for label in known if label in labels]
    wanted = models.split(",")
    for label in wanted:
        if not label:
            raise InvalidInput("models is a comma-separated list such as app.country,app.copy; leave it out for all.")
        if label not in known:
            raise UnknownModel(f"The model {label[:200]!r} is not registered with data_sync at the source.")
        if label not in labels:
            raise NotPermitted(f"This export key may not read {label}.")
    if len(set(wanted)) != len(wanted):
        raise InvalidInput("A model is named twice in models.")
    return wanted


def manifest(labels: Collection[str]) -> dict[str, Any]:
    """The manifest document of these models."""
    return LocalSource(list(labels)).manifest().to_plain()


def spool_export(labels: Collection[str], *, compress: bool = False) -> IO[bytes]:
    """A whole stream of these models, in this order, in a temporary file without a name, at its start.

    The snapshot ends with the writing: a slow reader of the file pins no transaction, and an error is
    raised here, before anything was sent. `compress`: the file is gzipped.
    """
    with LocalSource(list(labels)).stream(list(labels)) as blocks:
        return _spool(blocks, compress=compress)


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
