"""Files of host rows: their checksums, remembered by storage name, size and modified time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import IO, Any

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import Storage
from django.db import connections

from data_sync.core.errors import RecordError
from data_sync.core.flags import Flags
from data_sync.core.records import MISSING, FileValue
from data_sync.models import FileChecksum

from .batches import batches
from .schema import File, ModelSchema

CHUNK = 1 << 16


class Checksums:
    """The checksums of one file field's files.

    `read` never writes to the database; `refresh` and `remember` store what was hashed anew, and are to be called
    outside of a read-only snapshot. The storage is not asked again about what was refreshed: that may take a request
    for each file, and a snapshot would stay open for as long.
    """

    def __init__(self, schema: ModelSchema, file: File, using: str) -> None:
        self._schema = schema
        self._file = file
        self._using = using
        self._new: dict[str, FileChecksum] = {}
        self._is_missing = Flags()

    @property
    def storage(self) -> Storage:
        return self._file.field.storage

    def refresh(self, names: Iterable[str]) -> None:
        """Asks the storage about files, and hashes those that are new or changed since last time."""
        for batch in batches(dict.fromkeys(names)):
            known = self._known(batch)
            for name in batch:
                value = self._ask(name, known.get(name))
                self._is_missing.add(_short_hash(name), value.checksum == MISSING)
        self.remember()

    def read(self, names: Iterable[str]) -> dict[str, FileValue]:
        """A `FileValue` by name; a file that the storage lacks has the checksum `missing`."""
        values: dict[str, FileValue] = {}
        for batch in batches(dict.fromkeys(names)):
            known = self._known(batch)
            for name in batch:
                checksum = self._new.get(name) or known.get(name)
                values[name] = self._as_refreshed(name, checksum) or self._ask(name, checksum)
        return values

    def remember(self) -> None:
        """Stores what was hashed anew; of readers at the same time, the last one counts."""
        takes_columns = connections[self._using].features.supports_update_conflicts_with_target
        # In one order, so that two readers wait for each other instead of locking each other out.
        for batch in batches(sorted(self._new.values(), key=attrgetter("name_hash"))):
            FileChecksum.objects.using(self._using).bulk_create(
                batch,
                update_conflicts=True,
                update_fields=["name", "size", "modified_at", "checksum"],
                unique_fields=["model", "field", "name_hash"] if takes_columns else None,
            )
        self._new.clear()

    def _known(self, names: list[str]) -> dict[str, FileChecksum]:
        rows = FileChecksum.objects.using(self._using).filter(
            model=self._schema.label, field=self._file.name, name_hash__in=[name_hash(name) for name in names]
        )
        return {row.name: row for row in rows}

    def _as_refreshed(self, name: str, known: FileChecksum | None) -> FileValue | None:
        match self._is_missing.get(_short_hash(name)):
            case True:
                return _missing(name)
            case False if known is not None:
                return _value(known)
        return None

    def _ask(self, name: str, known: FileChecksum | None) -> FileValue:
        try:
            size, modified = stat(self.storage, name)
            # Without a time, other bytes of the same length would go unseen.
            if known is None or not modified or (known.size, known.modified_at) != (size, modified):
                with self.storage.open(name) as stored:
                    checksum, size = hash_file(stored)
                known = FileChecksum(
                    model=self._schema.label,
                    field=self._file.name,
                    name_hash=name_hash(name),
                    name=name,
                    size=size,
                    modified_at=modified,
                    checksum=checksum,
                )
                self._new[name] = known
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return _missing(name)
        except SuspiciousFileOperation as error:
            raise self._refused(name, error) from None
        return _value(known)

    def _refused(self, name: str, error: Exception) -> RecordError:
        rows = self._schema.every_row(self._using).filter(**{self._file.name: name})
        pk = rows.values_list("pk", flat=True).first()
        return RecordError(
            f"The row of {self._schema.model._meta.label} with primary key {pk!r} "
            f"names the file {name!r} in {self._file.name}, which its storage refuses: {error} Mend the name."
        )


def name_hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _short_hash(name: str) -> bytes:
    return bytes.fromhex(name_hash(name)[:16])


def _missing(name: str) -> FileValue:
    return FileValue(name=name, size=0, checksum=MISSING)


def _value(known: FileChecksum) -> FileValue:
    return FileValue(name=known.name, size=known.size, checksum=f"sha256:{known.checksum}")


def stat(storage: Storage, name: str) -> tuple[int, str]:
    """Size and modified time of a stored file; a storage without times gives "" for it."""
    size = storage.size(name)
    try:
        return size, storage.get_modified_time(name).isoformat()
    except NotImplementedError:
        return size, ""


def hash_file(stored: Any) -> tuple[str, int]:
    """SHA-256 (hex) and size of an open file, read in chunks."""
    sha = hashlib.sha256()
    size = 0
    for block in read_blocks(stored):
        sha.update(block)
        size += len(block)
    return sha.hexdigest(), size


def read_blocks(stored: IO[bytes] | Any) -> Iterator[bytes]:
    while block := stored.read(CHUNK):
        yield block
