"""``python -m tests.sources.sheet_bombs FOLDER``: reads small files that are much, and says what that took."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

SHEET = b"<worksheet xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main'><sheetData>"
ROW = b"<row r='%d'><c r='A%d' t='inlineStr'><is><t>name</t></is></c></row>"
END = b"</sheetData></worksheet>"
SPACE = b'"urn:oasis:names:tc:opendocument:xmlns:%s:1.0"'
TABLE = b"<r xmlns:t=%s xmlns:x=%s><t:table t:name='a'>" % (SPACE % b"table", SPACE % b"text")
ENTITIES = (
    b"<!DOCTYPE a [<!ENTITY b 'bbbbbbbbbb'>"
    + b"".join(b"<!ENTITY %c '%s'>" % (c, b"&%c;" % (c - 1) * 10) for c in range(ord("c"), ord("m")))
    + b"]>"
)


def times(piece: bytes, count: int) -> Iterator[bytes]:
    """So many of a piece, in blocks."""
    block = piece * 10_000
    for _ in range(count // 10_000):
        yield block


BOMBS: dict[str, tuple[str, tuple[bytes | Iterable[bytes], ...]]] = {
    "a workbook whose last row is the last": ("xlsx", (SHEET, ROW % (1, 1), ROW % (1_048_577, 1_048_577), END)),
    "a workbook whose last row is far beyond": ("xlsx", (SHEET, ROW % (1, 1), ROW % (10**12, 10**12), END)),
    "a workbook with a cell far to the right": ("xlsx", (SHEET, b"<row r='1'><c r='ZZZ1'><v>1</v></c></row>", END)),
    "a workbook of one row": ("xlsx", (SHEET, b"<row r='1'>", times(b"<c/>", 20_000_000), b"</row>", END)),
    "a workbook of empty rows": ("xlsx", (SHEET, times(b"<row/>", 10_000_000), END)),
    "a workbook of what are no rows": ("xlsx", (SHEET, times(b"<x/>", 20_000_000), END)),
    "a workbook of entities": ("xlsx", (ENTITIES, SHEET, b"<row r='1'><c r='A1'><v>&l;</v></c></row>", END)),
    "a document of entities": ("ods", (ENTITIES, b"<a>&l;</a>")),
    "a document of repeated rows": (
        "ods",
        (TABLE, b'<t:table-row t:number-rows-repeated="99999999"><t:table-cell><x:p>x</x:p></t:table-cell>',
         b"</t:table-row></t:table></r>"),
    ),
    "a document of repeated cells": (
        "ods",
        (TABLE, b'<t:table-row><t:table-cell t:number-columns-repeated="99999999"><x:p>x</x:p></t:table-cell>',
         b"</t:table-row></t:table></r>"),
    ),
    "a document of spaces": (
        "ods",
        (TABLE, b"<t:table-row><t:table-cell><x:p>", times(b'<x:s x:c="99999999"/>', 10_000), b"</x:p></t:table-cell>",
         b"</t:table-row></t:table></r>"),
    ),
    "a document of one row": (
        "ods",
        (TABLE, b"<t:table-row>", times(b"<t:table-cell><x:p>x</x:p></t:table-cell>", 1_000_000),
         b"</t:table-row></t:table></r>"),
    ),
    "lists in lists": ("json", (times(b"[", 5_000_000),)),
    "lists in lists of YAML": ("yaml", (times(b"[", 5_000_000),)),
    "one row of many values": ("json", (b'[{"name":"a","json":[', times(b"0,", 25_000_000), b"0]}]")),
    "numbers without end": ("json", (b'[{"name":"a","integer":', times(b"1", 10_000_000), b"}]")),
    "a text without end": ("csv", (b'name,text\na,"', times(b"x", 50_000_000))),
    "columns without end": ("csv", (times(b"name,", 10_000_000),)),
    "a row of lines without end": ("csv", (b"name,text\n", times(b'"\n",', 10_000_000))),
    "line ends without end": ("csv", (b"name\n", times(b"\n", 50_000_000))),
}  # fmt: skip
MEMBERS = {"xlsx": "xl/worksheets/sheet1.xml", "ods": "content.xml"}


def written(form: str, pieces: Iterable[bytes | Iterable[bytes]], sound: Path, to: Path) -> None:
    if form not in MEMBERS:
        with to.open("wb") as file:
            for piece in pieces:
                file.writelines([piece] if isinstance(piece, bytes) else piece)
        return
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bomb, zipfile.ZipFile(sound) as archive:
        for name in archive.namelist():
            if name != MEMBERS[form]:
                bomb.writestr(name, archive.read(name))
        with bomb.open(MEMBERS[form], "w") as member:
            for piece in pieces:
                for block in [piece] if isinstance(piece, bytes) else piece:
                    member.write(block)


def main(folder: str) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()

    from data_sync.core.errors import MalformedSheet
    from data_sync.orm.resolution import schemas
    from data_sync.sources.sheet import SheetSource
    from data_sync.sources.sheet_rows import FORMATS
    from data_sync.sources.table_files import write_table

    for form in ("xlsx", "ods"):
        with (Path(folder) / f"sound.{form}").open("wb") as file:
            write_table(form, ["name"], [["a"]], file)
    schema = schemas()["testapp.everything"]
    seconds, refused = {}, []
    for name, (form, pieces) in BOMBS.items():
        path = Path(folder) / "bomb"
        written(form, pieces, Path(folder) / f"sound.{form}", path)
        if not seconds:
            idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.process_time()
        try:
            with path.open("rb") as file:
                SheetSource(file, FORMATS[form], schema).close()
        except MalformedSheet as error:
            refused.append(name)
            assert len(str(error)) < 1000
            print(f"{name}: {error}", file=sys.stderr)
        seconds[name] = round(time.process_time() - started, 2)
        peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - idle) >> 10
        print(f"{name}: {seconds[name]} s, {peak} MB so far", file=sys.stderr)
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - idle) >> 10
    print(json.dumps({"seconds": seconds, "refused": sorted(refused), "megabytes": peak}))


if __name__ == "__main__":
    main(sys.argv[1])
