"""Pulling: reading a source, comparing it with this database, storing what differs as a changeset."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import Any

from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import Q
from django.db.models.functions import Coalesce

from data_sync.core.errors import DataSyncError, InvalidTransition, LeaseLost, SchemaMismatch, WrongFile
from data_sync.core.source import Outside, RecordSource
from data_sync.core.states import PullState
from data_sync.models import DataPull, DataSource, PullHeartbeat
from data_sync.models.time import UtcNow
from data_sync.orm.read import LocalSource
from data_sync.orm.resolution import schemas
from data_sync.orm.staging import is_staged, stage

from . import leases, sources
from .actors import Actor
from .agreement import Agreement, agree
from .both_sides import BothSides
from .comparison import Comparison
from .due import ABANDONED_PULL, PULL_LEASE_EXPIRED
from .leases import Lease
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
    for _ in range(2):
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
            if active is not None and not _give_up_abandoned(active.pk, actor):
                break
    which = f"Pull {active.pk} of {source.name} is {active.state}" if active else f"A pull of {source.name} is active"
    raise InvalidTransition(f"{which}; wait for it, or cancel it (data_sync cancel).")


def is_abandoned(pull: DataPull) -> bool:
    """Whether a pull is to be done and nobody is at it: its worker was killed, or none ever came to claim it."""
    return DataPull.objects.filter(ABANDONED_PULL, pk=pull.pk).exists()


def _give_up_abandoned(pull_id: int, actor: Actor) -> bool:
    """Ends a pull that nobody is at, so that another of its source can begin; whether it did."""
    reason = f"Nobody was at it any more when {actor.label} asked for another pull of the source."
    return bool(
        DataPull.objects.filter(ABANDONED_PULL, pk=pull_id).update(state=PullState.FAILED.value, error=reason, **_OVER)
    )


def cancel_pull(pull_id: int, actor: Actor) -> None:
    """Stops a queued or running pull; what it was reading is discarded."""
    actor.require("data_sync.pull_datasource")
    active = DataPull.objects.filter(pk=pull_id, state__in=[state.value for state in ACTIVE])
    if not active.update(state=PullState.CANCELLED.value, error=f"Cancelled by {actor.label}.", **_OVER):
        state = DataPull.objects.filter(pk=pull_id).values_list("state", flat=True).first()
        raise InvalidTransition(
            f"Pull {pull_id} is {state}; there is nothing to cancel." if state else f"There is no pull {pull_id}."
        )


def run_pull(pull_id: int) -> DataPull:
    """Does the work of a queued pull, or of one whose worker was lost.

    Whatever goes wrong becomes the pull's `error`, in state `failed`; what nobody foresaw is logged with
    its traceback too. One that is cancelled meanwhile ends as such. Raises `Busy` while another worker's lease lasts,
    and `InvalidTransition` if the pull is over.
    """
    token = _claim(pull_id)
    pull = DataPull.objects.select_related("source", "requested_by").get(pk=pull_id)
    try:
        if pull.losses > leases.MAX_LOSSES:
            raise InvalidTransition(
                f"Its worker was lost {pull.losses} times in succession: killed, out of memory or out of time. See the "
                "log there; pull fewer models at a time, or by command (data_sync pull), which has no deadline."
            )
        if pull.source is None:
            raise InvalidTransition("The data source of this pull has been removed.")
        with Lease(pull, token, PullHeartbeat, f"Pull {pull_id}") as lease:
            _pull(pull, sources.open_source(pull.source), lease)
    except LeaseLost as lost:
        logger.info("%s", lost)
    except SchemaMismatch as error:
        _fail(pull, str(error), report={"schema": error.differences, "models": []})
    except DataSyncError as error:
        _fail(pull, str(error))
    except Exception as error:
        logger.exception("Pull %s failed.", pull_id)
        _fail(pull, f"Unexpected {type(error).__name__}: {error}")
    except KeyboardInterrupt:
        _fail(pull, "It was interrupted.")
        raise
    except BaseException:
        # The process is told to stop, which is no fault of the pull: whoever comes next goes on.
        leases.end(PullHeartbeat, pull_id)
        raise
    return DataPull.objects.get(pk=pull_id)


def _claim(pull_id: int) -> str:
    """Takes the lease and gives its token."""
    token = leases.new_token()
    row = DataPull.objects.filter(pk=pull_id).first()
    if row is None:
        raise InvalidTransition(f"There is no pull {pull_id}.")
    with transaction.atomic():
        free = DataPull.objects.filter(
            Q(state=PullState.QUEUED.value) | PULL_LEASE_EXPIRED, pk=pull_id, attempt=row.attempt
        )
        if free.update(
            state=PullState.READING.value,
            attempt=row.attempt + 1,
            losses=row.losses + 1 if row.token else 0,
            token=token,
            started_at=Coalesce("started_at", UtcNow()),
        ):
            leases.begin(PullHeartbeat, pull_id)
            return token
    state = DataPull.objects.values_list("state", flat=True).get(pk=pull_id)
    if PullState(state).is_active:
        raise leases.busy(PullHeartbeat, pull_id, f"Pull {pull_id} is being worked at")
    raise InvalidTransition(f"Pull {pull_id} is {state}; ask for another one.")


def _fail(pull: DataPull, reason: str, **values: Any) -> None:
    """Ends a pull as failed; one that was cancelled or taken over meanwhile stays what it is.

    While the database is busy this is tried again: until it is recorded, no other pull of the source can begin.
    """
    last_try = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with suppress(LeaseLost):
                _finish(pull, PullState.FAILED, error=reason, **values)
            return
        except OperationalError:
            if connection.in_atomic_block or time.monotonic() > last_try:
                raise
            connection.close_if_unusable_or_obsolete()
            time.sleep(RETRY_SECONDS)


_OVER: dict[str, Any] = {"active_source": None, "finished_at": UtcNow(), "token": ""}


def _finish(pull: DataPull, new: PullState, **values: Any) -> None:
    _move(pull, new, **_OVER, **values)


def _move(pull: DataPull, new: PullState, **values: Any) -> None:
    """To another state, under the token of who works at it. Raises `LeaseLost`."""
    held = DataPull.objects.filter(pk=pull.pk, state__in=[state.value for state in ACTIVE], token=pull.token)
    if not held.update(state=new.value, **values):
        raise LeaseLost(f"Pull {pull.pk} was cancelled, or another worker has taken it over.")


def _pull(pull: DataPull, source: RecordSource, lease: Lease) -> None:
    there = source.manifest()
    local = LocalSource(handles=True)
    here = local.manifest()
    agreement = agree(pull.model_labels, here, there)
    counts = [sum(side.models[label].count for label in agreement.schemas) for side in (here, there)]
    lease.begin_phase("rows", sum(counts))
    lists = "digests" in there.features
    whole = (counts[HERE] <= SMALL, counts[THERE] <= SMALL or not lists)
    with ExitStack() as stack:
        both = BothSides(local, source, agreement, whole, stack)
        both.find(pull.source, lease.note, lease.check)
        _move(pull, PullState.COMPARING)
        outside = _outside(source, agreement) if lists else _nowhere
        comparison = both.comparison(outside if pull.find_renames else None)
        fetched = _fetch_files(comparison, source, lease)
        lease.begin_phase("changes", comparison.total)
        prepared = prepare(comparison, outside, pull.source, lease.advance)
        with lease.quiet(), transaction.atomic():
            # Writes first: it takes SQLite's lock, and shows that the lease is ours and nobody has cancelled the pull.
            _move(pull, PullState.COMPARING)
            changeset = store_changeset(pull, agreement, comparison, prepared)
            supersede(pull, list(agreement.schemas), changeset)
            # Last, in the order in which an apply locks these tables.
            both.baselines.store()
            _finish(
                pull,
                PullState.DONE,
                compared=prepared.total("compared"),
                files_fetched=fetched,
                report={"schema": agreement.report(), "models": prepared.models},
            )


def _outside(source: RecordSource, agreement: Agreement) -> Outside:
    """Asks the source, but not about models of which it has no rows out of scope."""

    def outside(label: str, key_texts: Collection[str]) -> set[str]:
        return source.outside(label, key_texts) if label in agreement.scoped else set()

    return outside


def _nowhere(label: str, key_texts: Collection[str]) -> set[str]:
    """An older source cannot say what it has out of scope."""
    return set()


def _fetch_files(comparison: Comparison, source: RecordSource, lease: Lease) -> int:
    """Stages every file the changes need, each checked while it arrives; gives how many had to be fetched."""
    lease.begin_phase("files")
    fetched = 0
    for number, (where, file) in enumerate(comparison.wanted_files()):
        lease.note(number)
        if is_staged(file):
            continue
        try:
            with source.open_file(file.checksum) as blocks:
                stage(file, _watched(blocks, lease))
        except LeaseLost:
            raise
        except DataSyncError as error:
            raise WrongFile(f"{where}: the file {file.name!r} could not be fetched. {error}") from error
        fetched += 1
    return fetched


def _watched(blocks: Iterable[bytes], lease: Lease) -> Iterator[bytes]:
    """The same blocks, as long as the lease is held: a file may be large."""
    for block in blocks:
        lease.check()
        yield block
