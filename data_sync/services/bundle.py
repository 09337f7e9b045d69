"""Writing a bundle: everything that another environment could pull from here, in one file, of one moment."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from io import BufferedRandom
from pathlib import Path
from typing import IO, Any

from django.utils import timezone

from data_sync import conf
from data_sync.core import bundle, canonical
from data_sync.core.errors import InvalidInput, RecordError, WrongFile
from data_sync.core.records import MISSING
from data_sync.core.scratch import open_scratch
from data_sync.core.source import Request
from data_sync.core.wire import write_stream
from data_sync.orm.read import LocalSource, Whole
from data_sync.orm.resolution import schemas

from . import audit
from .actors import Actor
from .keys import PERMISSION

CHAIN = "bundles"
"""The chain of the events that say what was bundled."""
_TABLES = "CREATE TABLE file (checksum TEXT PRIMARY KEY, size INTEGER NOT NULL, row TEXT NOT NULL) WITHOUT ROWID;"
_REGULAR = 0o100600 << 16
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What was written. `rows` counts by label; `checksum` is that of the whole file, to be told by another way."""

    path: Path
    size: int
    checksum: str
    rows: dict[str, int]
    files: int


def write_bundle(
    path: Path,
    labels: Collection[str],
    actor: Actor,
    *,
    with_files: bool = True,
    overwrite: bool = False,
    note: Callable[[int], None] = lambda rows: None,
) -> Bundle:
    """A bundle of these models, or of all that are registered, at `path`: there whole, or not at all.

    Takes the permission to manage export keys: who has a bundle has what a key could read. It is an event before the
    file is there. `note` is told how many rows were written. Raises `InvalidInput` for unknown models, and where a file
    is there that is not to be overwritten; `RecordError` and `WrongFile` for what cannot be read.
    """
    actor.require(PERMISSION)
    known = schemas()
    if unknown := sorted(set(labels) - known.keys()):
        raise InvalidInput(f"Not registered here: {', '.join(unknown)}. Known: {', '.join(sorted(known))}.")
    models = tuple(label for label in known if not labels or label in labels)
    _refuse_existing(path, overwrite=overwrite)
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with _created(part) as file:
            rows, files, swells = _write(file, models, actor, with_files, note)
            if swells:
                file.seek(0)
                file.truncate()
                rows, files, _ = _write(file, models, actor, with_files, note, compresses=False)
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            checksum = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
            size = file.seek(0, 2)
        _refuse_existing(path, overwrite=overwrite)
        made = Bundle(path=path, size=size, checksum=checksum, rows=rows, files=files)
        detail = {"bundle": path.name, "checksum": checksum, "size": size, "rows": rows, "files": files}
        audit.record_of(CHAIN, actor, "bundled", detail)
        os.replace(part, path)
    except OSError as error:
        raise InvalidInput(f"The bundle {path} cannot be written: {error.strerror or error}.") from error
    finally:
        with suppress(FileNotFoundError):
            part.unlink()
    return made


def _refuse_existing(path: Path, *, overwrite: bool) -> None:
    if path.is_dir():
        raise InvalidInput(f"{path} is a folder; name a file in it, such as {path / 'bundle.zip'}.")
    if not overwrite and path.exists():
        raise InvalidInput(f"{path} is there already; name another file, or overwrite it (--overwrite).")


def _created(path: Path) -> BufferedRandom:
    """For this user only: a bundle is as secret as the database."""
    return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b")


def _write(
    file: IO[bytes],
    models: tuple[str, ...],
    actor: Actor,
    with_files: bool,
    note: Callable[[int], None],
    *,
    compresses: bool = True,
) -> tuple[dict[str, int], int, bool]:
    """Gives the rows by label, the number of files, and whether the records would be taken for a bomb."""
    source = LocalSource(models)
    rows = dict.fromkeys(models, 0)
    with (
        zipfile.ZipFile(file, "w") as into,
        closing(open_scratch(conf.spool_dir(), _TABLES)) as named,
        source.whole(Request(models=models)) as whole,
    ):
        archive = _Archive(into)
        head = bundle.head_document(
            whole.manifest,
            made_at=timezone.now().isoformat(),
            made_by=actor.label,
            version=_version(),
            has_files=with_files,
            has_all=len(models) == len(schemas()),
        )
        archive.add(bundle.HEAD, [canonical.dumps(head).encode()])
        records = archive.add(
            bundle.RECORDS, write_stream(models, _counted(whole, rows, named, note)), compresses=compresses
        )
        if bundle.swells(records.file_size, records.compress_size):
            return rows, 0, True
        archive.add(bundle.OUTSIDE, _outside(whole))
        count = _write_files(archive, source, named) if with_files else 0
        archive.close()
    return rows, count, False


