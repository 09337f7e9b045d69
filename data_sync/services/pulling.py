"""One task's work at a pull: reading a source, comparing it with this database, storing what differs as a changeset."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial

from django.db import transaction
from django.db.models import F

from data_sync import conf
from data_sync.core import canonical
from data_sync.core.errors import DataSyncError, LeaseLost, TooManyBytes, WrongFile
from data_sync.core.records import FileValue
from data_sync.core.source import Outside, RecordSource
from data_sync.core.states import PullState
from data_sync.models import Change, DataPull
from data_sync.orm.read import LocalSource
from data_sync.orm.resolution import schemas
from data_sync.orm.staging import is_staged, stage

from .agreement import Agreement
from .both_sides import BothSides
from .comparison import Comparison
from .kept import KeptSource
from .leases import Lease
from .origins import Origin
from .pull_states import finish, move
from .reading import HERE, SMALL, THERE
from .redaction import names_of, redacted_fields
from .store import prepare, store_changeset
from .supersede import supersede

FETCHING_SHARE = 0.6
"""Of a task's time, what it may have used when it still begins to read records or a file. The rest is for storing."""


class TimeIsUp(Exception):
    """What is left of its task's time may not suffice; a further one goes on. `fetched`: files, in this one."""

    def __init__(self, fetched: int) -> None:
        super().__init__(fetched)
        self.fetched = fetched


class Turn:
    """A worker's turn at a pull: as long as it holds the lease, and for at most so many seconds, if any are given.

    With a limit, what the source answers is kept for further turns. Files are open until `stack` closes them.
    `redacted` gains the names of the redacted fields that are read, for whoever tells of an error.
    """

    def __init__(
        self,
        pull: DataPull,
        origin: Origin,
        lease: Lease,
        stack: ExitStack,
        seconds: float | None,
        redacted: list[str],
    ) -> None:
        self.pull = pull
        self.origin = origin
        self.redacted = redacted
        self.lease = lease
        self.stack = stack
        self.fetched = 0
        self._staged: set[str] = set()
        self._kept = None if seconds is None else KeptSource(origin.source, pull, stack, keeps=origin.keeps_answers)
        self._until = time.monotonic() + (seconds or 0) * FETCHING_SHARE
        self.source: RecordSource = self._kept or origin.source

    @property
    def is_limited(self) -> bool:
        return self._kept is not None

    # What `BothSides` needs of it

    @property
    def relisted(self) -> int:
        return self.pull.relisted

    def note(self, rows: int) -> None:
        self.lease.note(rows)

    def list_again(self) -> None:
        if self._kept is not None:
            self._kept.renew()

    def check(self) -> None:
        """To be called where a further turn could go on. Raises `LeaseLost`; and `TimeIsUp`, but not before this turn
        has brought something: one that has not would be followed by others for ever."""
        self.lease.check()
        if self._kept is None:
            return
        self._kept.settle()
        if time.monotonic() > self._until and (self._kept.added or self._staged):
            self._kept.keep_staged(self._staged)
            raise TimeIsUp(self.fetched)

    def is_staged(self, file: FileValue) -> bool:
        """Asks the storage, but not about what an earlier turn has found or put there."""
        if self._kept is not None and file.checksum in self._kept.staged:
            return True
        if is_staged(file):
            self._staged.add(file.checksum)
            return True
        return False

    def stage(self, file: FileValue, blocks: Iterable[bytes]) -> None:
        stage(file, _watched(blocks, self.lease))
        self._staged.add(file.checksum)
        self.fetched += 1


