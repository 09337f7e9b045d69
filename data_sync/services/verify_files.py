"""Files that changesets put in place, and those that are still to be put there: read again, and compared."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet

from data_sync.core import canonical
from data_sync.core.records import FileValue
from data_sync.core.states import ChangesetState, Decision, Outcome
from data_sync.core.verification import Fault
from data_sync.models import Change, Changeset
from data_sync.orm.batches import batches
from data_sync.orm.files import hash_file
from data_sync.orm.promotion import RANDOM_BYTES, safe_name
from data_sync.orm.references import RowsOfKeys
from data_sync.orm.resolution import schemas
from data_sync.orm.schema import File, ModelSchema
from data_sync.orm.staging import staged_checksum
from data_sync.orm.tables import table

from .content import wanted_files

_OPEN = [
    state.value
    for state in (
        ChangesetState.PENDING,
        ChangesetState.BLOCKED,
        ChangesetState.APPROVED,
        ChangesetState.APPLYING,
        ChangesetState.FAILED,
    )
]
_RANDOM = re.compile(rf"_[0-9a-f]{{{2 * RANDOM_BYTES}}}(\.[^.]*)?$")
_BATCH = 200


def file_faults(changesets: QuerySet[Changeset], note: Callable[[], None]) -> Iterator[Fault]:
    """What is wrong with the files of these changesets; `note` is told of each that was read.

    Of a row whose file was put there by several of them, the latest counts; one that has another file since, of which
    no changeset says anything, is not looked at.
    """
    yield from _staged(changesets, note)
    yield from _in_place(changesets, note)


def _staged(changesets: QuerySet[Changeset], note: Callable[[], None]) -> Iterator[Fault]:
    changes = Change.objects.filter(changeset__in=changesets.filter(state__in=_OPEN), after__isnull=False)
    changes = changes.exclude(files={}).exclude(decision=Decision.REJECTED.value).order_by("changeset", "number")
    for change in changes.iterator(chunk_size=_BATCH):
        for name, file in wanted_files(change).items():
            note()
            checksum = staged_checksum(file)
            if checksum != file.checksum:
                what = "is gone from" if checksum is None else "was altered in"
                words = f"The file {file.name!r} of change {change.number} {what} the staging storage. Pull again."
                yield _fault(change, name, words)


def _in_place(changesets: QuerySet[Changeset], note: Callable[[], None]) -> Iterator[Fault]:
    for schema in schemas().values():
        if schema.files:
            applied = Change.objects.filter(
                changeset__in=changesets.filter(state=ChangesetState.APPLIED.value, purged_at=None),
                model=schema.label,
                outcome=Outcome.APPLIED.value,
            )
            yield from _of_model(schema, applied.order_by("-changeset__applied_at", "-number"), note)


def _of_model(schema: ModelSchema, applied: QuerySet[Change], note: Callable[[], None]) -> Iterator[Fault]:
    seen: set[bytes] = set()
    for changes in batches(_latest(applied, seen), _BATCH):
        keys = RowsOfKeys(schema, "pk", DEFAULT_DB_ALIAS)
        texts = {change.pk: canonical.dumps(change.key) for change in changes}
        keys.load(list(texts.values()))
        found = {change.pk: list(keys.all(texts[change.pk])) for change in changes}
        names = _names(schema, [pk for pks in found.values() for pk in pks])
        for change in changes:
            for pk in found[change.pk]:
                yield from _of_row(schema, change, names.get(pk, {}), note)


def _latest(applied: QuerySet[Change], seen: set[bytes]) -> Iterator[Change]:
    """The latest change of each row that has a file."""
    for change in applied.iterator(chunk_size=_BATCH):
        keys = [change.key] if change.previous_key is None else [change.key, change.previous_key]
        marks = [hashlib.sha256(canonical.dumps(key).encode()).digest()[:16] for key in keys]
        if marks[0] not in seen and change.after is not None:
            yield change
        seen.update(marks)


def _names(schema: ModelSchema, pks: Sequence[Any]) -> dict[Any, dict[str, str]]:
    fields = [file.name for file in schema.files]
    rows = table(schema.model, DEFAULT_DB_ALIAS).filter(pk__in=pks).values_list("pk", *fields)
    return {pk: dict(zip(fields, names, strict=True)) for pk, *names in rows}


def _of_row(schema: ModelSchema, change: Change, names: dict[str, str], note: Callable[[], None]) -> Iterator[Fault]:
    kept = change.kept["fields"] if change.kept else ()
    for file in schema.files:
        sides = change.files.get(file.name)
        if not sides or not sides["after"] or file.name in kept or not names.get(file.name):
            continue
        value = FileValue(**sides["after"])
        if not _is_ours(names[file.name], value):
            continue
        note()
        checksum = _checksum(file, names[file.name])
        if checksum != value.checksum:
            what = "is gone" if checksum is None else "is not the one that was applied"
            yield _fault(
                change, file.name, f"The file {names[file.name]!r} of {change.model} {change.key_text} {what}."
            )


def _is_ours(name: str, value: FileValue) -> bool:
    """Whether a name is one that an apply made for this file: its own, and random characters."""
    base, wanted = posixpath.basename(name), safe_name(value.name)
    root, extension = posixpath.splitext(wanted)
    stem = _RANDOM.sub("", base)
    return stem != base and root.startswith(stem) and posixpath.splitext(base)[1] == extension


def _checksum(file: File, name: str) -> str | None:
    try:
        with file.field.storage.open(name) as stored:
            return f"sha256:{hash_file(stored)[0]}"
    except FileNotFoundError:
        return None


def _fault(change: Change, member: str, words: str) -> Fault:
    return Fault(
        chain=f"changeset:{change.changeset_id}", part="change", number=change.number, member=member, message=words
    )
