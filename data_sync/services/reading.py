"""One side of a pull: its listing, and the records that turn out to be needed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import IO

from data_sync import conf
from data_sync.core import canonical
from data_sync.core.differences import Differences
from data_sync.core.digests import DigestReader
from data_sync.core.errors import MalformedStream
from data_sync.core.listing import Listing, key_hash
from data_sync.core.source import Handle, RecordSource, Request, handle_batches
from data_sync.core.spool import Glance, RecordSpool, glance
from data_sync.core.wire import StreamReader
from data_sync.orm.batches import batches
from data_sync.orm.rows import PK

SMALL = 100
"""So few rows are read as they are: to ask for digests first would be a request more."""
WIDE = 1000
"""From so many records on, if they are a third of their model, all of the model's are streamed."""

HERE, THERE = 0, 1
NAMES = ("here", "at the source")


class Side:
    """A side of a comparison, `HERE` or `THERE`. Reads either digests first, or, if `whole`, every record at once.

    `files` are two empty temporary files, for the listing and for records. `is_redacted`: some fields are, so that
    errors quote no line.
    """

    def __init__(
        self,
        side: int,
        source: RecordSource,
        request: Request,
        files: Sequence[IO[bytes]],
        whole: bool,
        *,
        fixed_batches: bool = False,
        is_redacted: bool = False,
    ) -> None:
        self.side = side
        self.name = NAMES[side]
        self.listing = Listing(files[0], request.models)
        self.records = RecordSpool(self.name, files[1], is_redacted=is_redacted)
        self._is_redacted = is_redacted
        self._source = source
        self._request = request
        self._whole = whole
        self._fixed_batches = fixed_batches
        self._texts: set[str] = set()
        self._most = conf.max_rows() if side == THERE else None
        self._longest = conf.max_line_bytes() if side == THERE else None

    # The listing

    def read(self, progress: Callable[[int], None]) -> None:
        """Fills the listing; `progress` is told the number of rows so far.

        Raises `MalformedStream` or `IncompleteStream`.
        """
        counts = self._read_whole(progress) if self._whole else self._read_digests(progress)
        if counts != self.listing.counts:
            raise MalformedStream(f"The closing line counts {counts}, but {self.listing.counts} arrived.")

    def _read_digests(self, progress: Callable[[int], None]) -> dict[str, int]:
        with self._source.digests(self._request) as blocks:
            reader = DigestReader(blocks, self._request.models, self._most)
            read = 0
            for label, rows in reader:
                if rows and isinstance(rows[0][2], str):
                    self._texts.add(label)
                self.listing.add(label, ((key, digest, self.listing.place_of(handle)) for key, digest, handle in rows))
                read += len(rows)
                progress(read)
        return reader.counts

    def _read_whole(self, progress: Callable[[int], None]) -> dict[str, int]:
        with self._source.stream(self._request) as blocks:
            reader = StreamReader(blocks, self._request.models, self._most, self._longest)
            read = 0
            for lines in reader:
                offsets = self.records.extend([line for _, line in lines])
                # The opening line is the first.
                seen = [self._look(line, f"{read + number} ") for number, (_, line) in enumerate(lines, 2)]
                for label, group in groupby(zip(seen, offsets, strict=True), lambda pair: pair[0].label):
                    self.listing.add(label, ((key_hash(one.key), _digest(one), offset) for one, offset in group))
                read += len(lines)
                progress(read)
        return reader.counts

    def _look(self, line: bytes, where: str = "") -> Glance:
        seen = glance(line)
        if seen is None or seen.label not in self.listing.counts:
            quoted = "" if self._is_redacted else f": {line[:80]!r}"
            raise MalformedStream(f"The line {where}{self.name} is not a record of the models asked for{quoted}.")
        return seen

    # The records

    def fetch(self, differences: Differences, check: Callable[[], None]) -> bool:
        """Reads the records that differ. False if a row is no longer what was listed: this side is to be read again.

        `check` is called before each time that the source is asked.
        """
        for model, label in enumerate(self._request.models):
            for lines, offsets in self._lines(differences, model, label, check):
                self._note(differences, model, lines, offsets)
            if differences.unread(model, self.side):
                return False
        return True

    def _lines(
        self, differences: Differences, model: int, label: str, check: Callable[[], None]
    ) -> Iterator[tuple[list[bytes], list[int] | None]]:
        """Lines among which the wanted ones are; with their offsets, where they have been spooled already."""
        places = differences.places(model, self.side)
        wanted = differences.unread(model, self.side)
        if self._whole:
            for offsets in batches(places):
                yield [self.records.line(offset) for offset in offsets], offsets
        elif wanted > WIDE and wanted * 3 > self.listing.counts[label]:
            check()
            with self._source.stream(self._request.only(label)) as blocks:
                for numbered in StreamReader(blocks, [label], self._most, self._longest):
                    yield [line for _, line in numbered], None
        else:
            handles_of = (self._handle(label, place) for place in places)
            for handles in handle_batches(handles_of, fixed=self._fixed_batches):
                check()
                with self._source.records(self._request.only(label), handles) as blocks:
                    for numbered in StreamReader(blocks, [label], len(handles), self._longest):
                        yield [line for _, line in numbered], None

    def _handle(self, label: str, place: int) -> Handle:
        return self.listing.handle_at(place) if label in self._texts else place

    def _note(self, differences: Differences, model: int, lines: list[bytes], offsets: list[int] | None) -> None:
        """Keeps those of the lines that are wanted and that have the digest of the listing."""
        seen = [(key_hash(one.key), one) for one in map(self._look, lines)]
        wanted = differences.wanted(model, self.side, [key for key, _ in seen])
        kept = [
            (number, one) for number, (key, one) in enumerate(seen) if key in wanted and wanted[key][1] == _digest(one)
        ]
        if offsets is None:
            of_kept = self.records.extend([lines[number] for number, _ in kept])
        else:
            of_kept = [offsets[number] for number, _ in kept]
        differences.note_read(
            self.side,
            (
                (wanted[seen[number][0]][0], offset, one.key.decode(errors="replace"), self._pk(one))
                for (number, one), offset in zip(kept, of_kept, strict=True)
            ),
        )

    def _pk(self, seen: Glance) -> str | None:
        """The JSON of the primary key, which a local record carries."""
        return canonical.dumps(json.loads(seen.beside)["carried"][PK]) if self.side == HERE else None

    def key_at(self, label: str, place: int) -> str:
        """The key of a listed row, for messages."""
        if self._whole:
            return self._look(self.records.line(place)).key.decode(errors="replace")
        with self._source.records(self._request.only(label), [self._handle(label, place)]) as blocks:
            for numbered in StreamReader(blocks, [label], 1, self._longest):
                return self._look(numbered[0][1]).key.decode(errors="replace")
        return "that was not there any more when it was asked for"


def _digest(seen: Glance) -> bytes:
    return hashlib.sha256(seen.record).digest()[:16]