def compare_and_store(turn: Turn) -> None:
    """Raises `DataSyncError`s, with nothing stored, and `TimeIsUp`."""
    pull, origin, source, lease = turn.pull, turn.origin, turn.source, turn.lease
    asked = pull.model_labels or list(schemas())
    turn.redacted += names_of(redacted_fields({label: schemas()[label] for label in asked if label in schemas()}))
    there = source.manifest()
    agreement = origin.agree(LocalSource().shapes(), there)
    rows_here = origin.rows_here(agreement)
    local = LocalSource(handles=True, only=rows_here)
    turn.redacted += names_of(redacted_fields(agreement.schemas))
    rows = local.counts(agreement.schemas)
    counts = [sum(rows.values()), sum(there.models[label].count for label in agreement.schemas)]
    lease.begin_phase("rows", sum(counts))
    whole = (rows_here is not None or counts[HERE] <= SMALL, counts[THERE] <= SMALL or not there.lists)
    baselines = partial(origin.baselines, agreement)
    both = BothSides(local, source, agreement, whole, turn.stack, baselines, fixed_batches=turn.is_limited)
    both.find(turn)
    move(pull, PullState.COMPARING)
    outside = _outside(source, agreement) if there.answers else _nowhere
    comparison = both.comparison(origin.pairing(outside) if pull.find_renames and origin.finds_renames else None)
    _fetch_files(comparison, turn)
    lease.begin_phase("changes", comparison.total)
    prepared = prepare(
        comparison, outside, pull.source, lease.advance, knows=both.baselines.knows, complete=origin.complete
    )
    with lease.quiet(), transaction.atomic():
        # Writes first: it takes SQLite's lock, and shows that the lease is ours and nobody has cancelled the pull.
        move(pull, PullState.COMPARING)
        changeset = store_changeset(pull, agreement, comparison, prepared, None if rows_here is None else rows)
        supersede(pull, list(agreement.schemas), changeset, _has_seen(agreement, rows_here))
        # Last, in the order in which an apply locks these tables.
        both.baselines.store()
        finish(
            pull,
            PullState.DONE,
            told={
                "changeset": None if changeset is None else changeset.pk,
                "compared": prepared.total("compared"),
            },
            compared=prepared.total("compared"),
            files_fetched=F("files_fetched") + turn.fetched,
            report={"schema": agreement.report(), "models": prepared.models, **origin.report()},
        )


def _has_seen(agreement: Agreement, rows: Mapping[str, Collection[str]] | None) -> Callable[[Change], bool]:
    """Whether a change of an older pull is about rows and fields that this one has compared."""

    def has_seen(change: Change) -> bool:
        before, after, fields = change.before or {}, change.after or {}, agreement.schemas[change.model].field_names
        is_row = rows is None or canonical.dumps(change.key) in rows[change.model]
        return is_row and all(name in fields or (name in before and before[name] == after[name]) for name in after)

    return has_seen


def _outside(source: RecordSource, agreement: Agreement) -> Outside:
    """Asks the source, but not about models of which it has no rows out of scope."""

    def outside(label: str, key_texts: Collection[str]) -> set[str]:
        return source.outside(label, key_texts) if label in agreement.scoped else set()

    return outside


def _nowhere(label: str, key_texts: Collection[str]) -> set[str]:
    """An older source cannot say what it has out of scope."""
    return set()


def _fetch_files(comparison: Comparison, turn: Turn) -> None:
    """Stages every file the changes need, each checked while it arrives. Raises `TooManyBytes` before it asks for one
    that does not fit any more.

    What counts is what the files are said to have, as none of them is given a byte more; and that of every file, as
    each task comes by all of them, those that it finds staged too. So the sum is the same however often a pull goes
    on, and a pull that is made again does not add to what it was refused.
    """
    turn.lease.begin_phase("files")
    most, total, counted = conf.max_files_bytes(), 0, set[str]()
    for number, (where, file) in enumerate(comparison.wanted_files()):
        turn.lease.note(number)
        turn.check()
        if file.checksum not in counted:
            counted.add(file.checksum)
            total += file.size
        if total > most:
            raise TooManyBytes(
                f"Pull {turn.pull.pk} needs files of more than {most:,} bytes in all, which is what "
                f"DATA_SYNC_MAX_FILES_BYTES allows: with {where}, they have {total:,}. Pull fewer models, or raise the "
                "setting if the disk has room."
            )
        if turn.is_staged(file):
            continue
        try:
            with turn.source.open_file(file.checksum) as blocks:
                turn.stage(file, blocks)
        except LeaseLost:
            raise
        except DataSyncError as error:
            if turn.origin.does_without(file):
                continue
            raise WrongFile(f"{where}: the file {file.name!r} could not be fetched. {error}") from error


def _watched(blocks: Iterable[bytes], lease: Lease) -> Iterator[bytes]:
    """The same blocks, as long as the lease is held: a file may be large."""
    for block in blocks:
        lease.check()
        yield block
