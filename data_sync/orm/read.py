"""The local database as a `RecordSource`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from data_sync.core.errors import WrongFile
from data_sync.core.manifest import Manifest
from data_sync.core.wire import write_stream
from data_sync.models import FileChecksum

from .files import read_blocks, stat
from .resolution import schemas
from .rows import RowReader
from .snapshot import snapshot


class LocalSource:
    """The registered models of this database, or those in `labels`.

    With `handles`, each record carries its row's primary key, as `rows.PK`: for this process only.
    """

    def __init__(
        self,
        labels: Sequence[str] | None = None,
        *,
        using: str = "default",
        handles: bool = False,
    ) -> None:
        known = schemas()
        self._schemas = {label: known[label] for label in known if labels is None or label in labels}
        self._using = using
        self._handles = handles

    def manifest(self) -> Manifest:
        return Manifest(
            models={label: schema.manifest(schema.rows(self._using).count()) for label, schema in self._schemas.items()}
        )

    @contextmanager
    def stream(self, models: Sequence[str]) -> Iterator[Iterator[bytes]]:
        readers = {label: RowReader(self._schemas[label], self._using, handles=self._handles) for label in models}
        for reader in readers.values():
            reader.refresh_checksums()
        with snapshot(self._using):
            yield write_stream(models, ((label, reader.lines()) for label, reader in readers.items()))

    @contextmanager
    def open_file(self, checksum: str) -> Iterator[Iterator[bytes]]:
        digest = checksum.removeprefix("sha256:")
        for known in FileChecksum.objects.using(self._using).filter(checksum=digest, model__in=list(self._schemas)):
            schema = self._schemas[known.model]
            file = next((file for file in schema.files if file.name == known.field), None)
            if file is None or not schema.rows(self._using).filter(**{file.name: known.name}).exists():
                continue
            try:
                unchanged = stat(file.field.storage, known.name) == (known.size, known.modified_at)
            except FileNotFoundError:
                continue
            if unchanged:
                with file.field.storage.open(known.name) as stored:
                    yield read_blocks(stored)
                return
        raise WrongFile(f"No row in scope has a file with the checksum {checksum}. Pull again.")
