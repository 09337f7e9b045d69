"""Copying staged files to where their fields keep files, before the transaction that refers to them."""

from __future__ import annotations

import posixpath
import unicodedata

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import File as DjangoFile
from django.db import models

from data_sync.core.errors import WrongFile
from data_sync.core.records import FileValue

from .files import name_hash
from .schema import File
from .staging import open_staged

MAX_NAME = 200


def new_name(file: File, row: models.Model, value: FileValue) -> str:
    """The name under which the field and its storage would keep a file.

    The source's directories are ignored: only the last part of its name is used. Raises `WrongFile`.
    """
    base = safe_name(value.name) or name_hash(value.name)[:16]
    try:
        name = file.field.generate_filename(row, base)
        return file.field.storage.get_available_name(name, max_length=file.field.max_length)
    except SuspiciousFileOperation as error:
        raise WrongFile(f"{file.name}: the file name {value.name!r} cannot be used here: {error}") from None
    except Exception as error:  # upload_to is the project's own code
        raise WrongFile(f"{file.name}: upload_to of {value.name!r} raised {type(error).__name__}: {error}") from error


def promote(file: File, name: str, value: FileValue) -> str:
    """Copies a staged file, checked once more; gives the name the storage took in the end. Raises `WrongFile`."""
    with open_staged(value) as staged:
        return file.field.storage.save(name, DjangoFile(staged, name=name), max_length=file.field.max_length)


def safe_name(name: str) -> str:
    """The last part of a path of any system, without control characters; "" if nothing is left.

    Shortened to `MAX_NAME` bytes, before its extension: file systems take 255, and storages add to names.
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


def discard(file: File, name: str) -> None:
    """Removes a promoted file that no row refers to."""
    if not file.field.model._base_manager.filter(**{file.name: name}).exists():
        file.field.storage.delete(name)
