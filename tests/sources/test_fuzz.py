"""Bytes from outside, whatever they are: our parsers take what is sound, or raise an error of their own, in time.

A hundred examples each; CONTRIBUTING.md says how to have more.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import RequestFactory
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from data_sync import push, sending
from data_sync.core import canonical
from data_sync.core.errors import DataSyncError, InvalidInput, MalformedStream
from data_sync.core.listing import BUCKETS
from data_sync.core.manifest import Manifest, parse_manifest
from data_sync.core.source import Request
from data_sync.services import asked
from data_sync.services.reading import THERE, Side
from data_sync.sources.addresses import parse_url
from data_sync.sources.http import HttpSource
from data_sync.sources.proxy import parse_proxy
from data_sync.tasks import tokens
from tests.core.strategies import values

from .conftest import Read
from .test_truncation import DOCUMENT, FIXTURES

fuzz = settings(deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

TOKENS = [
    b"{}", b"[]", b"[{}", b"},[", b'"', b"\\", b"\\u0000", b"\\ud800", b"\n", b"\r\n", b"\0", b"\xff", b"\xef\xbb\xbf",
    b"NaN", b"-Infinity", b"1e400", b"-0", b"1" * 1001, b"null", b"true", b"[" * 300, b'{"end":true}', b'"counts":{},',
    b"\x01\0\0\0\0", b"\x02\xff\xff\xff\xff", b"0\r\n\r\n", b"-1\r\n", b"ffffffff\r\n", b"Content-Length: 5\r\n",
    b"Content-Encoding: gzip\r\n", b"Transfer-Encoding: chunked\r\n", b"HTTP/1.1 302 Found\r\nLocation: //a\r\n\r\n",
]  # fmt: skip


@st.composite
def mutants(draw: st.DrawFn, sound: Sequence[bytes]) -> bytes:
    """One of these texts, altered in a few places."""
    text = draw(st.sampled_from(sound))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(text)))
        end = min(len(text), place + draw(st.integers(0, 40)))
        match draw(st.sampled_from(["flip", "cut", "drop", "repeat", "insert", "token", "move"])):
            case "flip" if place < len(text):
                text = text[:place] + bytes([text[place] ^ draw(st.integers(1, 255))]) + text[place + 1 :]
            case "cut":
                text = text[:place]
            case "drop":
                text = text[:place] + text[end:]
            case "repeat":
                text = text[:end] + text[place:end] * draw(st.integers(1, 50)) + text[end:]
            case "insert":
                text = text[:place] + draw(st.binary(max_size=20)) + text[place:]
            case "token":
                text = text[:place] + draw(st.sampled_from(TOKENS)) + text[place:]
            case _:
                text = text[place:end] + text[:place] + text[end:]
    return text


# JSON.

JSON = [canonical.dumps(value).encode() for value in ({"a": [1, 2.5, "é", None, True]}, [[], {}, ""], 0, "x")]


@fuzz
@given(mutants([*JSON, DOCUMENT]) | st.binary(max_size=50) | st.text(max_size=50).map(lambda text: text.encode()))
def test_json_is_read_strictly_or_refused(body: bytes) -> None:
    text = body.decode(errors="surrogateescape")
    try:
        value = canonical.loads_bounded(text)
    except MalformedStream:
        assert canonical.recode(text) == ""
        return
    again = canonical.dumps(value)
    assert canonical.loads(again) == value
    assert canonical.recode(text) in ("", canonical.dumps(canonical.normalise(value)))
    json.loads(text)  # What we take, everybody takes.


@fuzz
@given(values)
def test_what_we_write_we_read(value: Any) -> None:
    assert canonical.loads_bounded(canonical.dumps(value)) == value


# What a source sends, as a pull reads it.


class Given:
    """A source of these bytes."""

    def __init__(self, body: bytes, size: int) -> None:
        self._blocks = [body[start : start + size] for start in range(0, len(body), size)]

    @contextmanager
    def stream(self, request: Request) -> Iterator[Iterator[bytes]]:
        yield iter(self._blocks)

    digests = stream


def pulled(body: bytes, request: Request, whole: bool, size: int) -> list[Any]:
    side = Side(THERE, Given(body, size), request, [io.BytesIO(), io.BytesIO()], whole=whole)  # type: ignore[arg-type]
    side.read(lambda rows: None)
    found: list[Any] = []
    for label in request.models:
        for index in range(BUCKETS):
            entries, _ = side.listing.bucket(label, index)
            found += sorted((entry, side.records.record(place) if whole else place) for entry, place in entries.items())
    return found


def of(kind: str) -> list[tuple[str, bytes]]:
    return [(name, fixture.body) for name, fixture in FIXTURES.items() if name.startswith(kind)]


EXPORTS = [body for name, body in of("export") if "nothing" not in name]
LISTINGS = [body for _, body in of("digests")]


def models_of(body: bytes) -> Request:
    return Request(models=tuple(json.loads(body.partition(b"\n")[0])["models"]))


@pytest.mark.parametrize("kind", ["export", "digests"])
@fuzz
@given(data=st.data())
def test_a_stream_that_was_altered_is_refused(kind: str, data: st.DataObject) -> None:
    sound = data.draw(st.sampled_from(EXPORTS if kind == "export" else LISTINGS))
    altered = data.draw(mutants([sound]) | st.binary(max_size=200))
    assume(altered != sound)
    with pytest.raises(DataSyncError):
        pulled(altered, models_of(sound), kind == "export", data.draw(st.integers(1, 300)))


@pytest.mark.parametrize("kind", ["export", "digests"])
def test_a_byte_that_is_flipped_makes_no_other_stream(kind: str) -> None:
    for sound in EXPORTS[:2] if kind == "export" else LISTINGS:
        for place, byte in enumerate(sound):
            for other in {byte ^ 1, byte ^ 32, byte ^ 128, ord("0"), ord(" "), ord("\n")} - {byte}:
                altered = sound[:place] + bytes([other]) + sound[place + 1 :]
                with pytest.raises(DataSyncError):
                    pulled(altered, models_of(sound), kind == "export", len(altered))


@fuzz
@given(mutants([DOCUMENT]) | values.map(lambda value: canonical.dumps(value).encode()))
def test_a_manifest_is_one_or_is_refused(body: bytes) -> None:
    try:
        manifest = parse_manifest(canonical.loads_bounded(body.decode(errors="replace")))
    except MalformedStream:
        return
    assert isinstance(manifest, Manifest)
    assert parse_manifest(json.loads(json.dumps(manifest.to_plain()))) == manifest


ANSWERS = [(fixture.answer, fixture.read) for fixture in FIXTURES.values()]


@fuzz
@given(data=st.data())
def test_whatever_is_answered_to_a_request_is_an_answer_or_a_typed_error(
    data: st.DataObject, reads: Callable[[bytes, Read], Any]
) -> None:
    sound, how = data.draw(st.sampled_from(ANSWERS))
    answer = data.draw(mutants([sound]) | st.binary(max_size=100))
    try:
        reads(answer, how)
    except DataSyncError as error:
        assert str(error)
    # What was taken had only its frame altered: the body proves itself (see above).


# What a person types.

URLS = [
    b"https://staging.example.com:8443/api",
    b"https://[2606:4700::1111]/a",
    b"https://8.8.8.8",
    b"http://localhost",
]


@fuzz
@given(mutants(URLS).map(lambda text: text.decode("latin-1")) | st.text(max_size=40))
def test_a_url_is_read_in_one_way_or_refused(text: str) -> None:
    try:
        url = parse_url(text)
    except InvalidInput as error:
        assert str(error).endswith((".", "DEBUG is on)."))
        return
    assert parse_url(str(url)) == url
    assert str(url).isascii() and str(url).isprintable() and urlsplit(str(url)).username is None
    assert HttpSource(text, "ds_key") is not None


@fuzz
@given(mutants([b"http://user:pass@proxy.example:3128", b"http://[::1]:3128"]).map(lambda text: text.decode("latin-1")))
def test_a_proxy_is_one_or_is_refused(text: str) -> None:
    try:
        proxy = parse_proxy(text)
    except DataSyncError:
        return
    assert proxy is None or 0 < proxy.port < 65536


# What other environments and queues ask.

ASKED = [
    b'{"handles":[1,2,"a"],"model":"testapp.tag"}',
    b'{"handles":[],"model":"testapp.tag","omit":["name"]}',
    b'{"model":"testapp.tag","outside":[["a"],[null]]}',
]
LABELS = frozenset({"testapp.tag", "testapp.country"})


@fuzz
@given(mutants(ASKED) | st.binary(max_size=60) | values.map(lambda value: canonical.dumps(value).encode()))
def test_a_body_that_asks_for_records_asks_or_is_refused(body: bytes) -> None:
    try:
        found = asked.some_records(body, LABELS)
    except DataSyncError:
        return
    assert isinstance(found, asked.SomeRecords | asked.KeysOutside)


@fuzz
@given(
    st.none() | mutants([b"testapp.tag,testapp.country"]).map(lambda text: text.decode("latin-1")) | st.text(),
    st.none()
    | mutants([b"testapp.tag.name,testapp.country.code"]).map(lambda text: text.decode("latin-1"))
    | st.text(),
)
def test_a_query_asks_for_models_or_is_refused(models: str | None, omit: str | None) -> None:
    try:
        found = asked.request(models, omit, LABELS)
    except DataSyncError:
        return
    assert set(found.models) <= LABELS


@fuzz
@given(
    mutants([b"bytes=0-5", b"bytes=-5", b"bytes=5-", b"bytes=0-1,2-3"]).map(lambda text: text.decode("latin-1")),
    st.integers(0, 10),
)
def test_a_range_lies_within_the_file(header: str, size: int) -> None:
    request = RequestFactory().get("/", headers={"Range": header, "Accept-Encoding": header})
    assert isinstance(sending.accepts_gzip(request), bool)
    try:
        found = sending.range_of(request, size, "0" * 64)
    except ValueError:
        return
    assert found is None or 0 <= found[0] < found[1] <= size


@fuzz
@given(mutants([b'{"task":"apply","id":7}', b'{"task":"pull","id":9223372036854775807}']) | st.binary(max_size=50))
def test_a_task_is_one_or_is_refused(body: bytes) -> None:
    try:
        kind, pk = push._task(body)
    except ValueError:
        return
    assert kind in ("pull", "apply")
    assert 0 < pk < 2**63


@fuzz
@given(
    mutants([b"Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.eyJhdWQiOiJodHRwczovL2EifQ.c2ln"]).map(
        lambda text: text.decode("latin-1")
    )
    | st.text(max_size=50)
)
def test_no_garbage_is_the_queue_s_token(header: str) -> None:
    assert tokens.is_ours(header) is False
