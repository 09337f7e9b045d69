"""Files of an apply: copied before its transaction, and removed again if it does not come about."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import models

from data_sync.core.errors import ChangeFailed, DataSyncError
from data_sync.core.states import Decision, Operation
from data_sync.models import Change, Changeset, PromotedFile
from data_sync.orm.promotion import discard, new_name, promote
from data_sync.orm.schema import File, ModelSchema, schemas

from .content import after_record, wanted_files


def promote_files(changeset: Changeset) -> dict[tuple[int, str], str]:
    """Copies each accepted change's staged files to its field's storage: new names by change and field.

    What an earlier, killed attempt copied is removed first. Raises `ChangeFailed`.
    """
    discard_promoted(changeset, before_attempt=changeset.attempt)
    names: dict[tuple[int, str], str] = {}
    for change, schema in _changes_with_files(changeset):
        for file in schema.files:
            value = wanted_files(change).get(file.name)
            if value is None:
                continue
            try:
                name = new_name(file, _row(schema, change, file), value)
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
            names[(change.number, file.name)] = stored
    return names


def discard_promoted(changeset: Changeset, *, before_attempt: int) -> None:
    """Removes files that earlier attempts on this changeset have copied and that no row refers to.

    Never a later attempt's: its transaction may be about to refer to them.
    """
    known = schemas()
    promoted = changeset.promoted_files.filter(attempt__lt=before_attempt)
    for trace in promoted:
        schema = known.get(trace.model)
        file = next((file for file in schema.files if file.name == trace.field), None) if schema else None
        if file is not None:
            discard(file, trace.name)
    promoted.delete()


def _changes_with_files(changeset: Changeset) -> Iterator[tuple[Change, ModelSchema]]:
    labels = {label: schema for label, schema in schemas().items() if schema.files}
    changes = changeset.changes.filter(decision=Decision.ACCEPTED.value, model__in=list(labels))
    for change in changes.exclude(operation=Operation.DELETE.value).order_by("number").iterator(chunk_size=200):
        yield change, labels[change.model]


def _row(schema: ModelSchema, change: Change, file: File) -> models.Model:
    """The row as an `upload_to` function may look at it: its values, and its references where they exist here."""
    record = after_record(change)
    row = schema.model()
    if not callable(file.field.upload_to):
        return row
    for value in schema.values:
        plain = record.fields[value.name]
        setattr(row, value.field.attname, None if plain is None else value.codec.from_plain(plain))
    for reference in schema.references:
        key = record.fields[reference.name]
        if key is not None:
            row_of = _referenced(reference.target, key)
            setattr(row, reference.name, row_of)
    return row


def _referenced(target: type[models.Model], key: list[object]) -> models.Model | None:
    schema = next(schema for schema in schemas().values() if schema.model is target)
    lookups = {part.lookup: part.codec.from_plain(value) for part, value in zip(schema.key, key, strict=True)}
    return schema.every_row("default").filter(**lookups).first()
