"""The local database as a `RecordSource`."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any

from django.db import DEFAULT_DB_ALIAS

from data_sync import conf
from data_sync.core.digests import Entry, write_digests
from data_sync.core.errors import DuplicateKey, WrongFile
from data_sync.core.manifest import Manifest
from data_sync.core.source import Handle, Request
from data_sync.core.twins import KeyHashes
from data_sync.core.wire import write_stream
from data_sync.models import FileChecksum

from .files import read_blocks, stat
from .handles import is_key, kind_of, primary_keys
from .references import RowsOfKeys
from .resolution import schemas
from .rows import RowReader
from .schema import ModelSchema, natural_keys
from .scopes import in_scope, keys_out_of_scope
from .snapshot import snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """All that a source can be asked for, as of one moment: its manifest, the lines of each model's records, and by
    model the keys (canonical texts) of the rows out of scope. Lines and keys are read once, and in this order."""

    manifest: Manifest
    lines: Iterable[tuple[str, Iterator[str]]]
    outside: Iterable[tuple[str, Iterator[str]]]


class LocalSource:
    """The registered models of this database, or those in `labels`.

    With `handles`, each record carries its row's primary key, as `rows.PK`: for this process only. `only`: a stream has
    just the rows with these natural keys (canonical texts), by label; it is not asked for anything else then.
    """

    def __init__(
        self,
        labels: Sequence[str] | None = None,
        *,
        using: str = DEFAULT_DB_ALIAS,
        handles: bool = False,
        only: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        known = schemas()
        self._schemas = {label: known[label] for label in known if labels is None or label in labels}
        self._using = using
        self._handles = handles
        self._only = only

    def manifest(self) -> Manifest:
        return self._manifest(self.counts(self._schemas))

    def shapes(self) -> Manifest:
        """The manifest with no rows counted: that takes its time, model by model."""
        return self._manifest(dict.fromkeys(self._schemas, 0))

    def counts(self, labels: Iterable[str]) -> dict[str, int]:
        """The number of rows in scope of these models."""
        return {label: self._schemas[label].rows(self._using).count() for label in labels}

    def _manifest(self, counts: Mapping[str, int]) -> Manifest:
        return Manifest(
            models={label: schema.manifest(counts[label]) for label, schema in self._schemas.items()},
            keys=natural_keys() if any(schema.generics for schema in self._schemas.values()) else {},
            features=("digests",),
        )

    @contextmanager
    def stream(self, request: Request) -> Iterator[Iterator[bytes]]:
        readers = self._readers(request)
        if self._only is not None:
            yield from self._stream_of(self._only, readers)
            return
        for reader in readers.values():
            reader.refresh_checksums()
        with snapshot(self._using):
            yield write_stream(request.models, ((label, reader.lines()) for label, reader in readers.items()))

    @contextmanager
    def whole(self, request: Request) -> Iterator[Whole]:
        """Everything of these models, in one snapshot, in which files can be opened, too."""
        readers = self._readers(request)
        for reader in readers.values():
            reader.refresh_checksums()
        with snapshot(self._using):
            yield Whole(
                manifest=self.manifest(),
                lines=((label, reader.lines()) for label, reader in readers.items()),
                outside=((label, keys_out_of_scope(self._schemas[label], self._using)) for label in request.models),
            )

    def _stream_of(
        self, only: Mapping[str, Collection[str]], readers: Mapping[str, RowReader]
    ) -> Iterator[Iterator[bytes]]:
        with snapshot(self._using):
            pks = {label: self._with_keys(reader.schema, only.get(label, ())) for label, reader in readers.items()}
        for label, reader in readers.items():
            reader.refresh_checksums(pks[label])
        with snapshot(self._using):
            lines = ((label, reader.lines_of(pks[label])) for label, reader in readers.items())
            yield write_stream(list(readers), lines)

    def _with_keys(self, schema: ModelSchema, key_texts: Collection[str]) -> list[Any]:
        """The primary keys of the rows with these natural keys; texts that are no key of the model are no row's."""
        keys = RowsOfKeys(schema, "pk", self._using)
        possible = [text for text in key_texts if is_key(schema, text, self._using)]
        keys.load(possible)
        return sorted({pk for text in possible for pk in keys.all(text)})

    @contextmanager
    def digests(self, request: Request) -> Iterator[Iterator[bytes]]:
        readers = self._readers(request, bare=True)
        for reader in readers.values():
            reader.refresh_checksums()
        kinds = {label: kind_of(reader.schema) for label, reader in readers.items()}
        with tempfile.TemporaryFile(dir=conf.spool_dir(), prefix="data_sync_") as file, snapshot(self._using):
            entries = ((label, _without_twins(reader, file)) for label, reader in readers.items())
            yield write_digests(request.models, kinds, entries)

    @contextmanager
    def records(self, request: Request, handles: Sequence[Handle]) -> Iterator[Iterator[bytes]]:
        """As the protocol says. Raises `InvalidInput` for what is no handle of the model."""
        [(label, reader)] = self._readers(request).items()
        pks = primary_keys(reader.schema, handles, self._using)
        reader.refresh_checksums(pks)
        with snapshot(self._using):
            yield write_stream([label], [(label, reader.lines_of(pks))])

    def outside(self, label: str, key_texts: Collection[str]) -> set[str]:
        """As the protocol says; texts that are no key of the model belong to no row."""
        schema = self._schemas[label]
        if schema.registration.queryset is None:
            return set()
        keys = RowsOfKeys(schema, "pk", self._using)
        with snapshot(self._using):
            possible = [text for text in key_texts if is_key(schema, text, self._using)]
            keys.load(possible)
            found = {text: set(keys.all(text)) for text in possible}
            inside = in_scope(schema, set().union(*found.values()), self._using)
        return {text for text, of_rows in found.items() if of_rows and not of_rows & inside}

    def _readers(self, request: Request, *, bare: bool = False) -> dict[str, RowReader]:
        schemas_of = {label: self._schemas[label].without(request.omitted.get(label, ())) for label in request.models}
        return {
            label: RowReader(schema, self._using, handles=self._handles and not bare, bare=bare)
            for label, schema in schemas_of.items()
        }

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


def _without_twins(reader: RowReader, file: IO[bytes]) -> Iterator[list[Entry]]:
    """The digests of a reader's rows. Raises `DuplicateKey` at their end if two rows have one key, naming it."""
    hashes = KeyHashes(file)
    for entries in reader.digests():
        hashes.add([key for key, _, _ in entries])
        yield entries
    twice = hashes.twice()
    if twice is not None:
        (one, text), (other, _) = islice(reader.with_key_hash(twice), 2)
        raise DuplicateKey(
            f"Two rows of {reader.schema.label} here, with the primary keys {one!r} and {other!r}, have the natural "
            f"key {text}. Change one of them, or register the model with a key that is unique."
        )
