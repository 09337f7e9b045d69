"""Files that nothing needs any more: those that changesets have left behind, and staged ones.

A storage joins no transaction. So the names of files that a changeset has left behind are noted when it is purged, as
those of promoted files are, and a note goes once its file is gone: a run that is killed leaves notes, not files.
"""

from __future__ import annotations

import logging
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.apps import apps
from django.core.files.storage import Storage
from django.db.models import FileField, QuerySet
from django.utils import timezone

from data_sync.core.records import MISSING
from data_sync.core.states import ChangesetState, Operation, Outcome, PullState
from data_sync.models import Change, Changeset, DataPull, FileChecksum, KeptRow, PromotedFile
from data_sync.orm.batches import batches
from data_sync.orm.files import hash_file, name_hash
from data_sync.orm.promotion import used_names
from data_sync.orm.staging import staging_storage

logger = logging.getLogger("data_sync")

_STAGED = re.compile(r"([0-9a-f]{2})/(\1[0-9a-f]{62})")
YOUNG = timedelta(days=1)
"""A staged file may be as young as this and needed by no stored changeset: its pull is still at work."""
_WRITTEN = (ChangesetState.APPLIED.value, ChangesetState.REVERTED.value)
_ACTIVE = [state.value for state in PullState if state.is_active]
_GONE = ("root", "delete")


class Left(NamedTuple):
    """A file that an apply has replaced or deleted the last reference to, as far as it knew."""

    change_number: int
    model: str
    field: str
    name: str


# What changesets leave behind


def left_by(changeset: Changeset) -> Iterator[Left]:
    """The files that a changeset which was applied has left for a revert. None of what it did not replace or delete."""
    if not Changeset.objects.filter(pk=changeset.pk, state__in=_WRITTEN).exists():
        return
    written = Change.objects.filter(changeset=changeset.pk, outcome=Outcome.APPLIED.value).exclude(files={})
    for number, model, operation, files, kept in written.values_list(
        "number", "model", "operation", "files", "kept"
    ).iterator(chunk_size=500):
        for name, sides in files.items():
            before, after = sides["before"], sides["after"]
            if before is None or before["checksum"] == MISSING or not before["name"] or name in kept.get("fields", ()):
                continue
            if operation == Operation.DELETE or after is None or after["checksum"] != before["checksum"]:
                yield Left(number, model, name, before["name"])
    for number, model, values in _kept_with_files(KeptRow.objects.filter(changeset=changeset.pk)):
        for field, name in _files_of(model, values):
            yield Left(number, model, field, name)


def note_left(changeset: Changeset) -> int:
    """Notes them, in the transaction that purges the changeset; how many."""
    count = 0
    for some in batches(set(left_by(changeset))):
        PromotedFile.objects.bulk_create(
            PromotedFile(changeset=changeset, attempt=0, **left._asdict()) for left in some
        )
        count += len(some)
    return count


def forget_names(changeset: Changeset) -> None:
    """Leaves of the names of files their extensions; sizes and checksums stay."""
    changes = changeset.changes.exclude(files={}).only("pk", "files").order_by("pk")
    for some in batches(changes.iterator(chunk_size=400)):
        for change in some:
            change.files = {
                name: {side: file and file | {"name": _shortened(file["name"])} for side, file in sides.items()}
                for name, sides in change.files.items()
            }
        Change.objects.bulk_update(some, ["files"])


def discard_left() -> int:
    """Removes what purged changesets have left behind, and the notes of it; how many files.

    Only what no row of any model and no changeset that has its values refers to, and whose bytes are still those that
    were replaced, where they are known: of rows that went along with others they are not. What a storage refuses is
    logged, and tried again the next time.
    """
    notes = PromotedFile.objects.filter(changeset__purged_at__isnull=False)
    names = set(notes.values_list("name", flat=True))
    needed = names & _names_needed() if names else set()
    count = 0
    for some in batches(notes.order_by("pk").iterator(chunk_size=400)):
        used = used_names([note.name for note in some]) | needed
        checksums = _checksums(some)
        done = []
        for note in some:
            try:
                if note.name not in used:
                    count += _discard(note, checksums.get((note.changeset_id, note.change_number, note.model)))
            except Exception:  # the storage is the project's own
                logger.exception("%s, left behind by changeset %s, was not removed.", note.name, note.changeset_id)
            else:
                done.append(note.pk)
        PromotedFile.objects.filter(pk__in=done).delete()
    return count


def _discard(note: PromotedFile, files: dict[str, Any] | None) -> bool:
    """Whether there was a file to remove."""
    storage = _storage(note.model, note.field)
    if storage is None or not storage.exists(note.name):
        return False
    before = ((files or {}).get(note.field) or {}).get("before")
    if note.attempt == 0 and before is not None:
        with storage.open(note.name) as stored:
            checksum, size = hash_file(stored)
        if (f"sha256:{checksum}", size) != (before["checksum"], before["size"]):
            return False  # Another file has got its name since.
    storage.delete(note.name)
    FileChecksum.objects.filter(model=note.model, field=note.field, name_hash=name_hash(note.name)).delete()
    return True


