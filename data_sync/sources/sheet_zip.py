"""Spreadsheets that are zip files (XLSX, ODS): what they may inflate to, before a library looks into them."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from typing import IO

from data_sync.core.errors import MalformedSheet

MAX_MEMBERS = 2_000
MAX_INFLATED = 2**30
"""Of the sheets, which are read piece by piece."""
MAX_BESIDE = 64 * 2**20
"""Of everything else together that a library holds: texts, styles."""
MAX_TAGS = 4_000_000
"""Of these. Read, a tag takes some hundred bytes."""
_BLOCK = 1 << 18


def open_zip(file: IO[bytes], sheets: str) -> zipfile.ZipFile:
    """The zip, if it is harmless. Members whose names begin with `sheets` are those that are read piece by piece.

    No member gives more than the size it is listed with, so that the sum bounds what is read. Raises `MalformedSheet`.
    """
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile:
        raise MalformedSheet(
            "It is no spreadsheet of this format, or was cut. Is the format the right one? Is the file protected by a "
            "password? Save it again."
        ) from None
    members = archive.infolist()
    names = {member.filename for member in members}
    if len(members) > MAX_MEMBERS or len(names) != len(members):
        raise MalformedSheet("Its zip has thousands of members, or two of one name. Save it again.")
    if any(member.flag_bits & 1 for member in members):
        raise MalformedSheet("It is encrypted. Save it without a password.")
    inflated = beside = tags = 0
    for member in members:
        if member.filename.startswith(sheets):
            inflated += member.file_size
        elif member.filename.endswith((".xml", ".rels")):
            beside += member.file_size
            if beside <= MAX_BESIDE:
                tags += sum(block.count(b"<") for block in blocks(archive, member.filename))
        if inflated > MAX_INFLATED or beside > MAX_BESIDE or tags > MAX_TAGS:
            raise MalformedSheet(
                f"{member.filename[:100]} inflates to more than is read of a spreadsheet. Split it into several files."
            )
    return archive


def blocks(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    with archive.open(name) as member:
        while block := member.read(_BLOCK):
            yield block