def _counted(
    whole: Whole, rows: dict[str, int], named: Any, note: Callable[[int], None]
) -> Iterator[tuple[str, Iterator[str]]]:
    """The lines of each model; the files that they name are noted in `named`."""
    for label, lines in whole.lines:
        has_files = bool(schemas()[label].files)
        yield label, _counting(label, lines, rows, named if has_files else None, note)


def _counting(
    label: str, lines: Iterable[str], rows: dict[str, int], named: Any, note: Callable[[int], None]
) -> Iterator[str]:
    for line in lines:
        rows[label] += 1
        if rows[label] % _AT_ONCE == 0:
            note(sum(rows.values()))
        if named is not None:
            _, (_, key, _, files) = json.loads(line)
            found = _named(files, f"{label} {canonical.dumps(key)}")
            named.executemany("INSERT OR IGNORE INTO file VALUES (?, ?, ?)", found)
        yield line


def _named(files: Mapping[str, Any], row: str) -> Iterator[tuple[str, int, str]]:
    for value in files.values():
        if value is not None and value["checksum"] != MISSING:
            yield value["checksum"], value["size"], row


def _outside(whole: Whole) -> Iterator[bytes]:
    lines: list[str] = []
    for label, keys in whole.outside:
        for key in keys:
            lines.append(canonical.dumps([label, bundle.key_hash(key)]) + "\n")
            if len(lines) == _AT_ONCE:
                yield "".join(lines).encode()
                lines.clear()
    yield "".join(lines).encode()


def _write_files(archive: _Archive, source: LocalSource, named: Any) -> int:
    (count,) = named.execute("SELECT COUNT(*) FROM file").fetchone()
    if count > bundle.MAX_FILES:
        raise InvalidInput(
            f"The rows name {count} files, and a bundle has at most {bundle.MAX_FILES}. Bundle some models at a time "
            "(--models), or bundle without files (--no-files) and bring those there first."
        )
    for checksum, size, row in named.execute("SELECT checksum, size, row FROM file ORDER BY checksum"):
        try:
            with source.open_file(checksum) as blocks:
                archive.add(bundle.file_member(checksum), blocks, compresses=False, promised=(size, checksum))
        except WrongFile:
            raise RecordError(
                f"{row} names a file that was replaced or taken away while the bundle was made. Make it anew."
            ) from None
    return int(count)


class _Archive:
    """Writes the members of a bundle, one after the other, and the closing one."""

    def __init__(self, into: zipfile.ZipFile) -> None:
        self._zip = into
        self._closing = bundle.Closing()

    def add(
        self,
        name: str,
        blocks: Iterable[bytes],
        *,
        compresses: bool = True,
        promised: tuple[int, str] | None = None,
    ) -> zipfile.ZipInfo:
        """`promised`: size and checksum of a file. Raises `WrongFile` where its bytes have others."""
        info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
        info.compress_type = zipfile.ZIP_DEFLATED if compresses else zipfile.ZIP_STORED
        info.external_attr = _REGULAR
        sha, size = hashlib.sha256(), 0
        with self._zip.open(info, "w", force_zip64=True) as member:
            for block in blocks:
                sha.update(block)
                size += len(block)
                member.write(block)
        checksum = f"sha256:{sha.hexdigest()}"
        if promised not in (None, (size, checksum)):
            raise WrongFile(f"The file {name} has other bytes than it was said to have.")
        if name != bundle.CLOSING:
            self._closing.add(name, size, checksum)
        return info

    def close(self) -> None:
        self.add(bundle.CLOSING, [canonical.dumps(self._closing.to_plain()).encode()])


def _version() -> str:
    try:
        return version_of("django-data-sync")
    except PackageNotFoundError:
        return ""
