"""The bundle format: a source in a zip file, which proves its own completeness.

    bundle.json      what it is, when and by whom it was made, and the manifest of the models
    records.jsonl    every record in scope, as one stream of `core.wire`
    outside.jsonl    a hash of each key that only rows out of scope have: ["app.copy","<hex>"]
    files/<sha256>   the bytes of each file that a record names, ascending
    closing.json     size and checksum of the first three, the number of files, and a digest over all members

Members stand in this order, one after the other, without anything between them. The digest is over a line for each
member before the closing one: its name, size and checksum. What a member is called says where it stands in the bundle,
and nothing about where it is put: nothing is ever extracted.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from . import canonical
from .equality import same
from .errors import MalformedBundle, MalformedStream
from .manifest import Manifest, parse_manifest

FORMAT = "data-sync-bundle"
FORMAT_VERSION = "1.0"
HEAD, RECORDS, OUTSIDE, CLOSING = "bundle.json", "records.jsonl", "outside.jsonl", "closing.json"
FILES = "files/"
MAGIC = b"PK\x03\x04"
"""What a zip file with members begins with; `HEAD`, the first one's name, follows at `NAME_AT`."""
NAME_AT = 30
MAX_DOCUMENT = 8 << 20
"""Bytes of one of the two documents."""
MAX_FILES = 100_000
"""So many files a bundle has at most: the list of a zip file's members is read into memory."""
MAX_RATIO = 250
"""So many times its compressed size a member may have, once it has more than `ANY_RATIO` bytes. Records of rows come to
a tenth of that; what bombs are made of, to four times. Records that would come to more are not compressed."""
ANY_RATIO = 16 << 20
_FILE = re.compile(FILES + "[0-9a-f]{64}")


def is_bundle(start: bytes) -> bool:
    """Whether a file that begins so is meant to be a bundle: `NAME_AT` bytes and the name of `HEAD` tell."""
    return start.startswith(MAGIC) and start[NAME_AT : NAME_AT + len(HEAD)] == HEAD.encode()


def file_member(checksum: str) -> str:
    """The member with the bytes of a file, by its `sha256:<hex>`."""
    return FILES + checksum.removeprefix("sha256:")


def swells(size: int, compressed: int) -> bool:
    """Whether a member of these sizes is taken for a bomb."""
    return size > ANY_RATIO and size > MAX_RATIO * compressed


def is_file_member(name: str) -> bool:
    return _FILE.fullmatch(name) is not None


def key_hash(key_text: str) -> str:
    """What `OUTSIDE` has of a key, given as canonical text."""
    return hashlib.sha256(key_text.encode()).hexdigest()


class Closing:
    """What the closing member says, added up while members are written or looked at."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256()
        self._members: dict[str, dict[str, Any]] = {}
        self._files = 0

    def add(self, name: str, size: int, checksum: str) -> None:
        """A member, in its turn. `checksum`: `sha256:<hex>`."""
        self._sha.update(f"{name}\n{size}\n{checksum}\n".encode())
        if name in (HEAD, RECORDS, OUTSIDE):
            self._members[name] = {"checksum": checksum, "size": size}
        else:
            self._files += 1

    def to_plain(self) -> dict[str, Any]:
        return {
            "digest": f"sha256:{self._sha.hexdigest()}",
            "end": True,
            "files": self._files,
            "format": FORMAT,
            "members": self._members,
        }


def head_document(
    manifest: Manifest, *, made_at: str, made_by: str, version: str, has_files: bool, has_all: bool
) -> dict[str, Any]:
    """`HEAD`'s document. `manifest` lists its models in the order of the records. `has_all`: they are all that are
    registered there, so that a model which it lacks is one that its maker does not have."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "made_at": made_at,
        "made_by": made_by,
        "version": version,
        "models": list(manifest.models),
        "has_all": has_all,
        "has_files": has_files,
        "manifest": manifest.to_plain(),
    }


class Head:
    """What `HEAD`'s document says. Raises `MalformedBundle` for anything else, or another major version."""

    def __init__(self, text: bytes) -> None:
        document = _document(HEAD, text)
        version = document.get("format_version")
        if document.get("format") != FORMAT or not isinstance(version, str):
            raise malformed(HEAD, "it does not say that this is a data_sync bundle", NOT_OURS)
        if version.partition(".")[0] != FORMAT_VERSION.partition(".")[0]:
            raise malformed(
                HEAD,
                f"the bundle has version {version[:20]}, and this side reads {FORMAT_VERSION}",
                "Install the same data_sync on both sides",
            )
        models = document.get("models")
        if not isinstance(models, list) or not all(isinstance(label, str) for label in models):
            raise malformed(HEAD, "it does not say which models there are", ANEW)
        try:
            self.manifest = parse_manifest(document.get("manifest"))
        except MalformedStream as error:
            raise malformed(HEAD, f"its manifest cannot be used: {str(error).rstrip('.')}", ANEW) from None
        if len(set(models)) != len(models) or set(models) != set(self.manifest.models):
            raise malformed(HEAD, "its models are not those of its manifest", ANEW)
        self.models: tuple[str, ...] = tuple(models)
        self.has_all = document.get("has_all") is True
        self.has_files = document.get("has_files") is True
        self.made_by = str(document.get("made_by", ""))[:200]
        self.made_at = str(document.get("made_at", ""))[:40]


def refuse_other_closing(text: bytes, found: Closing) -> None:
    """Raises `MalformedBundle` unless the closing member says what was found; more it may say, too."""
    said, is_so = _document(CLOSING, text), found.to_plain()
    if not all(name in said and same(said[name], value) for name, value in is_so.items()):
        raise malformed(CLOSING, "the members are not those that it lists: the bundle was altered", ANEW)


def checksums_of(closing: bytes) -> dict[str, str]:
    """The checksums of the first three members. Raises `MalformedBundle`."""
    match _document(CLOSING, closing).get("members"):
        case {
            "bundle.json": {"checksum": str(head)},
            "records.jsonl": {"checksum": str(records)},
            "outside.jsonl": {"checksum": str(outside)},
        }:
            return {HEAD: head, RECORDS: records, OUTSIDE: outside}
    raise malformed(CLOSING, "it does not give the members' checksums", ANEW)


ANEW = "Make the bundle anew (data_sync bundle), and carry it over whole"
NOT_OURS = "Give a file that data_sync bundle has made; for a spreadsheet, name its model"


def malformed(member: str, reason: str, remedy: str = ANEW) -> MalformedBundle:
    """`member` may be a name from outside, or "" for the file as a whole."""
    place = f"The bundle's member {member[:100]!r}" if member else "The bundle"
    return MalformedBundle(f"{place} cannot be used: {reason}. {remedy}.")


def _document(name: str, text: bytes) -> dict[str, Any]:
    try:
        document = canonical.loads_bounded(text.decode())
    except (UnicodeDecodeError, MalformedStream) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error).rstrip(".")
        raise malformed(name, reason) from None
    if not isinstance(document, dict):
        raise malformed(name, "it is no JSON object")
    return document
