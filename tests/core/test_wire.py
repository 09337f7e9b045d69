"""A stream proves that it is whole: cut anywhere, or altered in one bit, it is not accepted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_sync.core import canonical, wire
from data_sync.core.errors import IncompleteStream, MalformedStream
from data_sync.core.records import Record
from data_sync.core.wire import StreamReader, write_stream

from .strategies import records

MODELS = ["app.country", "app.copy"]


def stream(count: int = 3) -> bytes:
    countries = [Record(model="app.country", key=(number,), fields={"ü": "\n"}).line() for number in range(count)]
    return b"".join(write_stream(MODELS, [("app.country", countries), ("app.copy", [])]))


def read(blocks: Iterable[bytes], models: list[str] = MODELS) -> list[bytes]:
    reader = StreamReader(blocks, models)
    lines = [line for some in reader for _, line in some]
    assert sum(reader.counts.values()) == len(lines)
    return lines


def test_the_stream_is_exactly_this() -> None:
    assert stream(1) == (
        b'{"format":"data-sync-export","models":["app.country","app.copy"],"protocol":1}\n'
        b'[{},["app.country",[0],{"\xc3\xbc":"\\n"},{}]]\n'
        b'{"counts":{"app.copy":0,"app.country":1},"digest":'
        b'"sha256:f8ee20d37af5de38252877bdf36aeaf61f57f83c2d3e9422326d4b101c619371","end":true}\n'
    )


@given(st.lists(records(), max_size=5), st.lists(st.integers(0, 5000), max_size=5))
def test_what_was_written_is_read_whatever_the_blocks(found: list[Record], places: list[int]) -> None:
    lines = [record.line() for record in found]
    whole = b"".join(write_stream(["app.copy"], [("app.copy", lines)]))
    cuts = sorted({0, *(place % (len(whole) + 1) for place in places), len(whole)})
    blocks = [whole[start:end] for start, end in pairwise(cuts)]
    assert read(blocks, ["app.copy"]) == [line.encode() for line in lines]


def test_offsets_lead_to_the_lines() -> None:
    whole = stream()
    for some in StreamReader([whole], MODELS):
        for offset, line in some:
            assert whole[offset : offset + len(line)] == line


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_stream_that_is_cut_at_any_byte_is_not_accepted(count: int) -> None:
    whole = stream(count)
    for at in range(len(whole)):
        with pytest.raises(MalformedStream):
            read([whole[:at]])
    read([whole])


def test_a_cut_stream_is_called_incomplete() -> None:
    with pytest.raises(IncompleteStream, match="before its closing line"):
        read([stream()[:-100]])


@pytest.mark.parametrize("more", [b"\n", b" ", b"[]\n", b"x", stream()])
def test_more_after_the_closing_line_is_not_accepted(more: bytes) -> None:
    for blocks in ([stream() + more], [stream(), more]):
        with pytest.raises(MalformedStream, match="after its closing line"):
            read(blocks)


def test_lines_that_change_places_are_not_accepted() -> None:
    lines = stream().splitlines(keepends=True)
    lines[1], lines[2] = lines[2], lines[1]
    with pytest.raises(IncompleteStream, match="altered"):
        read([b"".join(lines)])


@pytest.mark.parametrize("models", [["app.copy", "app.country"], ["app.country"], [], [*MODELS, "app.more"]])
def test_other_models_than_were_asked_for_are_not_accepted(models: list[str]) -> None:
    with pytest.raises(MalformedStream, match="other models"):
        read([stream()], models)


@pytest.mark.parametrize(
    ("name", "value"),
    [("format", "other"), *(("protocol", value) for value in (2, "1", True, 1.0)), ("models", None)],
)
def test_another_opening_line_is_not_accepted(name: str, value: object) -> None:
    opening, rest = stream().split(b"\n", 1)
    altered = {**json.loads(opening), name: value}
    with pytest.raises(MalformedStream, match=r"export of this protocol|other models"):
        read([json.dumps(altered).encode() + b"\n" + rest])


@pytest.mark.parametrize("text", [b"[]", b"{}", b"null", b"<html>", b"\xff\n", b"\n\n\n", b""])
def test_what_is_no_stream_is_not_accepted(text: bytes) -> None:
    for ended in (text, text + b"\n"):
        with pytest.raises(MalformedStream):
            read([ended])


def test_a_line_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_LINE", 1000)

    def endless() -> Iterator[bytes]:
        yield stream().split(b"\n")[0] + b"\n"
        while True:
            yield b"x" * 100

    with pytest.raises(MalformedStream, match="longer than 1000 bytes"):
        read(endless())


def test_a_line_that_is_too_long_is_refused_also_within_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_LINE", 1000)
    long = Record(model="app.copy", key=(1,), fields={"text": "x" * 2000}).line()
    with pytest.raises(MalformedStream, match="longer than 1000 bytes"):
        read(write_stream(MODELS, [("app.copy", [long])]))


@pytest.mark.timeout(30)
def test_a_long_line_is_read_in_a_time_that_grows_with_its_length() -> None:
    """To join the line anew at each of these blocks would copy 128 GiB."""
    size, step = 1 << 24, 1 << 10
    opening = stream().split(b"\n")[0] + b"\n"
    blocks = [opening, *[b"x" * step] * (size // step), b"\n"]
    reader = StreamReader(blocks, MODELS)
    with pytest.raises(IncompleteStream):
        assert [len(line) for some in reader for _, line in some] == [size]
    assert reader.size == len(opening) + size + 1


@pytest.mark.parametrize("count", [False, True, -1, 1.0, "1", None, [1]], ids=repr)
def test_a_closing_line_whose_counts_are_no_numbers_of_rows_is_not_accepted(count: Any) -> None:
    body = stream(1).rpartition(b'{"counts"')[0]
    closing = {
        "counts": {"app.copy": count, "app.country": 1},
        "digest": "sha256:" + hashlib.sha256(body).hexdigest(),
        "end": True,
    }
    with pytest.raises(MalformedStream, match="closing line cannot be read"):
        read([body, canonical.dumps(closing).encode() + b"\n"])


def test_blocks_are_neither_tiny_nor_huge() -> None:
    lines = [Record(model="app.copy", key=(number,), fields={"text": "x" * 50}).line() for number in range(5000)]
    sizes = [len(block) for block in write_stream(["app.copy"], [("app.copy", lines)])]
    assert len(sizes) > 3
    assert all(wire.BLOCK <= size <= 2 * wire.BLOCK for size in sizes[:-1])
