"""Fetched files between pull and apply: private, named by content, checked on the way in and out."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, Storage, storages

from data_sync import conf
from data_sync.core.errors import WrongFile
from data_sync.core.records import FileValue

from .files import hash_file


def staging_storage() -> Storage:
    """The storage named by `DATA_SYNC_STAGING_STORAGE`, else a directory of its own."""
    alias = conf.staging_storage()
    if alias is not None:
        return storages[alias]
    return FileSystemStorage(location=conf.staging_root(), base_url=None)


def is_staged(file: FileValue) -> bool:
    storage, name = staging_storage(), _name(file)
    return storage.exists(name) and storage.size(name) == file.size


def stage(file: FileValue, blocks: Iterable[bytes]) -> None:
    """Stores a file's bytes. Raises `WrongFile`, with nothing stored, unless size and checksum are as promised."""
    sha, size = hashlib.sha256(), 0
    with tempfile.TemporaryFile(dir=conf.spool_dir()) as spool:
        for block in blocks:
            size += len(block)
            if size > file.size:
                break
            sha.update(block)
            spool.write(block)
        if size != file.size or f"sha256:{sha.hexdigest()}" != file.checksum:
            raise WrongFile(
                f"The file {file.name!r} did not arrive as promised: {file.size} bytes with {file.checksum} were "
                f"announced, {size} bytes with sha256:{sha.hexdigest()} came. Pull again."
            )
        spool.seek(0)
        storage, name = staging_storage(), _name(file)
        if storage.exists(name):
            storage.delete(name)
        storage.save(name, File(spool))


@contextmanager
def open_staged(file: FileValue) -> Iterator[IO[bytes]]:
    """A staged file, its bytes checked again. Raises `WrongFile`."""
    storage, name = staging_storage(), _name(file)
    try:
        stored = storage.open(name)
    except FileNotFoundError:
        raise WrongFile(f"The fetched file {file.name!r} ({file.checksum}) is no longer there. Pull again.") from None
    with stored:
        checksum, size = hash_file(stored)
        altered = f"sha256:{checksum}" != file.checksum or size != file.size
        if not altered:
            stored.seek(0)
            yield stored
    if altered:
        storage.delete(name)  # So that the next pull fetches it again.
        raise WrongFile(f"The fetched file {file.name!r} ({file.checksum}) has been altered. Pull again.")


def staged_checksum(file: FileValue) -> str | None:
    """That of the bytes that stand for a file, which is not altered or removed; None where there are none."""
    try:
        with staging_storage().open(_name(file)) as stored:
            return f"sha256:{hash_file(stored)[0]}"
    except FileNotFoundError:
        return None


def _name(file: FileValue) -> str:
    digest = file.checksum.removeprefix("sha256:")
    return f"{digest[:2]}/{digest}"
