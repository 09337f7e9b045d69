"""The local database as a `RecordSource`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import models

from data_sync.core import canonical
from data_sync.core.errors import MalformedStream, RecordError, WrongFile
from data_sync.core.manifest import Manifest
from data_sync.core.records import FileValue, Record
from data_sync.core.wire import write_stream
from data_sync.models import FileChecksum

from .files import Checksums, read_blocks, stat
from .references import KeysOfRows, batches, plain_key
from .schema import KeyPart, Link, ModelSchema, Value, schema_of, schemas
from .snapshot import snapshot

CHUNK = 2000
PK = "pk"
"""Name, among a local record's carried values, of the row's primary key."""


class LocalSource:
    """The registered models of this database, or those in `labels`.

    With `handles`, each record carries its row's primary key, as `PK`: for this process only.
    """

    def __init__(
        self,
        labels: Sequence[str] | None = None,
        *,
        using: str = "default",
        handles: bool = False,
        rehash: bool = False,
    ) -> None:
        known = schemas()
        self._schemas = {label: known[label] for label in known if labels is None or label in labels}
        self._using = using
        self._handles = handles
        self._rehash = rehash

    def manifest(self) -> Manifest:
        return Manifest(
            models={label: schema.manifest(schema.rows(self._using).count()) for label, schema in self._schemas.items()}
        )

    @contextmanager
    def stream(self, models: Sequence[str]) -> Iterator[Iterator[bytes]]:
        readers = {label: RowReader(self._schemas[label], self._using, handles=self._handles) for label in models}
        for reader in readers.values():
            reader.refresh_checksums(rehash=self._rehash)
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


class RowReader:
    """Reads rows of one model as records, a chunk at a time, with a constant number of queries each."""

    def __init__(self, schema: ModelSchema, using: str, *, handles: bool = False) -> None:
        self.schema = schema
        self._using = using
        self._handles = handles
        self._checksums = {file.name: Checksums(schema, file, using) for file in schema.files}
        self._keys = {
            reference.name: KeysOfRows(reference.target, reference.field.target_field.name, using)
            for reference in schema.references
        } | {link.name: KeysOfRows(link.target, "pk", using) for link in schema.links}
        self._columns = self._column_expressions()

    def refresh_checksums(self, *, rehash: bool = False) -> None:
        """Hashes files that are new or changed since last time, and remembers them."""
        for file in self.schema.files:
            checksums = Checksums(self.schema, file, self._using, rehash=rehash)
            names = self.schema.rows(self._using).values_list(file.name, flat=True).order_by()
            for batch in batches(names.iterator(chunk_size=CHUNK), CHUNK):
                checksums.read([name for name in batch if name])
                checksums.remember()

    def lines(self) -> Iterator[str]:
        """Every row in scope as a line of the stream, ordered by primary key."""
        rows = self.schema.rows(self._using).order_by("pk")
        expected = rows.count()
        count, last = 0, None
        while True:
            chunk = rows if last is None else rows.filter(pk__gt=last)
            records = self._records(chunk[:CHUNK], spans=True)
            yield from (record.line() for _, record in records)
            count += len(records)
            if len(records) < CHUNK:
                break
            last = records[-1][0]
        if count != expected:
            raise RecordError(f"{expected} rows of {self.schema.label} were counted, but {count} could be read.")

    def by_pk(self, pks: Sequence[Any]) -> dict[Any, Record]:
        """The records of these rows, in scope or not, by primary key; rows that are gone are left out."""
        found: dict[Any, Record] = {}
        for batch in batches(pks):
            found.update(self._records(self.schema.every_row(self._using).filter(pk__in=batch), spans=False))
        return found

    def _column_expressions(self) -> list[Any]:
        """What to select; notes at which place of a row each part of the record stands."""
        schema = self.schema
        columns: list[Any] = []

        def place(column: Any) -> int:
            columns.append(column)
            return len(columns) - 1

        self._pk = place("pk")
        self._values = [
            (value.name, place(_column(value)), None if value.codec.is_identity else value.codec.to_plain)
            for value in schema.values
        ]
        self._carried = [(value.name, place(_column(value)), value.codec.to_plain) for value in schema.carried]
        self._references = [(ref.name, place(ref.field.attname)) for ref in schema.references]
        self._files = [(file.name, place(file.name)) for file in schema.files]
        self._key_parts = [self._key_part(part, place) for part in schema.key]
        return columns

    def _key_part(self, part: KeyPart, place: Callable[[Any], int]) -> tuple[str, int | None, int]:
        """Where a key's part comes from: the key of the reference of this name, or a place of the row."""
        if len(part.path) > 1:
            target = next(ref.target for ref in self.schema.references if ref.name == part.path[0])
            theirs = [other.path for other in schema_of(target).key]  # type: ignore[union-attr]
            if part.path[1:] in theirs:
                return part.path[0], theirs.index(part.path[1:]), -1
        return part.path[0], None, place(part.lookup)

    def _records(self, rows: models.QuerySet[Any], *, spans: bool) -> list[tuple[Any, Record]]:
        chunk: list[tuple[Any, ...]] = list(rows.values_list(*self._columns))
        pks = [row[self._pk] for row in chunk]
        links = {link.name: self._linked(link, pks, spans=spans) for link in self.schema.links} if chunk else {}
        for name, place in self._references:
            self._keys[name].load({row[place] for row in chunk if row[place] is not None})
        stored = {
            name: self._checksums[name].read([row[place] for row in chunk if row[place]]) for name, place in self._files
        }
        return [(row[self._pk], self._record(row, links, stored)) for row in chunk]

    def _record(
        self,
        row: tuple[Any, ...],
        links: dict[str, dict[Any, list[Any]]],
        stored: dict[str, dict[str, FileValue]],
    ) -> Record:
        pk = row[self._pk]
        fields: dict[str, Any] = {}
        try:
            for name, place, to_plain in self._values:
                value = row[place]
                fields[name] = value if to_plain is None or value is None else to_plain(value)
            carried = {name: None if row[at] is None else plain(row[at]) for name, at, plain in self._carried}
            for name, place in self._references:
                fields[name] = None if row[place] is None else self._reference(name, row[place])
            key = plain_key(self.schema, self._key(row, fields), f"with primary key {pk!r}")
        except (ValueError, MalformedStream) as error:
            raise RecordError(
                f"The row of {self.schema.model._meta.label} with primary key {pk!r} cannot be read: {name}: {error}."
            ) from None
        except LookupError:
            raise RecordError(
                f"The row of {self.schema.model._meta.label} with primary key {pk!r} refers by {name} to a row that "
                f"does not exist ({row[place]!r}). Mend the reference."
            ) from None
        for name, of_row in links.items():
            fields[name] = of_row.get(pk, [])
        if self._handles:
            carried[PK] = pk if isinstance(pk, int) else str(pk)
        return Record(
            model=self.schema.label,
            key=tuple(key),
            fields=fields,
            files={name: stored[name][row[place]] if row[place] else None for name, place in self._files},
            carried=carried,
        )

    def _reference(self, name: str, identifier: Any) -> list[Any]:
        key = self._keys[name].get(identifier)
        if key is None:
            raise LookupError(name)
        return key

    def _key(self, row: tuple[Any, ...], fields: dict[str, Any]) -> Iterator[Any]:
        for name, part, place in self._key_parts:
            if part is None:
                yield row[place]
            else:
                yield None if fields[name] is None else fields[name][part]

    def _linked(self, link: Link, pks: list[Any], *, spans: bool) -> dict[Any, list[Any]]:
        """The keys that each row of a chunk is linked with, in canonical order.

        `spans`: the chunk is a whole range of primary keys, which is quicker to select than a list.
        """
        rows = link.through._base_manager.using(self._using).order_by()
        column = link.source_column
        rows = rows.filter(**({f"{column}__range": (pks[0], pks[-1])} if spans else {f"{column}__in": pks}))
        pairs = list(rows.values_list(column, link.target_column))
        keys = self._keys[link.name]
        keys.load({target for _, target in pairs})
        linked: dict[Any, list[Any]] = {}
        for source, target in pairs:
            key = keys.get(target)
            if key is None:
                raise RecordError(
                    f"The row of {self.schema.model._meta.label} with primary key {source!r} is linked by {link.name} "
                    f"to a row that does not exist ({target!r}). Mend the link."
                )
            linked.setdefault(source, []).append(key)
        for of_row in linked.values():
            if len(of_row) > 1:
                of_row.sort(key=canonical.dumps)
        return linked


def _column(value: Value) -> Any:
    return value.name if value.codec.expression is None else value.codec.expression(value.name)
