"""Pulling: reading a source, comparing it with this database, storing what differs as a changeset."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from concurrent.futures import Future, wait
from contextlib import ExitStack, suppress
from threading import Thread
from typing import Any

from django.db import IntegrityError, transaction

from data_sync import conf
from data_sync.core.errors import DataSyncError, InvalidTransition, SchemaMismatch, WrongFile
from data_sync.core.listing import Listing
from data_sync.core.manifest import Manifest, schema_differences
from data_sync.core.source import RecordSource
from data_sync.core.states import PullState
from data_sync.models import DataPull, DataSource
from data_sync.models.time import UtcNow
from data_sync.orm.read import LocalSource
from data_sync.orm.resolution import schemas
from data_sync.orm.staging import is_staged, stage

from . import sources
from .actors import Actor
from .comparison import Comparison
from .store import store_changeset, supersede

logger = logging.getLogger("data_sync")
PROGRESS_SECONDS = 0.5
ACTIVE = [state for state in PullState if state.is_active]


def request_pull(source: DataSource, model_labels: Sequence[str], actor: Actor) -> DataPull:
    """A queued pull of a source: of these models, or of all that it offers.

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
    """Ends a pull as failed; one that was cancelled meanwhile stays cancelled."""
    with suppress(InvalidTransition):
        _finish(pull_id, PullState.FAILED, error=reason, **values)


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
    labels = _agreed_labels(pull.model_labels, here, there)
    expected = sum(here.models[label].count + there.models[label].count for label in labels)
    DataPull.objects.filter(pk=pull.pk).update(rows_expected=expected)
    with ExitStack() as stack:
        spools = [stack.enter_context(tempfile.TemporaryFile(dir=conf.spool_dir())) for _ in range(2)]
        ours = Listing("here", spools[0], labels)
        theirs = Listing("at the source", spools[1], labels)
        _read_both(pull, local, ours, source, theirs)
        _move(pull.pk, [PullState.READING], PullState.COMPARING)
        comparison = Comparison(ours, theirs)
        fetched = _fetch_files(comparison, source)
        with transaction.atomic():
            # Writes first: it takes SQLite's lock, and shows that nobody has cancelled the pull.
            _move(pull.pk, [PullState.COMPARING], PullState.COMPARING)
            totals = store_changeset(pull, comparison)
            supersede(pull, labels, totals.changeset)
            _finish(
                pull.pk,
                PullState.DONE,
                compared=totals.compared,
                files_fetched=fetched,
                report={"schema": [], "models": totals.models},
            )


def _agreed_labels(wanted: Sequence[str], here: Manifest, there: Manifest) -> list[str]:
    """The models to compare, in dependency order. Raises `SchemaMismatch` where the sides differ on any.

    Absence is no deletion: a model that the source does not offer is left alone, unless it was asked for.
    """
    chosen = set(wanted) or set(there.models)
    differences = schema_differences(here, there, sorted(chosen))
    if differences:
        named = "; ".join(f"{d['model']} {d['field']} {d['difference']}".replace("  ", " ") for d in differences[:3])
        more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""
        raise SchemaMismatch(
            f"The two sides do not have the same models: {named}{more}. Bring both to one version, then pull again.",
            differences,
        )
    if not chosen:
        raise InvalidTransition("The source offers no models; register some there, or widen the key's scope.")
    return [label for label in here.models if label in chosen]


def _read_both(pull: DataPull, local: LocalSource, ours: Listing, source: RecordSource, theirs: Listing) -> None:
    """Fills both listings; the source makes and sends its stream while the local rows are read.

    The thread touches no database, so that it works on any connection setting.
    """
    progress = [0, 0]
    reading: Future[None] = Future()

    def read_source() -> None:
        try:
            with source.stream(theirs.models) as blocks:
                theirs.read(blocks, lambda rows: progress.__setitem__(1, rows))
        except BaseException as error:
            reading.set_exception(error)
        else:
            reading.set_result(None)

    # A daemon, which nobody waits for when reading fails here or Ctrl-C is pressed: it may sit in a socket for
    # minutes. Its next write ends it, because the spool is closed.
    Thread(target=read_source, name="data_sync-source", daemon=True).start()
    with local.stream(ours.models) as blocks:
        ours.read(blocks, lambda rows: progress.__setitem__(0, rows))
    while True:
        done, _ = wait([reading], timeout=PROGRESS_SECONDS)
        DataPull.objects.filter(pk=pull.pk).update(rows_read=sum(progress))
        if done:
            break
    reading.result()


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
