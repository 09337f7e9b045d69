"""Pulling: reading a source, comparing it with this database, storing what differs as a changeset."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack, suppress
from typing import Any

from django.db import IntegrityError, OperationalError, connection, transaction

from data_sync.core.errors import DataSyncError, InvalidTransition, SchemaMismatch, WrongFile
from data_sync.core.source import Outside, RecordSource
from data_sync.core.states import PullState
from data_sync.models import DataPull, DataSource
from data_sync.models.time import UtcNow
from data_sync.orm.read import LocalSource
from data_sync.orm.resolution import schemas
from data_sync.orm.staging import is_staged, stage

from . import sources
from .actors import Actor
from .agreement import Agreement, agree
from .both_sides import BothSides
from .comparison import Comparison
from .reading import HERE, SMALL, THERE
from .store import prepare, store_changeset
from .supersede import supersede

logger = logging.getLogger("data_sync")
PATIENCE_SECONDS, RETRY_SECONDS = 60, 0.5
ACTIVE = [state for state in PullState if state.is_active]


def request_pull(
    source: DataSource, model_labels: Sequence[str], actor: Actor, *, find_renames: bool = True
) -> DataPull:
    """A queued pull of a source: of these models, or of all that it offers. `find_renames`: whether a row that only
    its key tells from a deleted one is offered as that row, renamed.

    Raises `InvalidTransition` while another pull of the source is active, naming it.
    """
    actor.require("data_sync.pull_datasource")
    known = schemas()
    unknown = sorted(set(model_labels) - known.keys())
    if unknown:
        raise InvalidTransition(f"Not registered here: {', '.join(unknown)}. Known: {', '.join(sorted(known))}.")
    try:
        with transaction.atomic():
            return DataPull.objects.create(
                source=source,
                source_name=source.name,
                model_labels=sorted(set(model_labels)),
                find_renames=find_renames,
                active_source=source.pk,
                requested_by=actor.user,
                actor=actor.label,
            )
    except IntegrityError:
        active = DataPull.objects.filter(active_source=source.pk).first()
        which = (
            f"Pull {active.pk} of {source.name} is {active.state}" if active else f"A pull of {source.name} is active"
        )
        raise InvalidTransition(f"{which}; wait for it, or cancel it (data_sync cancel).") from None


def cancel_pull(pull_id: int, actor: Actor) -> None:
    """Stops a queued or running pull; what it was reading is discarded."""
    actor.require("data_sync.pull_datasource")
    _finish(pull_id, PullState.CANCELLED, error=f"Cancelled by {actor.label}.")


def run_pull(pull_id: int) -> DataPull:
    """Does the work of a queued pull.

    Whatever goes wrong becomes the pull's `error`, in state `failed`; what nobody foresaw is logged with
    its traceback too. Raises `InvalidTransition` if the pull is not queued.
    """
    claimed = DataPull.objects.filter(pk=pull_id, state=PullState.QUEUED.value).update(
        state=PullState.READING.value, started_at=UtcNow()
    )
    if not claimed:
        raise InvalidTransition(f"Pull {pull_id} is not queued; it has been started, cancelled or removed.")
    pull = DataPull.objects.select_related("source", "requested_by").get(pk=pull_id)
    try:
        if pull.source is None:
            raise InvalidTransition("The data source of this pull has been removed.")
        _pull(pull, sources.open_source(pull.source))
    except SchemaMismatch as error:
        _fail(pull_id, str(error), report={"schema": error.differences, "models": []})
    except DataSyncError as error:
        _fail(pull_id, str(error))
    except Exception as error:
        logger.exception("Pull %s failed.", pull_id)
        _fail(pull_id, f"Unexpected {type(error).__name__}: {error}")
    except BaseException:
        _fail(pull_id, "It was interrupted.")
        raise
    return DataPull.objects.get(pk=pull_id)


def _fail(pull_id: int, reason: str, **values: Any) -> None:
    """Ends a pull as failed; one that was cancelled meanwhile stays cancelled.

    While the database is busy this is tried again: until it is recorded, no other pull of the source can begin.
    """
    last_try = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with suppress(InvalidTransition):
                _finish(pull_id, PullState.FAILED, error=reason, **values)
            return
        except OperationalError:
            if connection.in_atomic_block or time.monotonic() > last_try:
                raise
            connection.close_if_unusable_or_obsolete()
            time.sleep(RETRY_SECONDS)


def _finish(pull_id: int, new: PullState, **values: Any) -> None:
    _move(pull_id, ACTIVE, new, active_source=None, finished_at=UtcNow(), **values)


def _move(pull_id: int, old: Sequence[PullState], new: PullState, **values: Any) -> None:
    moved = DataPull.objects.filter(pk=pull_id, state__in=[state.value for state in old]).update(
        state=new.value, **values
    )
    if not moved:
        raise InvalidTransition(f"Pull {pull_id} is no longer {old[0].value}: it was cancelled or taken over.")


def _pull(pull: DataPull, source: RecordSource) -> None:
    there = source.manifest()
    local = LocalSource(handles=True)
    here = local.manifest()
    agreement = agree(pull.model_labels, here, there)
    counts = [sum(side.models[label].count for label in agreement.schemas) for side in (here, there)]
    DataPull.objects.filter(pk=pull.pk).update(rows_expected=sum(counts))
    lists = "digests" in there.features
    whole = (counts[HERE] <= SMALL, counts[THERE] <= SMALL or not lists)
    with ExitStack() as stack:
        both = BothSides(local, source, agreement, whole, stack)
        both.find(pull.source, lambda rows: _note_progress(pull, rows))
        _move(pull.pk, [PullState.READING], PullState.COMPARING)
        outside = _outside(source, agreement) if lists else _nowhere
        comparison = both.comparison(outside if pull.find_renames else None)
        fetched = _fetch_files(comparison, source)
        prepared = prepare(comparison, outside, pull.source)
        with transaction.atomic():
            # Writes first: it takes SQLite's lock, and shows that nobody has cancelled the pull.
            _move(pull.pk, [PullState.COMPARING], PullState.COMPARING)
            changeset = store_changeset(pull, agreement, comparison, prepared)
            supersede(pull, list(agreement.schemas), changeset)
            # Last, in the order in which an apply locks these tables.
            both.baselines.store()
            _finish(
                pull.pk,
                PullState.DONE,
                compared=prepared.total("compared"),
                files_fetched=fetched,
                report={"schema": agreement.report(), "models": prepared.models},
            )


def _note_progress(pull: DataPull, rows: int) -> None:
    with suppress(OperationalError):  # The database is busy: a number to look at is no reason to fail.
        DataPull.objects.filter(pk=pull.pk).update(rows_read=rows)


def _outside(source: RecordSource, agreement: Agreement) -> Outside:
    """Asks the source, but not about models of which it has no rows out of scope."""

    def outside(label: str, key_texts: Collection[str]) -> set[str]:
        return source.outside(label, key_texts) if label in agreement.scoped else set()

    return outside


def _nowhere(label: str, key_texts: Collection[str]) -> set[str]:
    """An older source cannot say what it has out of scope."""
    return set()


def _fetch_files(comparison: Comparison, source: RecordSource) -> int:
    """Stages every file the changes need, each checked while it arrives; gives their number."""
    fetched = 0
    for where, file in comparison.wanted_files():
        if is_staged(file):
            continue
        try:
            with source.open_file(file.checksum) as blocks:
                stage(file, blocks)
        except DataSyncError as error:
            raise WrongFile(f"{where}: the file {file.name!r} could not be fetched. {error}") from error
        fetched += 1
    return fetched
