"""A bundle is read as another environment is; a hostile zip file ends in a typed error, soon and small."""

from __future__ import annotations

import hashlib
import io
import json
import re
import stat
import struct
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from data_sync.core.errors import DataSyncError, MalformedBundle, MalformedStream
from data_sync.core.source import Request
from data_sync.core.wire import StreamReader
from data_sync.sources.bundle import BundleSource
from tests.bundling import HEAD, bundle, closing, members, stream, zipped

from .test_bombs import MEBIBYTES, SPARE, reader
from .test_fuzz import fuzz, mutants

__all__ = ["reader"]

TAG, NOTE = "app.tag", "app.note"
LINES = ['[{},["app.tag",["a"],{"name":"a"},{}]]', '[{},["app.tag",["b"],{"name":"b"},{}]]']
NOTES = ['[{"carried":{"at":"x"},"names":{"file":"n"}},["app.note",[1],{"text":"é","to":["a"]},{"file":null}]]']
MODEL = {"key": ["name"], "fields": {"name": {"type": "CharField"}}, "files": {}, "count": 2, "scoped": True}
BOTH = HEAD | {"models": [TAG, NOTE], "manifest": HEAD["manifest"] | {"models": {TAG: MODEL, NOTE: MODEL}}}
FILE = bytes(range(156, 256))
HASH = hashlib.sha256(FILE).hexdigest()
GIVEN: dict[str, Any] = {
    "head": BOTH,
    "records": stream([TAG, NOTE], *LINES, *NOTES, counts={TAG: 2, NOTE: 1}),
    "outside": f'["app.tag","{hashlib.sha256(b"""["c"]""").hexdigest()}"]\n'.encode(),
    "files": [FILE],
}
SOUND = bundle(**GIVEN)


def read(content: bytes, models: tuple[str, ...] = (TAG, NOTE), **omitted: tuple[str, ...]) -> Any:
    """All that a bundle can be asked for."""
    source = BundleSource(io.BytesIO(content))
    request = Request(models=models, omitted={label.replace("_", "."): names for label, names in omitted.items()})
    manifest = source.manifest()
    with source.stream(request) as blocks:
        lines = [line.decode() for some in StreamReader(blocks, models, 1000, 10_000) for _, line in some]
    outside = source.outside(TAG, ['["b"]', '["c"]'])
    with source.open_file(f"sha256:{HASH}") as blocks:
        file = b"".join(blocks)
    assert hashlib.sha256(file).hexdigest() == HASH or file != FILE  # Who reads it hashes it.
    source.close()
    return manifest, lines, outside, file


def test_a_bundle_gives_what_it_was_given() -> None:
    manifest, lines, outside, file = read(SOUND)
    assert manifest.answers and not manifest.lists and list(manifest.models) == [TAG, NOTE]
    assert (lines, outside, file) == ([*LINES, *NOTES], {'["c"]'}, FILE)


def test_it_leaves_out_what_it_is_asked_to_leave_out() -> None:
    assert read(SOUND, (NOTE, TAG))[1] == [*LINES, *NOTES]
    assert read(SOUND, (TAG,))[1] == LINES
    _, [line], *_ = read(SOUND, (NOTE,), app_note=("to", "file", "at"))
    assert line == '[{},["app.note",[1],{"text":"é"},{}]]'


# What is altered on its way


def test_a_bundle_that_is_cut_anywhere_is_refused() -> None:
    for size in range(len(SOUND)):
        with pytest.raises(MalformedBundle, match=r"Make the bundle anew|Give a file"):
            BundleSource(io.BytesIO(SOUND[:size]))


def test_a_byte_that_is_flipped_makes_no_other_bundle() -> None:
    """Times and the like, which nobody reads, may be others."""
    sound, unread = read(SOUND), 0
    for place, byte in enumerate(SOUND):
        try:
            found = read(SOUND[:place] + bytes([byte ^ 0x41]) + SOUND[place + 1 :])
        except DataSyncError:
            continue
        assert found == sound, place
        unread += 1
    assert unread < len(SOUND) // 10


@fuzz
@given(mutants([SOUND]))
def test_a_bundle_is_one_or_is_refused(content: bytes) -> None:
    try:
        found = read(content)
    except DataSyncError:
        return
    assert found == read(SOUND)


# What is made to do harm

OF = members(**GIVEN)
SEALED = [*OF, closing(OF)]


def alters(name: str, **values: Any) -> Callable[[zipfile.ZipInfo], None]:
    def alter(info: zipfile.ZipInfo) -> None:
        if info.filename == name:
            for attribute, value in values.items():
                setattr(info, attribute, value)

    return alter


