"""How an exported changeset is laid out, and a reader that holds one line of it.

    {"changes":[
    {…},
    {…}
    ],"changeset":{…},"events":[
    {…}
    ],"format":"data-sync-changeset","format_version":"1.0","proof":{"digest":"sha256:…","key":null,"mac":null}}

The whole is canonical JSON but for the line feed after each item, so there is one way to write a document, and no byte
of it that could be another. `proof` is about every byte before it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from typing import IO, Any, NamedTuple

from . import canonical
from .errors import IncompleteStream, InvalidInput, MalformedStream

FORMAT = "data-sync-changeset"
FORMAT_VERSION = "1.0"
MAX_LINE = 128 * 10**6
"""Bytes of one change or event: several records of the most that one may have."""
MAX_VALUES = 8 * canonical.MAX_VALUES
_TAIL = 1 << 16
_VERSION = re.compile(r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})")
_ITEM = {"changes": "change", "events": "event"}


class Part(NamedTuple):
    """An item of a section ("changes", "events"), or, with the section "", members of the document itself."""

    section: str
    value: Any


class Proof(NamedTuple):
    """What the document says of itself, and the digest of every byte before that."""

    digest: str
    key: str | None
    mac: str | None
    before: str


def proof_text(digest: str, key: str | None, mac: str | None) -> str:
    """The end of a document."""
    return f',"proof":{canonical.dumps({"digest": digest, "key": key, "mac": mac})}}}\n'


def check_version(file: IO[bytes]) -> None:
    """Raises `InvalidInput` for a file that says of itself that it is something else, or of a major version that is not
    known here: what that means cannot be told. Leaves the file at its beginning; one that says nothing is let pass."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL))
    *_, last = file.read(_TAIL).strip().split(b"\n") or [b""]
    file.seek(0)
    begin = file.read(4)
    file.seek(0)
    if begin == b"PK\x03\x04":
        raise InvalidInput("This is a zip file. Unpack it, and verify each of the exports in it by itself.")
    if size == 0 or (begin[:1] != b"{" and not last.startswith(b"],")):
        raise InvalidInput("This is no exported changeset: neither its beginning nor its end is one's.")
    try:
        members = json.loads(b"{" + last.removeprefix(b"],"))
    except (ValueError, RecursionError):
        return
    if isinstance(members, dict):
        check_format(members)


def check_format(members: dict[str, Any]) -> None:
    """Raises `InvalidInput`."""
    version = members.get("format_version")
    match = _VERSION.fullmatch(version) if isinstance(version, str) else None
    if members.get("format") != FORMAT or match is None:
        raise InvalidInput("This is no exported changeset: it does not say that it has the format data-sync-changeset.")
    if match[1] != FORMAT_VERSION.partition(".")[0]:
        raise InvalidInput(
            f"It has version {version} of the format, and only {FORMAT_VERSION.partition('.')[0]}.x is known here: "
            "verify it with a later data_sync."
        )


def lines_of(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file, none held longer than it takes. Raises `MalformedStream` for one of more than `MAX_LINE`."""
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise MalformedStream(f"line {number} is longer than {MAX_LINE:,} bytes, the most that is read")
        yield line


class DocumentReader:
    """Reads a document once, line by line. Iterate for its parts; `proof` is set at the end.

    `place` names in words what is being read. Raises `MalformedStream` for what is not laid out as above, and
    `InvalidInput` for another format or major version.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = lines
        self._section: str | None = None
        self._names: list[str] = []
        self._items = 0
        self.place = "line 1"
        self.proof: Proof | None = None

    def __iter__(self) -> Iterator[Part]:
        sha = hashlib.sha256()
        is_more = False  # Whether a comma has announced another item.
        members: dict[str, Any] = {}
        for number, line in enumerate(self._lines, start=1):
            self.place = f"line {number}"
            if self.proof is not None:
                raise MalformedStream("there is more after the document's end")
            if line[-1:] != b"\n":
                raise IncompleteStream("it ends in the middle")
            text = self._decoded(line)
            if self._section is not None and not text.startswith("]"):
                if self._items and not is_more:
                    raise MalformedStream("there is no comma before it")
                self._items += 1
                self.place += self._item_name()
                is_more = text.endswith(",")
                yield Part(self._section, _loaded(text[:-1] if is_more else text))
                sha.update(line)
                continue
            if is_more:
                raise MalformedStream("there is a comma, and nothing follows")
            part = self._members(text, is_first=number == 1)
            members |= {name: value for name, value in part.items() if name in ("format", "format_version")}
            if text.endswith("["):
                self._section, self._items = self._names[-1], 0
                part.pop(self._section)
                sha.update(line)
            else:
                self._section = None
                self.proof = self._proof(text, part.pop("proof", None), sha)
            yield Part("", part)
        if self.proof is None:
            raise IncompleteStream("it ends before its last part, the proof")
        check_format(members)

    def _item_name(self) -> str:
        name = _ITEM.get(self._section or "")
        return f" ({name} {self._items} in order)" if name else ""

    def _decoded(self, line: bytes) -> str:
        try:
            return line[:-1].decode()
        except UnicodeDecodeError:
            raise MalformedStream("it is not UTF-8") from None

    def _members(self, text: str, *, is_first: bool) -> dict[str, Any]:
        """The members of the document that a line has, which closes a section and may open the next."""
        if not is_first and (self._section is None or not text.startswith("],")):
            raise MalformedStream("it is no line of an exported changeset")
        body = text if is_first else "{" + text[2:]
        members = _loaded(body + "]}" if text.endswith("[") else body)
        if not isinstance(members, dict) or not members:
            raise MalformedStream("it is no line of an exported changeset")
        if [*self._names, *members] != sorted({*self._names, *members}):
            raise MalformedStream("its members are not in canonical order, or there are two of a name")
        self._names += members
        return members

    def _proof(self, text: str, stated: Any, sha: Any) -> Proof:
        is_proof = (
            isinstance(stated, dict)
            and isinstance(stated.get("digest"), str)
            and all(name in stated and isinstance(stated[name], str | None) for name in ("key", "mac"))
        )
        end = f',"proof":{canonical.dumps(stated)}}}'
        if not is_proof or not text.endswith(end):
            raise MalformedStream("the document does not end with its proof")
        sha.update(text[: -len(end)].encode())
        return Proof(stated["digest"], stated["key"], stated["mac"], "sha256:" + sha.hexdigest())


def _loaded(text: str) -> Any:
    canonical.check_values(text, MAX_VALUES)
    return canonical.loads_canonical(text)