def _checksums(notes: Iterable[PromotedFile]) -> dict[tuple[int, int, str], dict[str, Any]]:
    """The files of changes that notes are about, by changeset, number and model: a row that went along with another may
    be of a model that has a field of the same name."""
    numbers: dict[int, list[int]] = {}
    for note in notes:
        numbers.setdefault(note.changeset_id, []).append(note.change_number)
    return {
        (changeset, number, model): files
        for changeset, some in numbers.items()
        for number, model, files in Change.objects.filter(changeset=changeset, number__in=some).values_list(
            "number", "model", "files"
        )
    }


def _names_needed() -> set[str]:
    """The names that changesets which have their values speak of, and those that an apply has just copied."""
    names = {file["name"] for file in _files_of_changes(())}
    for _, model, values in _kept_with_files(KeptRow.objects.filter(changeset__purged_at=None)):
        names.update(name for _, name in _files_of(model, values))
    promoted = PromotedFile.objects.filter(changeset__purged_at=None)
    return names.union(promoted.values_list("name", flat=True).iterator())


def _files_of_changes(leaving_out: Collection[int]) -> Iterator[dict[str, Any]]:
    """Each file, on each side, of every change that has its values, but those of some changesets."""
    changes = Change.objects.filter(changeset__purged_at=None).exclude(files={}).order_by()
    for changeset, files in changes.values_list("changeset", "files").iterator(chunk_size=500):
        if changeset not in leaving_out:
            yield from (file for sides in files.values() for file in sides.values() if file is not None)


def _kept_with_files(rows: QuerySet[KeptRow]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Of rows that are gone and whose model has files: the delete's number, the model and the values."""
    labels = [model._meta.label_lower for model in apps.get_models(include_auto_created=True) if _file_fields(model)]
    kept = rows.filter(model__in=labels, effect__in=_GONE, values__isnull=False).order_by()
    for number, model, values in kept.values_list("change_number", "model", "values").iterator(chunk_size=500):
        yield number, model, values or {}


def _files_of(label: str, values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for field in _file_fields(apps.get_model(label)):
        name = values.get(field.name) or values.get(field.column)
        if isinstance(name, str) and name:
            yield field.name, name


def _file_fields(model: Any) -> list[Any]:
    return [field for field in model._meta.concrete_fields if isinstance(field, FileField)]


def _storage(label: str, name: str) -> Storage | None:
    """None where the model or its field is gone: then nobody knows where its files are."""
    try:
        field: Any = apps.get_model(label)._meta.get_field(name)
    except Exception:
        return None
    return field.storage if isinstance(field, FileField) else None


def _shortened(name: str) -> str:
    return f"purged{posixpath.splitext(name)[1][:10]}" if name else ""


# Staged files


def unneeded(purged: Collection[int] = ()) -> Iterator[str]:
    """The names of staged files that no changeset which has its values needs; `purged` count as if they had none.

    None while a pull is at work: it may need what it has found staged.
    """
    if DataPull.objects.filter(state__in=_ACTIVE).exists():
        return
    leaving_out = set(purged)
    needed = {bytes.fromhex(file["checksum"][7:]) for file in _files_of_changes(leaving_out) if file["size"]}
    storage = staging_storage()
    for name in _staged(storage):
        if bytes.fromhex(name[3:]) not in needed and _modified(storage, name) < timezone.now() - YOUNG:
            yield name


def discard_staged() -> int:
    """Removes staged files that nothing needs; how many."""
    count = 0
    for some in batches(unneeded(), 100):
        if DataPull.objects.filter(state__in=_ACTIVE).exists():
            break
        count += sum(_removed(staging_storage(), name) for name in some)
    return count


def _removed(storage: Storage, name: str) -> bool:
    try:
        storage.delete(name)
    except Exception:  # the storage is the project's own
        logger.exception("The staged file %s was not removed.", name)
        return False
    return True


def _staged(storage: Storage) -> Iterator[str]:
    """The names of staged files, and of nothing else that is kept there."""
    try:
        folders = [folder for folder in storage.listdir("")[0] if re.fullmatch(r"[0-9a-f]{2}", folder)]
    except (FileNotFoundError, NotImplementedError):
        return
    for folder in sorted(folders):
        names = [f"{folder}/{name}" for name in storage.listdir(folder)[1]]
        yield from (name for name in sorted(names) if _STAGED.fullmatch(name))


def _modified(storage: Storage, name: str) -> datetime:
    try:
        at = storage.get_modified_time(name)
    except NotImplementedError:
        return datetime.min.replace(tzinfo=timezone.get_current_timezone())
    except FileNotFoundError:
        return timezone.now()
    return at if timezone.is_aware(at) else timezone.make_aware(at)
