"""Reading both sides of a pull, each as of one moment, and finding what differs between them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import ExitStack
from functools import partial
from threading import Thread
from typing import Protocol

from data_sync import conf
from data_sync.core.compare import TwinsFound, compare
from data_sync.core.differences import Differences
from data_sync.core.errors import DuplicateKey
from data_sync.core.records import Key
from data_sync.core.source import RecordSource
from data_sync.core.spool import RecordSpool
from data_sync.core.states import Operation
from data_sync.orm.read import LocalSource
from data_sync.orm.rekeying import Renamed, in_key
from data_sync.orm.schema import ModelSchema

from .agreement import Agreement
from .baselines import Baselines
from .comparison import Comparison
from .reading import HERE, THERE, Side
from .redaction import redacted_fields

ROUNDS = 2
"""So often a side is listed and its records asked for; then it is read as a whole."""
PROGRESS_SECONDS = 0.5

Pairing = Callable[[Differences, Mapping[str, ModelSchema], RecordSpool, RecordSpool], dict[Renamed, Key]]
"""Makes renames of deletes and creates, and says which; see `renames`."""


class Watched(Protocol):
    """Who follows the reading, and may end it by raising. `relisted`: how often the source was listed again before."""

    @property
    def relisted(self) -> int: ...

    def note(self, rows: int) -> None:
        """So many rows have been read."""

    def check(self) -> None:
        """Called before each time that records are asked for."""

    def list_again(self) -> None:
        """The source's rows are no longer as it listed them; it is about to be asked for another listing."""


class BothSides:
    """The local database and a source. Files are open until `stack` closes them.

    A side that is `whole` is read at once, with all records; the other way is its digests first, then the
    records that differ. Where one of those is no longer what was listed, the side is read again, so that what is
    compared is always of one moment. `baselines` gives what was last agreed on, each time anew. `fixed_batches`:
    records are asked for in batches that one row more alters little.
    """

    def __init__(
        self,
        local: LocalSource,
        source: RecordSource,
        agreement: Agreement,
        whole: Sequence[bool],
        stack: ExitStack,
        baselines: Callable[[], Baselines],
        *,
        fixed_batches: bool = False,
    ) -> None:
        self._sources: tuple[RecordSource, RecordSource] = (local, source)
        self._new_baselines = baselines
        self._agreement = agreement
        self._whole = list(whole)
        self._stack = stack
        self._fixed_batches = fixed_batches
        self._kept: dict[str, int] = {}

    def find(self, watched: Watched) -> None:
        """Reads, compares, and reads what differs. Raises `DuplicateKey`, and what the sources and `watched` raise."""
        tried = [0, watched.relisted]
        again = [HERE, THERE]
        sides: dict[int, Side] = {}
        while again:
            if THERE in again and THERE in sides:
                watched.list_again()
            for side in again:
                tried[side] += 1
                sides[side] = self._side(side, whole=self._whole[side] or tried[side] > ROUNDS)
            self._read([sides[side] for side in again], watched.note)
            self._compare(sides[HERE], sides[THERE])
            again = [side for side, read in sorted(sides.items()) if not read.fetch(self.differences, watched.check)]
        self._sides = (sides[HERE], sides[THERE])

    def comparison(self, pairing: Pairing | None) -> Comparison:
        """Everything that was found, numbered, once `pairing` has made renames of deletes and creates."""
        here, there = (side.records for side in self._sides)
        schemas = self._agreement.schemas
        self.differences.index_keys()
        renamed = {} if pairing is None else pairing(self.differences, schemas, here, there)
        for place, (label, schema) in enumerate(schemas.items()):
            if schema.registration.deletes == "never":
                self._kept[label] += self.differences.drop_all(place, Operation.DELETE)
        listed = (self._sides[HERE].listing.counts, self._sides[THERE].listing.counts)
        return Comparison(schemas, self.differences.numbered(), (here, there), listed, renamed, self._kept)

    def _side(self, side: int, *, whole: bool) -> Side:
        request = (self._agreement.here, self._agreement.there)[side]
        files = [self._stack.enter_context(tempfile.TemporaryFile(dir=conf.spool_dir())) for _ in range(2)]
        return Side(
            side,
            self._sources[side],
            request,
            files,
            whole,
            fixed_batches=self._fixed_batches,
            is_redacted=bool(redacted_fields(self._agreement.schemas)),
        )

    def _read(self, sides: Sequence[Side], note: Callable[[int], None]) -> None:
        """Reads sides; the source makes and sends its answer while the local rows are read.

        The thread touches no database, so that it works on any connection setting.
        """
        rows = [0, 0]
        reading: Future[None] = Future()

        def note_here(count: int) -> None:
            rows[HERE] = count
            note(sum(rows))

        def read_source() -> None:
            try:
                for side in sides:
                    if side.side == THERE:
                        side.read(lambda count: rows.__setitem__(THERE, count))
            except BaseException as error:
                reading.set_exception(error)
            else:
                reading.set_result(None)

        # A daemon, which nobody waits for when reading fails here or Ctrl-C is pressed: it may sit in a socket for
        # minutes. Its next write ends it, because its files are closed.
        Thread(target=read_source, name="data_sync-source", daemon=True).start()
        for side in sides:
            if side.side == HERE:
                side.read(note_here)
        while True:
            done, _ = wait([reading], timeout=PROGRESS_SECONDS)
            note(sum(rows))
            if done:
                break
        reading.result()

    def _compare(self, here: Side, there: Side) -> None:
        self.differences = Differences(conf.spool_dir())
        self._stack.callback(self.differences.close)
        self.baselines = self._new_baselines()
        come, gone = set[str](), set[str]()
        for place, (label, schema) in enumerate(self._agreement.schemas.items()):
            self._kept[label] = 0
            if not (here.listing.counts[label] or there.listing.counts[label] or self.baselines.has(label)):
                continue
            # A rename is a row that comes and one that goes, of a model that was compared before this one. Below it,
            # rows that stay here and rows that neither side has any more may be at the source under new keys.
            is_below = not (in_key(schema) - {label}).isdisjoint(come & gone)
            keep = partial(self.differences.add_gone, place) if is_below else None
            proposes_all = is_below or schema.registration.deletes != "never"
            try:
                for found in compare(here.listing, there.listing, label, self.baselines, keep):
                    proposed = [one for one in found if one.there is not None or proposes_all]
                    self._kept[label] += len(found) - len(proposed)
                    self.differences.add(place, proposed)
                    come.update(label for one in proposed if one.here is None)
                    gone.update(label for one in proposed if one.there is None)
            except TwinsFound as twins:
                side = (here, there)[twins.side]
                raise DuplicateKey(
                    f"Two rows of {label} {side.name} have the natural key {side.key_at(label, twins.places[0])}. "
                    "Change one of them, or register the model with a key that is unique."
                ) from None
        self.differences.index_hashes()
