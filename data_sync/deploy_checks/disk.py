"""Whether there is room for what is pulled, and who on this machine can read it."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator

from django.core.checks import CheckMessage, Warning
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage, InvalidStorageError

from data_sync import conf
from data_sync.orm.staging import staging_storage

from .registering import deployment

LEAST_ROOM = 500 * 10**6


@deployment
def check_room() -> Iterator[CheckMessage]:
    """Of the directory for streams. Who can read in it does not matter: its files have no name."""
    folder = conf.spool_dir() or tempfile.gettempdir()
    try:
        room = shutil.disk_usage(folder).free
    except OSError:
        return  # Said by the check of the settings.
    if room < LEAST_ROOM:
        yield Warning(
            f"{folder}, where streams are spooled, has room for {room / 10**6:,.0f} MB, and a pull needs room for the "
            "records of both sides. Mostly it is a small tmpfs.",
            hint="Set DATA_SYNC_SPOOL_DIR to a directory on a disk.",
            id="data_sync.W027",
        )


@deployment
def check_staging_access() -> Iterator[CheckMessage]:
    try:
        storage = staging_storage()
        folder = storage.location if isinstance(storage, FileSystemStorage) else None
        access = stat.S_IMODE(os.stat(folder).st_mode) if folder else 0
    except (InvalidStorageError, ImproperlyConfigured, ImportError, TypeError, OSError):
        return  # It cannot be made, which another check says; or nothing was fetched yet.
    if access & (stat.S_IROTH | stat.S_IWOTH | stat.S_IXOTH):
        yield Warning(
            f"Every account of this machine gets into {folder}, where fetched files are kept until they are reviewed "
            f"and applied (access {access:03o}).",
            hint=f"chmod 750 {folder}; all processes of this environment run as one account or group.",
            id="data_sync.W026",
        )
