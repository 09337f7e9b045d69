"""Files of an apply: copied before its transaction, and removed again if it does not come about."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from data_sync.core.errors import ChangeFailed, DataSyncError, LeaseLost
from data_sync.core.records import FileValue
from data_sync.core.states import Decision, Operation
from data_sync.models import Change, Changeset, PromotedFile
from data_sync.orm.promotion import discard, new_name, promote
from data_sync.orm.resolution import schemas
from data_sync.orm.schema import File, ModelSchema

from .content import wanted_files
from .leases import Lease
from .upload_rows import UploadRows

logger = logging.getLogger("data_sync")


def promote_files(changeset: Changeset, lease: Lease) -> dict[tuple[int, str], str]:
    """Copies each accepted change's staged files to its field's storage: new names by change and field.

    What an earlier, killed attempt copied is removed first. Raises `ChangeFailed`, or `LeaseLost`.
    """
    discard_promoted(changeset, before_attempt=changeset.attempt)
    lease.begin_phase("files")
    rows = UploadRows(changeset)
    names: dict[tuple[int, str], str] = {}
    for change, schema in _changes_with_files(changeset):
        wanted = wanted_files(change)
        for file in schema.files:
            if file.name in wanted:
                lease.advance(1)
                stored = _promote(changeset, change, schema, file, wanted[file.name], rows)
                _confirm(lease, file, stored)
                names[(change.number, file.name)] = stored
    return names


def _confirm(lease: Lease, file: File, stored: str) -> None:
    """Raises `LeaseLost`, without the file: who has taken over has removed this attempt's files and their traces, maybe
    before this one was there."""
    try:
        lease.confirm()
    except LeaseLost:
        try:
            discard(file.field.storage, [stored])
        except Exception:  # the storage is the project's own
            logger.exception("%s, copied to %s after the lease was lost, could not be removed.", stored, file.name)
        raise


def _promote(
    changeset: Changeset, change: Change, schema: ModelSchema, file: File, value: FileValue, rows: UploadRows
) -> str:
    try:
        row = rows.row(schema, change) if callable(file.field.upload_to) else schema.model()
        name = new_name(file, row, value, changeset.redacted.get(schema.label, ()))
        trace = PromotedFile.objects.create(
            changeset=changeset,
            attempt=changeset.attempt,
            change_number=change.number,
            model=schema.label,
            field=file.name,
            name=name,
        )
        stored = promote(file, name, value)
    except (DataSyncError, OSError) as error:
        raise ChangeFailed({change.number: f"{change.key_text}: {error}"}) from error
    if stored != name:
        PromotedFile.objects.filter(pk=trace.pk).update(name=stored)
    return stored


def discard_promoted(changeset: Changeset, *, before_attempt: int) -> None:
    """Removes files that earlier attempts on this changeset have copied and that no row refers to.

    Never a later attempt's: its transaction may be about to refer to them. What cannot be removed is
    logged, and tried again at the next attempt: it is no reason for an apply to fail.
    """
    promoted = changeset.promoted_files.filter(attempt__lt=before_attempt)
    for label, name in promoted.order_by("model", "field").values_list("model", "field").distinct():
        traces = promoted.filter(model=label, field=name)
        file = _file(label, name)
        try:
            if file is not None:
                discard(file.field.storage, list(traces.values_list("name", flat=True)))
        except Exception:  # the storage is the project's own
            logger.exception("Files of changeset %s could not be removed from %s.%s.", changeset.pk, label, name)
        else:
            traces.delete()


def _file(label: str, name: str) -> File | None:
    schema = schemas().get(label)
    return next((file for file in schema.files if file.name == name), None) if schema else None


def _changes_with_files(changeset: Changeset) -> Iterator[tuple[Change, ModelSchema]]:
    labels = {label: schema for label, schema in schemas().items() if schema.files}
    changes = changeset.changes.filter(decision=Decision.ACCEPTED.value, model__in=list(labels))
    for change in changes.exclude(operation=Operation.DELETE.value).order_by("number").iterator(chunk_size=200):
        yield change, labels[change.model]
