"""Spreadsheets from strangers: whatever the bytes are, records or one of our errors come of them, in time."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_sync.core.errors import MalformedSheet
from data_sync.orm.resolution import schemas
from data_sync.sources.sheet import SheetSource
from data_sync.sources.sheet_rows import FORMATS
from data_sync.sources.table_files import write_table

from .test_fuzz import fuzz, mutants

ROOT = Path(__file__).parent.parent.parent
HEADERS = ("name", "integer", "amount", "moment", "json", "boolean", "text_or_null")
ROWS = [
    ("a", 1, "1.5", "2026-01-31T10:00:00+01:00", '{"a": [1]}', True, None),
    ("b", -2, "0", "2026-02-01", "[]", False, "x\ny"),
]


def _sound(form: str) -> bytes:
    file = io.BytesIO()
    write_table(form, HEADERS, ROWS, file)
    return file.getvalue()


SOUND = {form: _sound(form) for form in FORMATS}


def read(form: str, content: bytes) -> None:
    """Within 5 s, or fails."""
    started = time.process_time()
    try:
        SheetSource(io.BytesIO(content), FORMATS[form], schemas()["testapp.everything"]).close()
    except MalformedSheet as error:
        assert str(error)
    assert time.process_time() - started < 5


@pytest.mark.parametrize("form", FORMATS)
def test_altered_files_are_read_or_refused(form: str) -> None:
    @fuzz
    @given(mutants([SOUND[form]]) | st.binary(max_size=200))
    def check(content: bytes) -> None:
        read(form, content)

    check()


@pytest.mark.parametrize(
    ("form", "member"),
    [
        ("xlsx", "xl/worksheets/sheet1.xml"),
        ("xlsx", "xl/workbook.xml"),
        ("xlsx", "xl/styles.xml"),
        ("xlsx", "[Content_Types].xml"),
        ("ods", "content.xml"),
    ],
)
def test_what_is_in_a_zip_is_altered_too(form: str, member: str) -> None:
    archive = zipfile.ZipFile(io.BytesIO(SOUND[form]))
    sound = archive.read(member)

    @fuzz
    @given(mutants([sound]))
    def check(content: bytes) -> None:
        read(form, with_member(form, member, content))

    check()


def with_member(form: str, member: str, content: bytes) -> bytes:
    file, archive = io.BytesIO(), zipfile.ZipFile(io.BytesIO(SOUND[form]))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as changed:
        for name in archive.namelist():
            changed.writestr(name, content if name == member else archive.read(name))
    return file.getvalue()


def test_bombs_are_refused_before_they_go_off(tmp_path: Path) -> None:
    """All in one process of their own, one after the other: what the largest takes is what the process has taken."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.sources.sheet_bombs", str(tmp_path)],
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert {name: seconds for name, seconds in told["seconds"].items() if seconds > 5} == {}
    assert told["refused"] == sorted(told["seconds"])
    assert told["megabytes"] < 256
