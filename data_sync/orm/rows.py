"""Rows of one model as records, read a chunk at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

from django.db import models

from data_sync.core.digests import Entry
from data_sync.core.errors import RecordError
from data_sync.core.listing import key_hash
from data_sync.core.records import RecordText

from .among import among
from .batches import batches
from .handles import handles_of
from .members import PK, Chunk, Members
from .schema import ModelSchema

__all__ = ["CHUNK", "PK", "RowReader"]

CHUNK = 2000


class RowReader:
    """Reads rows of one model as records, with a constant number of queries a chunk.

    With `handles`, records carry their rows' primary keys; with `bare`, nothing stands beside them.
    """

    def __init__(self, schema: ModelSchema, using: str, *, handles: bool = False, bare: bool = False) -> None:
        self.schema = schema
        self._using = using
        self._members = Members(schema, using, handles=handles, bare=bare)

    def refresh_checksums(self, pks: Sequence[Any] | None = None) -> None:
        """Hashes files that are new or changed since last time, and remembers them. `pks`: those of these rows.

        From then on, this reader takes these files as they were found, without asking their storage.
        """
        for name, checksums in self._members.checksums.items():
            rows = self.schema.rows(self._using).order_by()
            for some in [rows] if pks is None else (rows.filter(pk__in=batch) for batch in batches(pks)):
                names = some.values_list(name, flat=True)
                for batch in batches(names.iterator(chunk_size=CHUNK), CHUNK):
                    checksums.refresh(filter(None, batch))

    def lines(self) -> Iterator[str]:
        """Every row in scope as a line of the stream, ordered by primary key."""
        for chunk in self._chunks():
            yield from map(_line, self._records(chunk))

    def lines_of(self, pks: Sequence[Any]) -> Iterator[str]:
        """Those of these rows that are in scope as lines of the stream; rows that are gone are left out."""
        for batch in batches(pks):
            wanted = set(batch)
            chunk = self._read(self.schema.rows(self._using).filter(among("pk", batch)), spans=False)
            records = zip(chunk.pks, self._records(chunk), strict=True)
            # By the database's collation another primary key may be equal to a wanted one.
            yield from (_line(record) for pk, record in records if pk in wanted)

    def digests(self) -> Iterator[list[Entry]]:
        """Every row in scope, ordered by primary key: hash of its key, digest of its record, and handle."""
        for chunk in self._chunks():
            keys = self._members.keys_of(chunk)
            digests = [sha256(text.encode()).digest()[:16] for text in self._members.texts(chunk, keys)]
            hashes = [key_hash(key.encode()) for key in keys]
            yield list(zip(hashes, digests, handles_of(self.schema, chunk.pks), strict=True))

    def with_key_hash(self, key: bytes) -> Iterator[tuple[Any, str]]:
        """The rows in scope whose key has this hash: primary key and text of the key."""
        for chunk in self._chunks():
            for pk, text in zip(chunk.pks, self._members.keys_of(chunk), strict=True):
                if key_hash(text.encode()) == key:
                    yield pk, text

    def by_pk(self, pks: Sequence[Any]) -> dict[Any, RecordText]:
        """The records of these rows, in scope or not, by primary key; rows that are gone are left out."""
        found: dict[Any, RecordText] = {}
        for batch in batches(pks):
            chunk = self._read(self.schema.every_row(self._using).filter(among("pk", batch)), spans=False)
            found.update((pk, RecordText(*of_row)) for pk, of_row in zip(chunk.pks, self._records(chunk), strict=True))
        return found

    # Reading

    def _chunks(self) -> Iterator[Chunk]:
        """Every row in scope, ordered by primary key."""
        rows = self.schema.rows(self._using).order_by("pk")
        # Between two rows in scope there may be any number that are not.
        spans = self.schema.registration.queryset is None
        chunk = self._read(rows[:CHUNK], spans=spans)
        count = len(chunk.pks)
        # What comes at once needs no counting: nothing is asked for from where the last row was.
        expected = rows.count() if count == CHUNK else count
        while chunk.pks:
            yield chunk
            if len(chunk.pks) < CHUNK:
                break
            chunk = self._read(rows.filter(pk__gt=chunk.pks[-1])[:CHUNK], spans=spans)
            count += len(chunk.pks)
        if count != expected:
            raise RecordError(
                f"{expected} rows of {self.schema.label} were counted, but {count} could be read. Does the "
                "registration's queryset give a row twice, or are there primary keys that do not sort? Change that."
            )

    def _records(self, chunk: Chunk) -> Iterator[tuple[str, str]]:
        """The JSON of what stands beside each record, and its canonical text."""
        texts = self._members.texts(chunk, self._members.keys_of(chunk))
        return zip(self._members.besides(chunk), texts, strict=True)

    def _read(self, rows: models.QuerySet[Any], *, spans: bool) -> Chunk:
        selected = list(rows.values_list(*self._members.columns))
        return Chunk(list(zip(*selected, strict=True)) or [()] * len(self._members.columns), spans)


def _line(record: tuple[str, str]) -> str:
    beside, text = record
    return f"[{beside},{text}]"
