"""Uploaded files between the upload and the end of their pull: in the private staging storage, under random names."""

from __future__ import annotations

import hashlib
import logging
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import IO

from django.core.files.base import File
from django.db import transaction
from django.utils import timezone

from data_sync import conf
from data_sync.core.errors import InvalidInput, WrongFile
from data_sync.core.states import PullState
from data_sync.models import DataPull
from data_sync.orm.files import read_blocks
from data_sync.orm.staging import staging_storage

FOLDER = "uploads"
ORPHANED = timedelta(days=1)
"""So old a file is that no pull names, before it is taken for one that was left behind, and not for one on its way."""
_ACTIVE = [state.value for state in PullState if state.is_active]
_logger = logging.getLogger("data_sync")


def spool(blocks: Iterable[bytes]) -> tuple[IO[bytes], str]:
    """What is uploaded, in a temporary file at its start, and its checksum (`sha256:<hex>`).

    Raises `InvalidInput` for an empty one, and for one that is larger than the setting allows.
    """
    most = conf.max_upload_bytes()
    sha, size = hashlib.sha256(), 0
    file = tempfile.TemporaryFile(dir=conf.spool_dir(), prefix="data_sync_")
    try:
        for block in blocks:
            size += len(block)
            if size > most:
                raise InvalidInput(
                    f"The file has more than {most:,} bytes, which is what DATA_SYNC_MAX_UPLOAD_BYTES allows. Bundle "
                    "fewer models, or raise the setting if the disk has room."
                )
            sha.update(block)
            file.write(block)
        if not size:
            raise InvalidInput("The file is empty.")
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file, f"sha256:{sha.hexdigest()}"


def keep(file: IO[bytes]) -> str:
    """Stores an open file from its start on; gives its name in the storage, which nothing of the file is told by."""
    file.seek(0)
    return staging_storage().save(f"{FOLDER}/{secrets.token_hex(16)}", File(file))


def opened(pull: DataPull) -> IO[bytes]:
    """A copy of the pull's upload without a name, at its start: removing the upload does not take it away.

    Raises `WrongFile` where it is gone, or is not what was uploaded any more.
    """
    try:
        stored = staging_storage().open(pull.upload) if pull.upload else None
    except FileNotFoundError:
        stored = None
    if stored is None:
        raise WrongFile(f"The file “{pull.upload_name}” that was uploaded is no longer there. Upload it again.")
    with stored:
        file, checksum = spool(read_blocks(stored))
    if checksum != pull.upload_checksum:
        file.close()
        raise WrongFile(
            f"The file “{pull.upload_name}” has been altered since it was uploaded: it has the checksum {checksum} "
            f"instead of {pull.upload_checksum}. Upload it again."
        )
    return file


def discard_once_over(pull_id: int) -> None:
    """Removes the upload of a pull that is over, once that is committed."""
    transaction.on_commit(partial(_discard, pull_id))


def _discard(pull_id: int) -> None:
    name = (
        DataPull.objects.filter(pk=pull_id)
        .exclude(state__in=_ACTIVE)
        .exclude(upload="")
        .values_list("upload", flat=True)
        .first()
    )
    if name is not None and remove(name):
        DataPull.objects.filter(pk=pull_id).update(upload="")


def discard_those_of_the_past() -> None:
    """Removes what pulls that are over have left, and what no pull names: its process was ended on the way."""
    left = DataPull.objects.exclude(upload="").exclude(state__in=_ACTIVE)
    for pull_id in list(left.values_list("pk", flat=True)):
        _discard(pull_id)
    for name in _orphans():
        remove(name)


def _orphans() -> Iterator[str]:
    storage = staging_storage()
    try:
        names = [f"{FOLDER}/{name}" for name in storage.listdir(FOLDER)[1]]
        if not names:
            return
        named = set(DataPull.objects.exclude(upload="").values_list("upload", flat=True))
        for name in set(names) - named:
            if _age(storage.get_modified_time(name)) > ORPHANED:
                yield name
    except (FileNotFoundError, NotImplementedError):
        return  # Nothing was ever uploaded; or a storage that cannot tell.


def remove(name: str) -> bool:
    """Whether it is gone. What a storage cannot do now, the next sweep tries again."""
    try:
        staging_storage().delete(name)
    except Exception:
        _logger.exception("The uploaded file %s could not be removed; the next sweep tries again.", name)
        return False
    return True


def _age(modified: datetime) -> timedelta:
    return timezone.now() - (modified if timezone.is_aware(modified) else timezone.make_aware(modified))
