"""Bundles, made by hand as the format says; and ``python -m tests.bundling FILE [OPTION …]``: `data_sync bundle` at the
other environment."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

Member = tuple[str, bytes]
HEAD: dict[str, Any] = {
    "format": "data-sync-bundle",
    "format_version": "1.0",
    "has_files": True,
    "made_at": "2026-01-01T00:00:00+00:00",
    "made_by": "ada",
    "models": [],
    "version": "1",
    "manifest": {"format": "data-sync-manifest", "features": ["digests"], "protocol": 1, "models": {}},
}


def checksum(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def stream(models: Sequence[str] = (), *lines: str, counts: dict[str, int] | None = None) -> bytes:
    """A sound stream of these record lines, of the first model if not said otherwise."""
    opening = {"format": "data-sync-export", "models": list(models), "protocol": 1}
    text = "".join(f"{line}\n" for line in (json.dumps(opening, separators=(",", ":")), *lines)).encode()
    if counts is None:
        counts = dict.fromkeys(models, 0) | ({models[0]: len(lines)} if models else {})
    closing = {"counts": counts, "digest": checksum(text), "end": True}
    return text + json.dumps(closing, separators=(",", ":"), sort_keys=True).encode() + b"\n"


def members(
    head: dict[str, Any] | None = None,
    records: bytes | None = None,
    outside: bytes = b"",
    files: Iterable[bytes] = (),
) -> list[Member]:
    """Those of a sound bundle, without the closing one."""
    head = HEAD if head is None else head
    return [
        ("bundle.json", json.dumps(head).encode()),
        ("records.jsonl", stream(head["models"]) if records is None else records),
        ("outside.jsonl", outside),
        *sorted((f"files/{hashlib.sha256(content).hexdigest()}", content) for content in files),
    ]


def closing(of: Sequence[Member]) -> Member:
    """What proves that these are all."""
    lines = "".join(f"{name}\n{len(content)}\n{checksum(content)}\n" for name, content in of)
    document = {
        "digest": checksum(lines.encode()),
        "end": True,
        "files": len(of) - 3,
        "format": "data-sync-bundle",
        "members": {name: {"checksum": checksum(content), "size": len(content)} for name, content in of[:3]},
    }
    return "closing.json", json.dumps(document).encode()


def zipped(of: Iterable[Member], alter: Callable[[zipfile.ZipInfo], None] = lambda info: None) -> bytes:
    """`alter` may do so with each member's entry before it is written."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in of:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_STORED if name.startswith("files/") else zipfile.ZIP_DEFLATED
            alter(info)
            archive.writestr(info, content)
    return file.getvalue()


def bundle(**given: Any) -> bytes:
    """A sound bundle; `given` as for `members`."""
    of = members(**given)
    return zipped([*of, closing(of)])


def bundle_of_source(path: Path, *options: str) -> Path:
    """A bundle of what the source has; fails where it could not be made."""
    from tests.environments import child

    made = child("tests.bundling", str(path), *options, DATA_SYNC_TEST_CHILD="source")
    said, _ = made.communicate(timeout=60)
    assert made.returncode == 0, said
    return path


def main(arguments: Sequence[str]) -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("data_sync", "bundle", *arguments, "--json")


if __name__ == "__main__":
    import os

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    main(sys.argv[1:])
