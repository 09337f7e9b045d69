"""Answers read as a pull reads them, each in a process of its own that says what that took.

``python -m tests.sources.bomb`` takes lines of ``{"kind", "url", "deadline"}`` on standard input and answers each by a
line of ``{"error", "message", "seconds", "mebibytes"}``.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import django

LABEL = "testapp.tag"


def peak() -> int:
    """The most memory that this process has had at a time, in MiB. Not `ru_maxrss`: it counts the parent's, too."""
    [kibibytes] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kibibytes) // 1024


def read(kind: str, url: str) -> None:
    from data_sync.core.source import Request
    from data_sync.services.reading import THERE, Side
    from data_sync.sources.http import HttpSource

    if kind == "bundle":
        read_bundle(url)
        return
    source = HttpSource(url, "ds_key")
    with tempfile.TemporaryFile() as one, tempfile.TemporaryFile() as other:
        side = Side(THERE, source, Request(models=(LABEL,)), [one, other], whole=kind == "stream")
        match kind:
            case "manifest":
                source.manifest()
            case "outside":
                source.outside(LABEL, ['["a"]'])
            case "file":
                from data_sync.core.records import FileValue
                from data_sync.orm.staging import stage

                file = FileValue(name="a", size=1000, checksum="sha256:" + "0" * 64)
                with source.open_file(file.checksum) as blocks:
                    stage(file, blocks)
            case _:
                side.read(lambda rows: None)
                # Every row differs from what is here.
                for place in (place for _, place in _places(side)):
                    side.records.record(place)


def read_bundle(path: str) -> None:
    """What a pull asks a bundle for."""
    from data_sync.core.source import Request
    from data_sync.services.reading import THERE, Side
    from data_sync.sources.bundle import BundleSource

    with open(path, "rb") as file, tempfile.TemporaryFile() as one, tempfile.TemporaryFile() as other:
        source = BundleSource(file)
        models = tuple(source.manifest().models)
        Side(THERE, source, Request(models=models), [one, other], whole=True).read(lambda rows: None)
        source.outside("app.tag", ['["a"]'])


def _places(side: object) -> list[tuple[bytes, int]]:
    return [row for index in range(256) for row in side.listing.bucket(LABEL, index)[0].items()]  # type: ignore[attr-defined]


def measured(kind: str, url: str, deadline: float) -> dict[str, object]:
    from django.conf import settings

    from data_sync.core.errors import DataSyncError

    settings.DATA_SYNC_ALLOWED_HOSTS = ["127.0.0.1"]
    settings.DATA_SYNC_REQUEST_TIMEOUT = deadline
    started = time.monotonic()
    try:
        read(kind, url)
        error, message = "", ""
    except DataSyncError as raised:
        error, message = type(raised).__name__, str(raised)[:500]
    seconds = round(time.monotonic() - started, 1)
    return {"error": error, "message": message, "seconds": seconds, "mebibytes": peak()}


def main() -> None:
    django.setup()
    from data_sync.services import reading  # noqa: F401  (once, and not by each process)
    from data_sync.sources import bundle, transport  # noqa: F401

    for line in sys.stdin:
        if not os.fork():
            print(json.dumps(measured(**json.loads(line))), flush=True)
            os._exit(0)
        os.wait()


if __name__ == "__main__":
    main()