def sealed(of: list[tuple[str, bytes]]) -> bytes:
    return zipped([*of, closing(of)])


def with_head(**values: Any) -> bytes:
    return bundle(**GIVEN | {"head": BOTH | values})


def renamed(old: str, new: str) -> bytes:
    """A member's name, everywhere that it stands; of the same length."""
    assert len(old) == len(new)
    return SOUND.replace(old.encode(), new.encode())


def patched(content: bytes, name: str, offset: int, form: str, value: int) -> bytes:
    """A number in a member's entry of the directory, at an offset."""
    at = content.rindex(b"PK\x01\x02", 0, content.rindex(name.encode())) + offset
    packed = struct.pack(form, value)
    return content[:at] + packed + content[at + len(packed) :]


def ended(entries: int, size: int = 0, at: int = 0) -> bytes:
    """An end of a zip file that says so, after a sound beginning."""
    return SOUND[:-22] + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, entries, entries, size, at, 0)


def ended_64(entries: int) -> bytes:
    end = SOUND[:-22]
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, entries, entries, 1 << 40, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(end), 1)
    return end + record + locator + ended(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)[-22:]


def overlapping() -> bytes:
    """A member that lies within another one, as those of the bombs do that swell most."""
    with zipfile.ZipFile(io.BytesIO(SOUND)) as archive:
        start, end = (archive.getinfo(name).header_offset for name in ("outside.jsonl", f"files/{HASH}"))
    inner = SOUND[start:end]
    outer = bundle(**GIVEN | {"files": [inner]})
    return patched(outer, "outside.jsonl", 42, "<L", outer.rindex(inner))


ZEROS = b"\0" * (1 << 20)


