"""Copying staged files to where their fields keep files, before the transaction that refers to them."""

from __future__ import annotations

import posixpath
import secrets
import unicodedata
from collections.abc import Collection

from django.apps import apps
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import File as DjangoFile
from django.core.files.storage import Storage
from django.db import models, router

from data_sync.core.errors import WrongFile
from data_sync.core.records import FileValue

from .batches import batches
from .files import name_hash
from .refusals import raised
from .schema import File
from .staging import open_staged
from .tables import table

MAX_NAME = 200
RANDOM_BYTES = 8


def new_name(file: File, row: models.Model, value: FileValue, redacted: Collection[str] = ()) -> str:
    """A name that no file has, of the form that the field and its storage give names. Raises `WrongFile`, which quotes
    nothing of a row with `redacted` fields.

    Of the source's name only the last part is used. Storages may overwrite (Amazon's do unless told
    otherwise), so what is free now may be taken before the copy: a random part makes the name ours alone.
    """
    base = safe_name(value.name) or name_hash(value.name)[:16]
    try:
        name = file.field.generate_filename(row, base)
    except SuspiciousFileOperation as error:
        raise _unusable(file, value, error) from None
    except Exception as error:  # upload_to is the project's own code
        raise WrongFile(f"{file.name}: upload_to of {value.name!r} raised {raised(error, redacted)}") from error
    name = _with_random_part(file, name.replace("\\", "/"))
    try:
        is_taken = file.field.storage.exists(name)
    except SuspiciousFileOperation as error:
        raise _unusable(file, value, error) from None
    if is_taken:
        raise WrongFile(f"{file.name}: the storage says of {name!r}, a name just made up, that it exists. Apply again.")
    return name


def promote(file: File, name: str, value: FileValue) -> str:
    """Copies a staged file, checked once more, to a `new_name`; gives the name the storage took in the end.

    Raises `WrongFile`, also where that name may be another file's; what was saved is then removed again,
    unless a row refers to it.
    """
    storage = file.field.storage
    with open_staged(value) as staged:
        stored = storage.save(name, DjangoFile(staged, name=name), max_length=file.field.max_length)
    if _stem(name) not in stored:
        discard(storage, [stored])
        raise WrongFile(
            f"{file.name}: its storage saved {name!r} as {stored!r}, which may be the name of another file. "
            "Use a storage that keeps the names it is given."
        )
    return stored


def discard(storage: Storage, names: Collection[str]) -> None:
    """Removes promoted files that no row refers to."""
    for batch in batches(names):
        used = used_names(batch)
        for name in batch:
            if name not in used:
                storage.delete(name)


def safe_name(name: str) -> str:
    """The last part of a path of any system, without control characters; "" if nothing is left.

    Shortened to `MAX_NAME` bytes, before its extension: file systems take 255, and names are added to.
    """
    base = posixpath.basename(name.replace("\\", "/"))
    base = "".join(c for c in base if unicodedata.category(c)[0] != "C")
    if len(base.encode()) > MAX_NAME:
        root, extension = posixpath.splitext(base)
        extension = _shortened(extension, MAX_NAME // 2)
        base = _shortened(root, MAX_NAME - len(extension.encode())) + extension
    return "" if base in (".", "..") else base


def _shortened(text: str, size: int) -> str:
    """As much of a text as takes at most `size` bytes."""
    return text.encode()[:size].decode(errors="ignore")


def _with_random_part(file: File, name: str) -> str:
    """The name with random characters before its extension, the rest shortened to what the column takes."""
    folder, base = posixpath.split(name)
    root, extension = posixpath.splitext(base)
    addition = f"_{secrets.token_hex(RANDOM_BYTES)}{extension}"
    if file.field.max_length is not None:
        room = file.field.max_length - len(posixpath.join(folder, addition))
        if room < 0:
            raise WrongFile(
                f"{file.name}: there is no room for a name like {name!r} in {file.field.max_length} characters. "
                "Raise the field's max_length."
            )
        root = root[:room]
    return posixpath.join(folder, root + addition)


def _stem(name: str) -> str:
    """The last part of a new name, random characters included, without extension."""
    return posixpath.splitext(posixpath.basename(name))[0]


def _unusable(file: File, value: FileValue, error: Exception) -> WrongFile:
    return WrongFile(f"{file.name}: the file name {value.name!r} cannot be used here: {error}")


def used_names(names: Collection[str]) -> set[str]:
    """Those names that a row of any model has in a file field, whichever its storage.

    Two storages that lead to one place need not be equal, so they are not asked.
    """
    used: set[str] = set()
    for model in apps.get_models(include_auto_created=True):
        if model._meta.proxy or model._meta.swapped:
            continue
        rows = table(model, router.db_for_write(model))
        for field in model._meta.local_fields:
            if isinstance(field, models.FileField):
                used.update(rows.filter(**{f"{field.name}__in": names}).values_list(field.name, flat=True))
    return used
