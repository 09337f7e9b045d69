"""A record is one line: what its digest covers, and what only travels beside."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_sync.core.errors import MalformedStream
from data_sync.core.records import FileValue, Record, check_sizes, key_text, split_line

from .strategies import records

CHECKSUM = "sha256:" + "0" * 64
FILE = FileValue(name="a.png", size=7, checksum=CHECKSUM)
RECORD = Record(
    model="app.copy",
    key=("FR", "title"),
    fields={"value": "Bonjour", "key": "title"},
    files={"thumbnail": FILE, "other": None},
    carried={"updated": "2026-01-01"},
)
LINE = (
    '[{"carried":{"updated":"2026-01-01"},"names":{"thumbnail":"a.png"}},'
    '["app.copy",["FR","title"],{"key":"title","value":"Bonjour"},'
    f'{{"other":null,"thumbnail":{{"checksum":"{CHECKSUM}","size":7}}}}]]'
)


def test_the_line_is_exactly_this() -> None:
    assert RECORD.line() == LINE
    assert Record(model="a.b", key=(1,), fields={}).line() == '[{},["a.b",[1],{},{}]]'


@given(records())
def test_a_line_is_read_as_the_record_it_was_made_of(record: Record) -> None:
    read = split_line(record.line()).record()
    assert repr(read) == repr(dataclasses.replace(record, fields=read.fields, files=read.files, carried=read.carried))
    assert (read.line(), read.digest()) == (record.line(), record.digest())


@pytest.mark.parametrize(
    "beside",
    [
        {"carried": {"updated": "2027-01-01"}},
        {"carried": {}},
        {"files": {"thumbnail": dataclasses.replace(FILE, name="b.png"), "other": None}},
    ],
)
def test_what_travels_beside_makes_no_difference(beside: dict[str, Any]) -> None:
    assert dataclasses.replace(RECORD, **beside).digest() == RECORD.digest()


@pytest.mark.parametrize(
    "inside",
    [
        {"model": "app.copies"},
        {"key": ("FR", "title", None)},
        {"key": ("FRtitle",)},
        {"fields": {"value": "Bonjour", "key": "title", "more": None}},
        {"fields": {"value": "bonjour", "key": "title"}},
        {"files": {"thumbnail": dataclasses.replace(FILE, size=8), "other": None}},
        {"files": {"thumbnail": dataclasses.replace(FILE, checksum="missing"), "other": None}},
        {"files": {"thumbnail": None, "other": FILE}},
    ],
)
def test_what_is_inside_makes_a_difference(inside: dict[str, Any]) -> None:
    assert dataclasses.replace(RECORD, **inside).digest() != RECORD.digest()


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), (1, True), (0, False), ("1", 1), (None, ""), ([], {})])
def test_values_that_python_takes_for_one_make_a_difference(one: Any, other: Any) -> None:
    digests = {dataclasses.replace(RECORD, fields={"value": value}).digest() for value in (one, other)}
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('{"key":"title","value":"Bonjour"}', '{"value":"Bonjour","key":"title"}'),
        ('"Bonjour"', ' "Bonjour"'),
        ('"Bonjour"', '"Bonj\\u006fur"'),
        ('"Bonjour"', "1e1"),
        ('"app.copy"', "7"),
        ('["FR","title"]', '"FR"'),
        ('{"key"', '[{"key"'),
        ('"size":7', '"size":-7'),
        ('"size":7', '"size":7.5'),
        ('"size":7', '"size":7,"x":1'),
        ('"size":7', '"size":true'),
        ('"size":7', f'"size":{2**63}'),
        (CHECKSUM, "missing"),
        ('"a.png"', "5"),
        ('{"thumbnail":"a.png"}', '{"other":["a.png"]}'),
        (CHECKSUM, CHECKSUM.upper()),
        (CHECKSUM, "sha256:0"),
        ('{"updated":"2026-01-01"}', "[]"),
        ('{"thumbnail":"a.png"}', "[]"),
        ("]]", "],1]"),
        ("]]", "]"),
        ("[{", "{"),
        ("[{", "[["),
    ],
)
def test_what_is_no_canonical_record_is_refused(old: str, new: str) -> None:
    assert LINE.count(old) >= 1
    with pytest.raises(MalformedStream):
        split_line(LINE.replace(old, new, 1) if old != "]]" else LINE[: -len(old)] + new).record()


@given(st.data())
def test_one_altered_character_is_another_record_or_none(data: st.DataObject) -> None:
    at = data.draw(st.integers(LINE.index('["app'), len(LINE) - 1))
    character = data.draw(st.characters(exclude_categories=["Cs"]).filter(lambda one: one != LINE[at]))
    try:
        read = split_line(LINE[:at] + character + LINE[at + 1 :]).record()
    except MalformedStream:
        return
    assert read.digest() != RECORD.digest()


@pytest.mark.parametrize("at", range(len(LINE)))
def test_a_line_that_is_cut_is_refused(at: int) -> None:
    with pytest.raises(MalformedStream):
        split_line(LINE[:at]).record()


@pytest.mark.parametrize(
    ("checksum", "size", "refused"),
    [(CHECKSUM, 7, False), (CHECKSUM, 8, True), (CHECKSUM, 0, True), ("sha256:" + "1" * 64, 8, False)],
)
def test_a_checksum_that_is_here_has_the_size_that_it_has_here(checksum: str, size: int, refused: bool) -> None:
    altered = dataclasses.replace(FILE, checksum=checksum, size=size)
    after = dataclasses.replace(RECORD, files={"thumbnail": altered, "other": None})
    for before in (None, dataclasses.replace(RECORD, files={"thumbnail": None, "other": None})):
        check_sizes(before, after)
    check_sizes(RECORD, None)
    expected = pytest.raises(MalformedStream, match=r'app.copy \["FR","title"\] gives thumbnail')
    with expected if refused else nullcontext():
        check_sizes(RECORD, after)


@given(st.text())
def test_any_line_is_read_or_refused(line: str) -> None:
    with pytest.raises(MalformedStream):
        split_line(line).record()


def test_a_key_reads_well() -> None:
    assert key_text(("FR", None, 7)) == "FR · ∅ · 7"
