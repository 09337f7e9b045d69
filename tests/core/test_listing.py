"""Two listings are compared key by key; a key stands for one row, and only for its own."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_sync.core import canonical
from data_sync.core.compare import compare
from data_sync.core.errors import DuplicateKey, MalformedStream
from data_sync.core.listing import _START, Listing, _place
from data_sync.core.records import FileValue, Record, split_line
from data_sync.core.wire import write_stream

from .strategies import records, small_records

MODEL = "app.copy"


def listing(lines: list[str], side: str = "here", models: tuple[str, ...] = (MODEL,)) -> Listing:
    made = Listing(side, io.BytesIO(), list(models))
    made.read(write_stream(list(models), [(MODEL, lines)]))
    return made


def record(*key: Any, **fields: Any) -> Record:
    return Record(model=MODEL, key=key, fields=fields)


def of(*found: Record, side: str = "here") -> Listing:
    return listing([one.line() for one in found], side)


def differences(here: Listing, there: Listing) -> list[tuple[str, str]]:
    return [(found.key_text, found.operation.value) for found in compare(here, there, MODEL)]


def test_differences_are_found_and_ordered_by_key() -> None:
    here = of(record("b", v=1), record("same", v=1), record("gone", v=1))
    there = of(record("new", v=1), record("same", v=1), record("b", v=2))
    assert differences(here, there) == [('["b"]', "update"), ('["gone"]', "delete"), ('["new"]', "create")]


def test_offsets_lead_to_both_records() -> None:
    here = of(record(0, v="same"), record(1, v="old"))
    there = of(record(1, v="new"), record(0, v="same"))
    (found,) = compare(here, there, MODEL)
    assert found.here is not None and found.there is not None
    assert here.record(found.here).fields == {"v": "old"}
    assert there.record(found.there).fields == {"v": "new"}


distinct = st.lists(small_records, max_size=8, unique_by=lambda one: canonical.dumps(list(one.key)))


@given(distinct, distinct)
def test_exactly_what_differs_is_found(here: list[Record], there: list[Record]) -> None:
    ours, theirs = ({canonical.dumps(list(one.key)): one.digest() for one in side} for side in (here, there))
    expected = [(key, "create") for key in theirs.keys() - ours.keys()]
    expected += [(key, "delete") for key in ours.keys() - theirs.keys()]
    expected += [(key, "update") for key in ours.keys() & theirs.keys() if ours[key] != theirs[key]]
    assert differences(of(*here), of(*there)) == sorted(expected)
    assert differences(of(*here), of(*reversed(here))) == []


@settings(max_examples=50)
@given(st.lists(records(), max_size=3, unique_by=lambda one: canonical.dumps(list(one.key))))
def test_every_record_is_read_back_and_known_by_its_key(found: list[Record]) -> None:
    made = of(*found)
    assert made.counts == {MODEL: len(found)}
    for difference in compare(of(), made, MODEL):
        assert difference.there is not None
        read = made.record(difference.there)
        assert canonical.dumps(list(read.key)) == difference.key_text == made.key_text(difference.there)
    for one in found:
        assert made.contains(MODEL, canonical.dumps(list(one.key)))
    assert not made.contains(MODEL, '["no such key, with a hash of its own"]')


@pytest.mark.parametrize("side", ["here", "at the source"])
def test_a_key_twice_is_refused_by_name_and_side(side: str) -> None:
    twice = of(record("a"), record("FR", "é"), record("FR", "é", v=2), side=side)
    for pair in ((twice, of()), (of(), twice)):
        with pytest.raises(DuplicateKey, match=rf'{side} have the natural key \["FR","é"\]'):
            compare(*pair, MODEL)


@pytest.mark.parametrize(("one", "other"), [((1,), (True,)), ((1,), (1.0,)), ((1,), ("1",)), (("a", "b"), ("a,b",))])
def test_keys_that_look_alike_are_different_keys(one: Any, other: Any) -> None:
    assert len(differences(of(record(*one)), of(record(*other)))) == 2


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
    start = _START.match(line.encode())
    assert start is not None
    strict = split_line(line)
    assert line.encode()[_place(start) : -1].decode() == strict.canonical == found.canonical()
    assert start["model"].decode() == strict.record().model
    assert start["key"].decode() == canonical.dumps(list(strict.record().key))


@given(nasty_records, nasty_records)
def test_a_record_is_read_from_where_it_was_listed_or_not_at_all(fake: Record, true: Record) -> None:
    """Whatever a source puts beside the record, as here an array that looks like another one."""
    body = true.canonical()
    for name in ("carried", "names", "x"):
        try:
            made = listing([f'[{{"{name}":{{"x":[{{}},{fake.canonical()}]}}}},{body}]'])
            read = made.record(0)
        except MalformedStream:
            continue
        assert read.canonical() == body


IMPERSONATION = '[{"carried":{"x":[{},["app.copy",["hidden"],{"v":1},{}]]}},["app.copy",["shown"],{"v":1},{}]]'


def test_a_record_beside_a_record_does_not_stand_for_it() -> None:
    """Whatever stands beside a record, the key under which it is listed is its own."""
    try:
        made = listing([IMPERSONATION])
        for difference in compare(of(), made, MODEL):
            assert difference.there is not None
            assert list(made.record(difference.there).key) == canonical.loads(difference.key_text)
    except MalformedStream:
        pass


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        '[{},["app.other",["a"],{},{}]]',
        '[{},["app.copy","a",{},{}]]',
        '[{},["app.copy",["a"]',
        '[{},["app.copy",[["a"]],{},{}]]',
        '[{},["app.copy",["a"],{},{}]',
        '[{"a":"},[","b":1},"app.copy",["a"],{},{}]]',
        "",
    ],
)
def test_a_line_that_is_no_record_is_refused_by_its_place(line: str) -> None:
    with pytest.raises(MalformedStream, match="line at byte"):
        listing([record("first").line(), line])


def test_a_record_that_is_not_canonical_is_refused_when_it_matters() -> None:
    there = listing(['[{},["app.copy",["a"],{"b":1,"a":1},{}]]'], "at the source")
    (difference,) = compare(of(), there, MODEL)
    assert difference.there is not None
    with pytest.raises(MalformedStream, match="at the source cannot be read"):
        there.record(difference.there)


def test_one_flipped_bit_anywhere_in_a_stream_is_not_accepted() -> None:
    models = ["app.copy", "app.other"]
    lines = [record(number, text="ü\n").line() for number in range(2)]
    whole = b"".join(write_stream(models, [("app.copy", lines)]))
    for at in range(len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[at] ^= 1 << bit
            with pytest.raises(MalformedStream):
                Listing("here", io.BytesIO(), models).read([bytes(flipped)])


def test_a_closing_line_that_counts_other_rows_is_not_accepted() -> None:
    whole = b"".join(write_stream([MODEL], [(MODEL, [record(1).line()])]))
    with pytest.raises(MalformedStream, match="counts"):
        Listing("here", io.BytesIO(), [MODEL]).read([whole.replace(b'{"app.copy":1}', b'{"app.copy":2}')])
