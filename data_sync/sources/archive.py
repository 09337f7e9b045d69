"""A zip file from outside, as a bundle is one: looked at strictly before any of it is inflated.

Nothing is extracted, and no name of a member is ever a path. Whatever a hostile file says of itself, memory is taken
for at most `MAX_MEMBERS` entries and a block of bytes.
"""

from __future__ import annotations

import hashlib
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import IO

from data_sync.core import bundle
from data_sync.core.bundle import ANEW, CLOSING, HEAD, MAX_FILES, NOT_OURS, OUTSIDE, RECORDS, is_file_member, malformed

BLOCK = 1 << 16
MAX_MEMBERS = MAX_FILES + 4
_MAX_ENTRY = 46 + 80 + 64
"""Bytes of a member's entry in the directory: its fixed part, the longest name, and what zip64 adds."""
_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCAL = struct.Struct("<4s5H3L2H")
_ENCRYPTED, _UTF8 = 0x1, 0x800
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    struct.error,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    UnicodeError,
)


class Archive:
    """The members of a bundle, in an open file that is at least as long as it lives. For one thread at a time.

    Raises `MalformedBundle` for a file that is not made up as bundles are: other members, another order, anything
    between, before or after them, encryption, links, or a compression that bundles do not have.
    """

    def __init__(self, file: IO[bytes], max_bytes: int) -> None:
        self._file = file
        with _told(""):
            directory_at = _directory_at(file)
            self._zip = zipfile.ZipFile(file)
        self._infos = self._zip.infolist()
        self._check_names()
        place = 0
        for info in self._infos:
            _check_entry(info, max_bytes)
            place = self._end_of(info, place)
        if place != directory_at or self._zip.comment:
            raise malformed("", "there is something between its members and its directory")

    @property
    def members(self) -> dict[str, zipfile.ZipInfo]:
        """By name, in order."""
        return self._zip.NameToInfo

    def has(self, name: str) -> bool:
        return name in self._zip.NameToInfo

    def document(self, name: str, most: int, checksum: str = "") -> bytes:
        """A member that is small. Raises `MalformedBundle` also where it has more than `most` bytes."""
        size = self._zip.NameToInfo[name].file_size
        if size > most:
            raise malformed(name, f"it has {size} bytes, and at most {most} are read")
        return b"".join(self.blocks(name, checksum))

    def blocks(self, name: str, checksum: str = "") -> Iterator[bytes]:
        """A member's bytes, as many as its entry says, in blocks of at most 64 KiB.

        Raises `MalformedBundle`, also at the end where they do not have this checksum (`sha256:<hex>`), if it is given.
        """
        sha = hashlib.sha256()
        with _told(name):
            member = self._zip.open(name)
        left = self._zip.NameToInfo[name].file_size
        with member:
            while True:
                with _told(name):
                    block = member.read(BLOCK)
                if not block:
                    break
                left -= len(block)
                sha.update(block)
                yield block
        if left:
            raise malformed(name, f"{left} of the bytes that its entry promises are not there")
        if checksum and checksum != f"sha256:{sha.hexdigest()}":
            raise malformed(name, f"it has the checksum sha256:{sha.hexdigest()} instead of {checksum}")

    def _check_names(self) -> None:
        names = [info.orig_filename for info in self._infos]
        if not names or names[0] != HEAD:
            raise malformed("", f"it does not begin with {HEAD}", NOT_OURS)
        for number, expected in enumerate((HEAD, RECORDS, OUTSIDE)):
            if names[number : number + 1] != [expected]:
                raise malformed(expected, "it is not where it belongs")
        if names[-1] != CLOSING:
            raise malformed(CLOSING, "it is not the last one, so the bundle is not whole")
        for name in names[3:-1]:
            if not is_file_member(name):
                raise malformed(name, "bundles have no such member")
        for one, following in pairwise(names[3:-1]):
            if one >= following:
                raise malformed(following, "it is there twice, or not in its place")

    def _end_of(self, info: zipfile.ZipInfo, place: int) -> int:
        """Where a member ends that has to begin at a place. Its own header must say what the directory says."""
        name = info.orig_filename
        self._file.seek(place)
        with _told(name):
            head = _LOCAL.unpack(self._file.read(_LOCAL.size))
        magic, _, flags, method, _, _, crc, compressed, size, length, extra = head
        own = self._file.read(length)
        if info.header_offset != place or magic != b"PK\x03\x04" or own != name.encode():
            raise malformed(name, "it does not begin where the one before it ends")
        # Sizes that stand in the zip64 part are all ones here.
        is_same = (crc, method) == (info.CRC, info.compress_type) and all(
            one in (other, 0xFFFFFFFF) for one, other in ((compressed, info.compress_size), (size, info.file_size))
        )
        if flags & ~_UTF8 or not is_same:
            raise malformed(name, "its own header and the directory do not say the same of it")
        end: int = place + _LOCAL.size + length + extra + info.compress_size
        return end


