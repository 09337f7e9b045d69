"""Records: one row in plain JSON form, its canonical text and its digest."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from . import canonical
from .equality import same
from .errors import MalformedStream

Key = tuple[Any, ...]
MISSING = "missing"
MAX_SIZE = (1 << 63) - 1
_CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}|missing")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileValue:
    """A file as its record describes it. `checksum` is `sha256:<hex>`, `size` is in bytes.

    A row may name a file that its storage does not have: the checksum is then `MISSING`, the size 0.
    """

    name: str
    size: int
    checksum: str

    def to_plain(self) -> dict[str, Any]:
        return {"name": self.name, "size": self.size, "checksum": self.checksum}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One row. `fields` holds JSON-plain values, references as natural keys (lists).

    What the digest covers is the canonical array `[model, key, fields, files]`, where a file is
    `{"checksum", "size"}`: storages rename files, so a name makes no difference. `carried` values
    (`auto_now` columns) and file names travel with the record outside that array.
    """

    model: str
    key: Key
    fields: Mapping[str, Any]
    files: Mapping[str, FileValue | None] = field(default_factory=dict)
    carried: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key_text(self) -> str:
        """The canonical text of the key: what keys are compared and looked up by."""
        return canonical.dumps(list(self.key))

    @property
    def name(self) -> str:
        """The record in messages: model and key."""
        return f"{self.model} {self.key_text}"

    def canonical(self) -> str:
        return canonical_record(self.model, self.key, self.fields, self.files)

    def digest(self) -> str:
        return canonical.digest(self.canonical())

    def line(self) -> str:
        """`[{"carried":…,"names":…},[model,key,fields,files]]`, without end of line."""
        beside: dict[str, Any] = {}
        if self.carried:
            beside["carried"] = self.carried
        names = {name: value.name for name, value in self.files.items() if value is not None}
        if names:
            beside["names"] = names
        return f"[{canonical.dumps(beside)},{self.canonical()}]"


def canonical_record(
    model: str, key: Key, fields: Mapping[str, Any], files: Mapping[str, FileValue | None], *leaves: str
) -> str:
    """The text that a record's digest is the SHA-256 of; `leaves` stand for fields that are hashed apart."""
    covered = {
        name: None if value is None else {"checksum": value.checksum, "size": value.size}
        for name, value in files.items()
    }
    return canonical.dumps([model, list(key), fields, covered, *leaves])


def new_files(before: Record | None, after: Record | None) -> dict[str, FileValue]:
    """The files that a write needs the bytes of, by field: those with another checksum than before."""
    if after is None:
        return {}
    old = {} if before is None else before.files
    return {
        name: file
        for name, file in after.files.items()
        if file is not None and file.checksum not in (MISSING, getattr(old.get(name), "checksum", None))
    }


def differing(one: Record, other: Record, *, with_files: bool = True) -> list[str]:
    """Names of the fields and files in which two records of a row differ."""
    names = [name for name, value in one.fields.items() if not same(value, other.fields.get(name))]
    for name, file in one.files.items() if with_files else ():
        theirs = other.files.get(name)
        if (file and (file.checksum, file.size)) != (theirs and (theirs.checksum, theirs.size)):
            names.append(name)
    return names


def keeping(after: Record, before: Record, names: Collection[str]) -> Record:
    """The record that an update leads to of which some fields and files stay as they were before."""
    return replace(
        after,
        fields={name: before.fields[name] if name in names else value for name, value in after.fields.items()},
        files={name: before.files[name] if name in names else value for name, value in after.files.items()},
    )


def check_sizes(before: Record | None, after: Record | None) -> None:
    """Raises `MalformedStream` where a file has the checksum that it has here, but not the size.

    It would be an update with nothing to show, and no bytes would be fetched that could give the lie to it.
    """
    if before is None or after is None:
        return
    for name, file in after.files.items():
        old = before.files.get(name)
        if file is not None and old is not None and file.checksum == old.checksum and file.size != old.size:
            raise MalformedStream(
                f"The record {after.name} gives {name} {file.size} bytes, but the file with its checksum, which is "
                f"here, has {old.size}. Mend the source, then pull again."
            )


def key_text(key: Key) -> str:
    """A key for people to read: its parts joined by " · ". Not for comparing."""
    return " · ".join("∅" if part is None else str(part) for part in key)


@dataclass(frozen=True, slots=True)
class RecordText:
    """A record as it travels: the JSON of what stands beside it, and its canonical text."""

    beside: str
    canonical: str

    def digest(self) -> str:
        return canonical.digest(self.canonical)

    def record(self) -> Record:
        """The record, strictly parsed. Raises `MalformedStream`; a text that is not canonical is refused."""
        beside, body = canonical.loads(self.beside), canonical.loads(self.canonical)
        if canonical.dumps(body) != self.canonical:
            raise MalformedStream("the record is not in canonical form")
        if not beside.keys() <= {"carried", "names"}:
            raise MalformedStream("it has more beside the record than carried values and names")
        match body:
            case [str(model), list(key), dict(fields), dict(files)]:
                names = _plain_values(beside.get("names", {}))
                if not all(isinstance(name, str) for name in names.values()):
                    raise MalformedStream("the names of its files are not texts")
                return Record(
                    model=model,
                    key=tuple(key),
                    fields=fields,
                    files={name: _file(name, value, names) for name, value in files.items()},
                    carried=_plain_values(beside.get("carried", {})),
                )
            case _:
                raise MalformedStream("the record is not [model, key, fields, files]")


def split_line(line: str) -> RecordText:
    """The two halves of a line. Raises `MalformedStream`, also for one that holds too many values to be read."""
    canonical.check_values(line)
    try:
        _, end = canonical.raw_decode(line, 1)
    except (ValueError, RecursionError):
        raise MalformedStream("it is not a record line") from None
    if line[:2] != "[{" or line[end : end + 2] != ",[" or line[-2:] != "]]":
        raise MalformedStream("it is not a record line")
    return RecordText(line[1:end], line[end + 1 : -1])


def _plain_values(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or any(isinstance(member, list | dict) for member in value.values()):
        raise MalformedStream("what stands beside the record is not an object of plain values")
    return value


def _file(name: str, value: Any, names: dict[str, str]) -> FileValue | None:
    match value:
        case None:
            return None
        case {"checksum": str(checksum), "size": int(size)} if (
            len(value) == 2
            and not isinstance(size, bool)
            and 0 <= size <= (0 if checksum == MISSING else MAX_SIZE)
            and _CHECKSUM.fullmatch(checksum)
        ):
            return FileValue(name=names.get(name, ""), size=size, checksum=checksum)
        case _:
            raise MalformedStream(f"the file {name!r} is not described by checksum and size")
