"""A record is found again by its offset, under its own key or not at all."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_sync.core import canonical
from data_sync.core.errors import MalformedStream
from data_sync.core.records import FileValue, Record, split_line
from data_sync.core.spool import RecordSpool, glance

from .strategies import records

MODEL = "app.copy"


def spooled(*lines: bytes) -> tuple[RecordSpool, list[int]]:
    spool = RecordSpool("at the source", io.BytesIO())
    return spool, spool.extend(lines)


@settings(max_examples=50)
@given(st.lists(records(), max_size=3))
def test_every_record_is_read_back_from_its_offset(found: list[Record]) -> None:
    spool, offsets = spooled(*(one.line().encode() for one in found))
    offsets += spool.extend([one.line().encode() for one in found])
    assert [spool.record(offset).line() for offset in offsets] == [one.line() for one in [*found, *found]]


fragments = ["},[", '},["app.copy",["k"],{', "],{", '"', "\\", "[{", "]]", "{}", ",", ":", "é", "\n", "\u2028", "a"]
nasty = st.lists(st.sampled_from(fragments), max_size=6).map("".join)
nasty_records = st.builds(
    Record,
    model=st.just(MODEL),
    key=st.lists(nasty | st.integers() | st.booleans(), min_size=1, max_size=3).map(tuple),
    fields=st.dictionaries(nasty, nasty | st.lists(nasty, max_size=2), max_size=2),
    files=st.dictionaries(
        nasty,
        st.none() | st.builds(FileValue, name=nasty, size=st.just(1), checksum=st.just("sha256:" + "0" * 64)),
        max_size=2,
    ),
    carried=st.dictionaries(nasty, nasty | st.none() | st.floats(0, 1), max_size=3),
)


@settings(max_examples=500)
@given(nasty_records)
def test_the_quick_look_finds_the_record_that_the_strict_parser_finds(found: Record) -> None:
    line = found.line()
    seen = glance(line.encode())
    assert seen is not None
    strict = split_line(line)
    assert seen.record.decode() == strict.canonical == found.canonical()
    assert seen.beside.decode() == strict.beside
    assert seen.label == strict.record().model
    assert seen.key.decode() == canonical.dumps(list(strict.record().key))


@given(nasty_records, nasty_records)
def test_a_record_is_read_from_where_it_was_seen_or_not_at_all(fake: Record, true: Record) -> None:
    """Whatever a source puts beside the record, as here an array that looks like another one."""
    body = true.canonical()
    for name in ("carried", "names", "x"):
        line = f'[{{"{name}":{{"x":[{{}},{fake.canonical()}]}}}},{body}]'.encode()
        spool, (offset,) = spooled(line)
        try:
            read = spool.record(offset)
        except MalformedStream:
            continue
        seen = glance(line)
        assert seen is not None
        assert read.canonical() == body == seen.record.decode()


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        '[{},["app.copy","a",{},{}]]',
        '[{},["app.copy",["a"]',
        '[{},["app.copy",[["a"]],{},{}]]',
        '[{},["app.copy",["a"],{},{}]',
        '[{"a":"},[","b":1},"app.copy",["a"],{},{}]]',
        "",
    ],
)
def test_what_is_no_record_is_seen_at_a_glance(line: str) -> None:
    assert glance(line.encode()) is None


def test_a_record_that_is_not_canonical_is_refused_with_its_side() -> None:
    spool, (offset,) = spooled(b'[{},["app.copy",["a"],{"b":1,"a":1},{}]]')
    with pytest.raises(MalformedStream, match="at the source cannot be read"):
        spool.record(offset)


def test_of_records_that_may_hold_redacted_fields_nothing_is_quoted() -> None:
    spool = RecordSpool("at the source", io.BytesIO(), is_redacted=True)
    (offset,) = spool.extend([b'[{},["app.customer",["a"],{"account":"secret","limit":1e999},{}]]'])
    with pytest.raises(MalformedStream, match="may hold redacted fields") as refused:
        spool.record(offset)
    assert "secret" not in str(refused.value) and "1e999" not in str(refused.value)