def _check_entry(info: zipfile.ZipInfo, max_bytes: int) -> None:
    name = info.orig_filename
    mode = info.external_attr >> 16
    if info.flag_bits & _ENCRYPTED:
        raise malformed(name, "it is encrypted")
    if info.flag_bits & ~_UTF8:
        raise malformed(name, f"it has the flags {info.flag_bits:#x}, which bundles do not set")
    if mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
        raise malformed(name, "it is a link or a device, and no file")
    is_file = is_file_member(name)
    is_stored = info.compress_type == zipfile.ZIP_STORED
    possible = {zipfile.ZIP_STORED} if is_file else {zipfile.ZIP_DEFLATED}
    if info.compress_type not in possible | ({zipfile.ZIP_STORED} if name == RECORDS else set()):
        raise malformed(name, f"it is compressed in a way ({info.compress_type}) that bundles do not have")
    if is_stored and info.compress_size != info.file_size:
        raise malformed(name, "it is stored as it is, but has two sizes")
    if info.file_size > max_bytes:
        raise malformed(
            name,
            f"it has {info.file_size} bytes, and at most {max_bytes} are read",
            "Bundle fewer models, or raise DATA_SYNC_MAX_STREAM_BYTES",
        )
    if bundle.swells(info.file_size, info.compress_size):
        raise malformed(name, f"it would swell to more than {bundle.MAX_RATIO} times its size")


def _directory_at(file: IO[bytes]) -> int:
    """Where the list of members begins. Raises `MalformedBundle` before it is read where it is too long."""
    size = file.seek(0, 2)
    file.seek(0)
    if file.read(4) != b"PK\x03\x04":
        raise malformed("", "it is no zip file with members", NOT_OURS)
    if size < _END.size:
        raise malformed("", "it is cut short")
    file.seek(size - _END.size)
    magic, disk, first, here, entries, length, at, comment = _END.unpack(file.read(_END.size))
    if magic != b"PK\x05\x06" or comment:
        raise malformed("", "it does not end as bundles do: it is cut short, or something was added")
    end = size - _END.size
    if 0xFFFF in (here, entries) or 0xFFFFFFFF in (length, at):
        end -= _LOCATOR.size + _END64.size
        if end < 0:
            raise malformed("", "it is cut short")
        file.seek(end)
        magic, rest, _, _, disk, first, here, entries, length, at = _END64.unpack(file.read(_END64.size))
        locator, _, place, disks = _LOCATOR.unpack(file.read(_LOCATOR.size))
        if (magic, rest, locator, place, disks) != (b"PK\x06\x06", 44, b"PK\x06\x07", end, 1):
            raise malformed("", "its end cannot be read")
    if disk or first or here != entries:
        raise malformed("", "it is one part of several")
    if entries > MAX_MEMBERS:
        raise malformed("", f"it has {entries} members, and at most {MAX_MEMBERS} are read", "Bundle fewer models")
    if length > entries * _MAX_ENTRY or at + length != end:
        raise malformed("", "its list of members is not as bundles have it")
    return int(at)


@contextmanager
def _told(name: str) -> Iterator[None]:
    """What the library raises for a file that is not sound, as an error of ours."""
    reason = ""
    try:
        yield
    except _UNREADABLE as error:
        reason = str(error)[:200].rstrip(".") or type(error).__name__
    if reason:
        raise malformed(name, reason, ANEW)