def gigabyte() -> bytes:
    """A member of 1 GB of zeros, in a megabyte."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(*OF[0])
        with archive.open("records.jsonl", "w") as member:
            for _ in range(1000):
                member.write(ZEROS)
        for name, content in SEALED[2:]:
            archive.writestr(name, content, zipfile.ZIP_STORED if name.startswith("files/") else None)
    return file.getvalue()


def zeros(count: int) -> bytes:
    """Below what is refused by its size alone: the line is too long to be one."""
    return bundle(**GIVEN | {"records": b"\0" * count})


def forty_two() -> bytes:
    """Zip files within zip files."""
    inner = zipped([(f"lib {number}.zip", zipped([("0.dll", ZEROS)])) for number in range(16)])
    return zipped([(f"book {number}.zip", inner) for number in range(16)])


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "no zip file"),
    "no zip file": (lambda: b"name,price\n" * 10, "no zip file"),
    "a zip file without members": (lambda: zipped([]), "no zip file"),
    "another zip file": (lambda: zipped([("xl/workbook.xml", b"<a/>")]), "does not begin with bundle.json"),
    "zip files within zip files": (forty_two, "does not begin with bundle.json"),
    "a path upwards": (lambda: renamed(f"files/{HASH}", f"../../etc/{HASH[4:-1]}x"[:70]), "no such member"),
    "a path from the root": (lambda: renamed(f"files/{HASH}", f"/tmp/x{HASH}"), "no such member"),
    "a name with NUL": (lambda: renamed(f"files/{HASH}", f"files/{HASH[:-1]}\0"), "cannot be used"),
    "a member more": (lambda: sealed([*OF, ("setup.py", b"x")]), "no such member"),
    "a member twice": (
        lambda: sealed([*OF, ("files/" + "f" * 64, b"")]).replace(b"f" * 64, HASH.encode()),
        "there twice",
    ),
    "a file out of order": (lambda: sealed([*OF, ("files/" + "0" * 64, b"")]), "not in its place"),
    "members out of order": (lambda: sealed([OF[0], OF[2], OF[1], *OF[3:]]), "'records.jsonl'.*not where it belongs"),
    "no closing member": (lambda: zipped(OF), "'closing.json'.*not whole"),
    "a closing member of others": (lambda: zipped([*OF, closing([*OF[:2], ("outside.jsonl", b"\n")])]), "was altered"),
    "a file more than was closed": (lambda: zipped([*OF, ("files/" + "f" * 64, b""), closing(OF)]), "was altered"),
    "a link": (
        lambda: zipped(SEALED, alters("records.jsonl", external_attr=(stat.S_IFLNK | 0o777) << 16)),
        "'records.jsonl'.*a link",
    ),
    "a compression of another kind": (
        lambda: zipped(SEALED, alters("records.jsonl", compress_type=zipfile.ZIP_BZIP2)),
        "'records.jsonl'.*compressed in a way",
    ),
    "a file that is deflated": (
        lambda: zipped(SEALED, alters(f"files/{HASH}", compress_type=zipfile.ZIP_DEFLATED)),
        "compressed in a way",
    ),
    "encrypted": (lambda: patched(SOUND, "records.jsonl", 8, "<H", 1), "'records.jsonl'.*encrypted"),
    "a size that is a lie": (lambda: patched(SOUND, "records.jsonl", 24, "<L", 7), "do not say the same"),
    "a huge size": (lambda: patched(SOUND, "records.jsonl", 24, "<L", 0xFFFFFFF0), "would swell|do not say the same"),
    "members that overlap": (overlapping, "'outside.jsonl'.*does not begin where"),
    "something before": (lambda: b"MZ" + SOUND, "no zip file"),
    "something after": (lambda: SOUND + b"x", "does not end as bundles do"),
    "a comment": (lambda: SOUND[:-2] + b"\x05\0hello", "does not end as bundles do"),
    "65,534 members that are not there": (lambda: ended(65_534), "its list of members"),
    "a list of members of 4 GB": (lambda: ended(6, 0xFFFFFFF0), "its list of members"),
    "1,000,000,000,000 members": (lambda: ended_64(10**12), "members, and at most"),
    "one part of several": (lambda: SOUND[:-18] + b"\x01\0\x01\0" + SOUND[-14:], "one part of several"),
    "1 GB of zeros": (gigabyte, "'records.jsonl'.*swell"),
    "15 MB of zeros": (lambda: zeros(15_000_000), "longer than|data_sync export"),
    "15 MB of zeros out of scope": (
        lambda: bundle(**GIVEN | {"outside": b"\0" * 15_000_000}),
        "'outside.jsonl'.*longer than",
    ),
    "a head of 15 MB": (lambda: sealed([("bundle.json", b" " * 15_000_000), *OF[1:]]), "'bundle.json'.*at most"),
    "depth 100,000 in the head": (lambda: sealed([("bundle.json", b"[" * 100_000), *OF[1:]]), "'bundle.json'.*nested"),
    "no JSON": (lambda: sealed([("bundle.json", b"\xff"), *OF[1:]]), "'bundle.json'.*not UTF-8"),
    "another format": (lambda: with_head(format="other"), "does not say that this is"),
    "a version to come": (lambda: with_head(format_version="2.0"), "has version 2.0, and this side reads 1.0.*Install"),
    "a version that is none": (lambda: with_head(format_version=2), "does not say that this is"),
    "a protocol to come": (lambda: with_head(manifest=HEAD["manifest"] | {"protocol": 9}), "'bundle.json'.*protocol 9"),
    "models that its manifest lacks": (lambda: with_head(models=[TAG, "app.other"]), "not those of its manifest"),
    "models twice": (lambda: with_head(models=[TAG, NOTE, TAG]), "not those of its manifest"),
    "records of other bytes": (
        lambda: zipped([OF[0], (OF[1][0], OF[1][1].replace(b'"b"', b'"c"')), *SEALED[2:]]),
        "was altered|'records.jsonl'.*checksum|digest differs",
    ),
    "records without an end": (
        lambda: bundle(**GIVEN | {"records": GIVEN["records"].rpartition(b'{"counts"')[0]}),
        "before its closing line",
    ),
    "a line out of scope that is none": (lambda: bundle(**GIVEN | {"outside": b'["app.tag"]\n'}), "line 1 is not"),
    "a model out of scope that is none": (
        lambda: bundle(**GIVEN | {"outside": b'["auth.user","00"]\n'}),
        "line 1 is not",
    ),
    "a line out of scope that is cut": (lambda: bundle(**GIVEN | {"outside": GIVEN["outside"][:-1]}), "cut short"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_zip_file_ends_in_a_typed_error_in_little_memory_and_time(
    name: str, reader: subprocess.Popen[str], tmp_path: Path
) -> None:
    make, message = HOSTILE[name]
    path = tmp_path / "hostile.zip"
    path.write_bytes(make())
    assert reader.stdin is not None and reader.stdout is not None
    reader.stdin.write(json.dumps({"kind": "bundle", "url": str(path), "deadline": 30.0}) + "\n")
    reader.stdin.flush()
    found = json.loads(reader.stdout.readline())
    print(f"\n{name}: {found['seconds']} s, {found['mebibytes']} MiB, {found['error']}: {found['message'][:150]}")
    assert found["error"] in (MalformedBundle.__name__, MalformedStream.__name__, "IncompleteStream"), found
    assert re.search(message, found["message"]), found["message"]
    assert found["seconds"] < SPARE
    assert found["mebibytes"] < MEBIBYTES
