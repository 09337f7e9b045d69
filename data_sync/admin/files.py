"""The files of a change, for those who may see it. A source's bytes never run in the admin's origin."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, SuspiciousOperation
from django.http import FileResponse, Http404, HttpRequest
from django.utils.translation import gettext as _

from data_sync import conf
from data_sync.core.errors import DataSyncError
from data_sync.core.records import FileValue
from data_sync.models import Change
from data_sync.orm.files import read_blocks
from data_sync.orm.staging import is_staged, open_staged

if TYPE_CHECKING:
    from .changesets import ChangesetAdmin

POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"


def download(admin: ChangesetAdmin, request: HttpRequest, pk: int, number: int, field: str, side: str) -> FileResponse:
    """Raster pictures are shown, by their first bytes; anything else, SVG too, is only downloaded."""
    admin.require_view(request)
    row_change, file = file_of(pk, number, field, side)
    content = content_of(row_change, field, side, file)
    picture = picture_type(content.read(16))
    content.seek(0)
    return FileResponse(
        content,
        content_type=picture or "application/octet-stream",
        as_attachment=picture is None,
        filename=file.name.rpartition("/")[2],
        headers={"X-Content-Type-Options": "nosniff", "Content-Security-Policy": POLICY},
    )


def picture_type(start: bytes) -> str | None:
    """The media type of the raster pictures that browsers show without running anything."""
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if start.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if start.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    return None


def file_of(pk: int, number: int, field: str, side: str) -> tuple[Change, FileValue]:
    """What a change says of a file. Raises `Http404`."""
    row_change = Change.objects.filter(changeset_id=pk, number=number).first()
    described = None if row_change is None else row_change.files.get(field, {}).get(side)
    if row_change is None or described is None:
        raise Http404(_("This change has no such file."))
    return row_change, FileValue(**described)


@contextmanager
def opened(row_change: Change, field: str, side: str, file: FileValue) -> Iterator[IO[bytes]]:
    """The file as the storage has it. Raises `DataSyncError`, `OSError` or `LookupError`."""
    if side == "after" and is_staged(file):
        with open_staged(file) as stored:
            yield stored
        return
    try:
        column: Any = apps.get_model(row_change.model)._meta.get_field(field)
        stored = column.storage.open(file.name)
    except (FieldDoesNotExist, SuspiciousOperation) as error:
        raise LookupError(str(error)) from error
    with stored:
        yield stored


def content_of(row_change: Change, field: str, side: str, file: FileValue) -> IO[bytes]:
    """A copy of exactly the bytes that the change speaks of. Raises `Http404`."""
    try:
        with opened(row_change, field, side, file) as stored:
            return _checked(read_blocks(stored), file)
    except (DataSyncError, OSError, LookupError) as error:
        raise Http404(str(error)) from error


def _checked(blocks: Iterable[bytes], file: FileValue) -> IO[bytes]:
    """A copy to serve from. Shows exactly the bytes that the change speaks of, or raises `Http404`."""
    copy = tempfile.SpooledTemporaryFile(max_size=1 << 20, dir=conf.spool_dir())
    sha = hashlib.sha256()
    for block in blocks:
        sha.update(block)
        copy.write(block)
    if f"sha256:{sha.hexdigest()}" != file.checksum:
        copy.close()
        raise Http404(_("The stored file is no longer the one that was compared."))
    copy.seek(0)
    return copy
