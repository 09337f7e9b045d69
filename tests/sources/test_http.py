"""RELIABILITY 4, 5, 6, 11, 17: whatever a source does, its reader gets a typed error that helps."""

from __future__ import annotations

import gzip
import ipaddress
import json
import logging
import socket
import threading
import time
import traceback
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from data_sync.core.digests import DigestReader, write_digests
from data_sync.core.errors import (
    DataSyncError,
    IncompleteStream,
    MalformedStream,
    SourceUnavailable,
    WrongFile,
)
from data_sync.core.source import Request, handle_batches
from data_sync.core.wire import StreamReader, write_stream
from data_sync.sources import addresses, transport
from data_sync.sources.http import MAX_MANIFEST, MAX_OUTSIDE, HttpSource, SourceFailed

from .hostile import Answer, Authority, Server, http, sends

KEY = "ds_canary.canarycanarycanarycanarycanarycanarycanary1"
MANIFEST = {
    "format": "data-sync-manifest",
    "protocol": 1,
    "models": {"app.copy": {"key": ["code"], "fields": {"code": {"type": "CharField"}}, "files": {}, "count": 3}},
}
LINES = [f'[{{}},["app.copy",["{number}"],{{}},{{}}]]' for number in range(2000)]
STREAM = b"".join(write_stream(["app.copy"], [("app.copy", LINES)]))
COPIES = Request(models=("app.copy",))

DIGESTS = b"".join(write_digests(["app.copy"], {"app.copy": "integer"}, [("app.copy", [[(b"k" * 8, b"d" * 16, 5)]])]))

Serve = Callable[..., Server]


@pytest.fixture(autouse=True)
def loopback_allowed(settings: Any) -> None:
    settings.DATA_SYNC_ALLOWED_HOSTS = ["127.0.0.1"]
    settings.DATA_SYNC_READ_TIMEOUT = 5
    settings.DATA_SYNC_CONNECT_TIMEOUT = 5


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[Server] = []

    def start(answer: Answer | bytes, tls: Any = None) -> Server:
        servers.append(Server(sends(answer) if isinstance(answer, bytes) else answer, tls))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes 127.0.0.1 count as another machine, to which compressing pays."""

    class Elsewhere(ipaddress.IPv4Address):
        is_loopback = property(lambda _: False)  # type: ignore[assignment]

    monkeypatch.setattr(transport, "resolve", lambda url: [Elsewhere("127.0.0.1")])


def read(source: HttpSource) -> bytes:
    with source.stream(COPIES) as blocks:
        return b"".join(blocks)


def rows(source: HttpSource) -> int:
    with source.stream(COPIES) as blocks:
        return sum(len(lines) for lines in StreamReader(blocks, ["app.copy"]))


def failure(call: Callable[[], Any], kind: type[DataSyncError] = SourceUnavailable) -> DataSyncError:
    """The error of a call, after looking for the key in all that an error report could show."""
    with pytest.raises(kind) as raised:
        call()
    report = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    frames = [frame for frame in report.stack if "data_sync/" in frame.filename]
    shown = "".join(report.format_exception_only()) + str([frame.locals for frame in frames]) + repr(raised.value)
    assert "canary" not in shown
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None or raised.value.__suppress_context__
    return raised.value


# What goes right.


def test_the_manifest_is_asked_for_with_the_key_and_read(serve: Serve) -> None:
    server = serve(http("200 OK", json.dumps(MANIFEST).encode(), Content_Type="application/json"))
    manifest = HttpSource(server.url + "/api/", KEY).manifest()
    assert manifest.models["app.copy"].count == 3
    head = server.requests[0].splitlines()
    assert head[0] == "GET /api/data_sync/manifest HTTP/1.1"
    assert f"Authorization: Bearer {KEY}" in head
    assert f"Host: 127.0.0.1:{server.port}" in head


def test_one_s_own_machine_is_not_asked_to_compress(serve: Serve) -> None:
    server = serve(http("200 OK", STREAM))
    assert rows(HttpSource(server.url, KEY)) == 2000
    assert "Accept-Encoding: identity" in server.requests[0]


def test_another_machine_is_asked_to_compress_and_its_answer_inflated(serve: Serve, elsewhere: None) -> None:
    server = serve(http("200 OK", gzip.compress(STREAM), Content_Encoding="gzip"))
    assert read(HttpSource(server.url, KEY)) == STREAM
    assert "Accept-Encoding: gzip\r\n" in server.requests[0]
    assert "GET /data_sync/export?models=app.copy HTTP/1.1" in server.requests[0]


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 131072, 300_000])
def test_what_inflates_to_whole_blocks_arrives_whole(size: int, serve: Serve) -> None:
    server = serve(http("200 OK", gzip.compress(b"x" * size), Content_Encoding="gzip"))
    assert read(HttpSource(server.url, KEY)) == b"x" * size


def test_blocks_are_of_64_kib_at_most(serve: Serve) -> None:
    server = serve(http("200 OK", STREAM * 10))
    with HttpSource(server.url, KEY).stream(COPIES) as blocks:
        assert max(len(block) for block in blocks) <= 65536


def test_a_file_is_asked_for_by_its_checksum(serve: Serve) -> None:
    server = serve(http("200 OK", b"bytes"))
    with HttpSource(server.url, KEY).open_file("sha256:" + "a" * 64) as blocks:
        assert b"".join(blocks) == b"bytes"
    assert server.requests[0].startswith(f"GET /data_sync/files/{'a' * 64} ")


def test_the_source_s_clock_is_noted(serve: Serve) -> None:
    body = json.dumps(MANIFEST).encode()
    source = HttpSource(serve(http("200 OK", body, Date="Tue, 01 Jan 2030 00:00:00 GMT")).url, KEY)
    source.manifest()
    assert source.clock_skew is not None
    assert source.clock_skew.days > 0 or time.time() > 1_893_456_000
    nonsense = ["nonsense", "", "Tue, 99 Jan 2030 00:00:00 GMT", f"Tue, 01 Jan 2030 00:00:00 +{'9' * 20}"]
    for date in [*nonsense, "Tue, 01 Jan 2030 00:00:00 -0000"]:
        other = HttpSource(serve(http("200 OK", body, Date=date)).url, KEY)
        other.manifest()
        assert other.clock_skew is None


def test_no_clock_runs_on_after_an_answer(serve: Serve) -> None:
    source = HttpSource(serve(http("200 OK", json.dumps(MANIFEST).encode())).url, KEY)
    source.manifest()
    timers = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    for timer in timers:
        timer.join(timeout=2)
    assert not any(timer.is_alive() for timer in timers)


def test_a_connection_that_ends_between_two_requests_is_made_anew(serve: Serve) -> None:
    whole = http("200 OK", json.dumps(MANIFEST).encode())
    connections = []

    def answer(connection: socket.socket) -> None:
        connections.append(connection)
        connection.sendall(whole)
        if len(connections) == 1:
            connection.recv(65536)  # Ends it only once the next request is on its way.

    source = HttpSource(serve(answer).url, KEY)
    source.manifest()
    source.manifest()
    assert len(connections) == 2


def test_connections_are_kept_between_requests(serve: Serve) -> None:
    once = http("200 OK", json.dumps(MANIFEST).encode())
    connections = []

    def answer(connection: socket.socket) -> None:
        connections.append(connection)
        connection.sendall(once)
        connection.recv(65536)
        connection.sendall(once)

    source = HttpSource(serve(answer).url, KEY)
    source.manifest()
    source.manifest()
    assert len(connections) == 1


# Digests, and the records behind them.


def test_digests_are_asked_for_with_what_is_left_out(serve: Serve) -> None:
    server = serve(http("200 OK", DIGESTS))
    request = Request(models=("app.copy", "app.b"), omitted={"app.copy": ["a", "b"], "app.other": ["c"]})
    with HttpSource(server.url, KEY).digests(request) as blocks:
        assert b"".join(blocks) == DIGESTS
    assert server.requests[0].startswith(
        "GET /data_sync/digests?models=app.copy,app.b&omit=app.copy.a,app.copy.b HTTP/1.1\r\n"
    )
    with HttpSource(server.url, KEY).stream(request):
        pass
    assert server.requests[1].startswith(
        "GET /data_sync/export?models=app.copy,app.b&omit=app.copy.a,app.copy.b HTTP/1.1\r\n"
    )


def test_a_cut_listing_is_never_taken_for_whole(serve: Serve) -> None:
    for size in range(0, len(DIGESTS), 7):
        source = HttpSource(serve(http("200 OK", DIGESTS[:size], length=-1)).url, KEY)

        def entries(source: HttpSource = source) -> None:
            with source.digests(COPIES) as blocks:
                list(DigestReader(blocks, ["app.copy"]))

        failure(entries, IncompleteStream)


def test_records_are_asked_for_by_a_post_of_canonical_json(serve: Serve, elsewhere: None) -> None:
    server = serve(http("200 OK", gzip.compress(STREAM), Content_Encoding="gzip"))
    source = HttpSource(server.url + "/api", KEY)
    omitting = Request(models=("app.copy",), omitted={"app.copy": ["b", "a"], "app.other": ["c"]})
    for request, body in (
        (COPIES, '{"handles":[3,"é"],"model":"app.copy"}'),
        (omitting, '{"handles":[3,"é"],"model":"app.copy","omit":["b","a"]}'),
    ):
        with source.records(request, [3, "é"]) as blocks:
            assert b"".join(blocks) == STREAM
        head, _, sent = server.requests[-1].partition("\r\n\r\n")
        assert head.splitlines()[0] == "POST /api/data_sync/records HTTP/1.1"
        assert f"Authorization: Bearer {KEY}" in head
        assert f"Host: 127.0.0.1:{server.port}" in head
        assert "Content-Type: application/json" in head
        assert "Accept-Encoding: gzip" in head
        assert sent == body


def test_no_batch_of_handles_makes_a_body_of_500_kb(serve: Serve) -> None:
    server = serve(http("200 OK", STREAM))
    source = HttpSource(server.url, KEY)
    for handles in (range(-(2**63), -(2**63) + 12_000), (f"{number:0300}é" for number in range(3000))):
        for batch in handle_batches(handles):
            with source.records(COPIES, batch):
                pass
    assert max(len(request.encode()) for request in server.requests) < 500_000
    assert len(server.requests) < 8


def test_keys_are_asked_for_in_batches_and_only_they_are_taken(serve: Serve) -> None:
    server = serve(http("200 OK", b'{"outside":[["7"],["never asked for"]]}'))
    keys = [f'["{number}"]' for number in range(12_000)]
    assert HttpSource(server.url, KEY).outside("app.copy", keys) == {'["7"]'}
    assert len(server.requests) == 3
    assert server.requests[0].partition("\r\n\r\n")[2].startswith('{"model":"app.copy","outside":[["0"],["1"],')
    assert HttpSource(server.url, KEY).outside("app.copy", []) == set()
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[]", b"{}", b'{"outside":7}', b'{"outside":[],"outside":[]}', b"[" * 100_000]
)
def test_anything_but_a_list_of_keys_is_refused(body: bytes, serve: Serve) -> None:
    source = HttpSource(serve(http("200 OK", body)).url, KEY)
    assert str(failure(lambda: source.outside("app.copy", ['["7"]']), MalformedStream)).startswith("The source http")


def test_a_list_of_keys_has_a_limit(serve: Serve) -> None:
    server = serve(http("200 OK", b" " * (MAX_OUTSIDE + 1)))
    assert "larger than" in str(
        failure(lambda: HttpSource(server.url, KEY).outside("app.copy", ['["7"]']), MalformedStream)
    )


ASKING: list[Callable[[HttpSource], Any]] = [
    lambda source: list(source.digests(COPIES).__enter__()),
    lambda source: list(source.records(COPIES, [1]).__enter__()),
    lambda source: source.outside("app.copy", ['["7"]']),
]


@pytest.mark.parametrize("ask", ASKING)
def test_no_request_follows_a_redirect_nor_goes_where_it_may_not(
    ask: Callable[[HttpSource], Any], serve: Serve, settings: Any
) -> None:
    inside = serve(http("200 OK", STREAM))
    for status in ("301 Moved", "307 Temporary", "308 Permanent"):
        source = HttpSource(serve(http(status, Location=f"{inside.url}/data_sync/records")).url, KEY)
        assert "redirects are not followed" in str(failure(lambda source=source: ask(source)))
    source = HttpSource(inside.url, KEY)
    settings.DATA_SYNC_ALLOWED_HOSTS = []
    assert "not public" in str(failure(lambda: ask(source)))
    assert inside.requests == []


@pytest.mark.parametrize("ask", [ASKING[1], ASKING[2]])
def test_a_request_with_a_body_has_a_deadline_too(
    ask: Callable[[HttpSource], Any], serve: Serve, settings: Any
) -> None:
    settings.DATA_SYNC_REQUEST_TIMEOUT = 0.5
    server = serve(b"")
    server.answer = server.drips(b"HTTP/1.1 200 OK\r\n", b"X-Pad: 1\r\n", 0.05)
    assert "DATA_SYNC_REQUEST_TIMEOUT" in str(failure(lambda: ask(HttpSource(server.url, KEY))))


def test_a_connection_that_has_ended_is_made_anew_for_a_body_too(serve: Serve) -> None:
    # It closes, so that the client need not have seen yet that the first connection has ended.
    whole = sends(http("200 OK", STREAM, Connection="close"))
    answers = [whole, sends(b""), whole]
    server = serve(lambda connection: answers.pop(0)(connection))
    source = HttpSource(server.url, KEY)
    for _ in range(2):
        with source.records(COPIES, [1]) as blocks:
            assert b"".join(blocks) == STREAM
    assert [request.partition("\r\n\r\n")[2] for request in server.requests] == [
        '{"handles":[1],"model":"app.copy"}'
    ] * 3


# What the source refuses.

REFUSALS: list[tuple[str, bytes, str, str]] = [
    ("400 Bad", b'{"error":"No such field."}', "answer", r"\(400\). It says: “No such field.” Are both sides"),
    ("413 Too Large", b"", "answer", r"no request of this length \(413\).*raise that limit"),
    ("401 Unauthorized", b"", "key", r"refused the export key \(401\).*data_sync key create"),
    ("403 Forbidden", b'{"error":"Not this."}', "key", r"\(403\). It says: “Not this.” Ask for fewer models"),
    (
        "404 Not Found",
        b"<h1>Nothing</h1>",
        "answer",
        r"\(404\). Does the project there include data_sync.urls",
    ),
    ("404 Not Found", b'{"error":"No app.x."}', "answer", r"\(404\). It says: “No app.x.”"),
    ("409 Conflict", b'{"error":"Row 7."}', "answer", r"\(409\). It says: “Row 7.” Mend it there"),
    ("429 Too Many", b"", "answer", r"\(429\). Pull again later"),
    ("500 Oops", b"<pre>Traceback", "answer", r"failed \(500\). Its own log"),
    ("502 Bad Gateway", b"", "answer", r"failed \(502\)"),
    ("503 Busy", b'{"error":"Disk full."}', "answer", r"\(503\). It says: “Disk full.” Pull again later"),
    ("418 Teapot", b"", "answer", r"status 418, which data_sync does not send"),
    ("206 Partial Content", b"", "answer", r"status 206"),
    ("204 No Content", b"", "answer", r"status 204"),
]


@pytest.mark.parametrize(("status", "body", "stage", "pattern"), REFUSALS)
def test_each_refusal_names_source_status_reason_and_remedy(
    status: str, body: bytes, stage: str, pattern: str, serve: Serve
) -> None:
    server = serve(http(status, body))
    error = failure(HttpSource(server.url + "/api", KEY).manifest, SourceFailed)
    assert isinstance(error, SourceFailed)
    assert error.stage == stage
    assert str(error).startswith(f"The source {server.url}/api ")
    with pytest.raises(SourceFailed, match=pattern):
        raise error


def test_a_source_that_says_when_is_quoted(serve: Serve) -> None:
    assert "Pull again in 30 seconds" in str(
        failure(HttpSource(serve(http("503 Busy", Retry_After="30")).url, KEY).manifest)
    )


def test_a_file_that_is_gone_is_a_wrong_file(serve: Serve) -> None:
    def fetch() -> None:
        with HttpSource(serve(http("404 Not Found", b'{"error":"Gone."}')).url, KEY).open_file("sha256:" + "a" * 64):
            pass

    assert "“Gone.”" in str(failure(fetch, WrongFile))


@pytest.mark.parametrize(
    ("body", "quoted"),
    [
        ({"error": "a\x1b[31m\r\nb\u202ec"}, "“a [31m b c”"),
        ({"error": "x" * 5000}, "x" * 499 + "…”"),
        ({"error": 7}, None),
        (["error"], None),
    ],
)
def test_a_source_s_words_are_quoted_short_and_on_one_line(body: Any, quoted: str | None, serve: Serve) -> None:
    message = str(failure(HttpSource(serve(http("409 Conflict", json.dumps(body).encode())).url, KEY).manifest))
    assert message.isprintable()
    assert quoted in message if quoted else "It says" not in message


@pytest.mark.parametrize("status", ["500", "302", "401"])
def test_an_endless_refusal_is_not_read_to_its_end(status: str, serve: Serve, settings: Any) -> None:
    settings.DATA_SYNC_REQUEST_TIMEOUT = 60
    started = time.monotonic()
    server = serve(b"")
    server.answer = server.drips(http(f"{status} Oops", length=-1, Location="/elsewhere"), b"x" * 65536, 0)
    assert f"({status})" in str(failure(lambda: read(HttpSource(server.url, KEY))))
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "answer",
    [
        http("409 Conflict", b"not gzip", Content_Encoding="gzip"),
        http("409 Conflict", b"x", Content_Encoding="br"),
        http("409 Conflict", b"{", length=1000),
        http("409 Conflict", b"\xff"),
    ],
)
def test_a_refusal_with_a_broken_body_is_still_told_by_its_status(answer: bytes, serve: Serve) -> None:
    assert "(409). Mend it there" in str(failure(HttpSource(serve(answer).url, KEY).manifest))


def test_a_refusal_that_falls_silent_is_still_told_by_its_status(serve: Serve, settings: Any) -> None:
    settings.DATA_SYNC_READ_TIMEOUT = 0.3
    server = serve(b"")
    server.answer = server.falls_silent(http("409 Conflict", b'{"error":', length=1000))
    assert "(409). Mend it there" in str(failure(HttpSource(server.url, KEY).manifest))


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent", "304 Same"])
def test_a_redirect_is_not_followed_and_its_goal_is_named_without_secrets(status: str, serve: Serve) -> None:
    inside = serve(http("200 OK", json.dumps(MANIFEST).encode()))
    target = f"http://user:pass@127.0.0.1:{inside.port}/latest?token=x"
    error = failure(HttpSource(serve(http(status, Location=target)).url, KEY).manifest, SourceFailed)
    assert "redirects to http://127.0.0.1/latest (" in str(error)
    assert "token" not in str(error)
    assert "pass@" not in str(error)
    assert inside.requests == []


@pytest.mark.parametrize("location", ["", "http://[", "\u00ff\u0080", "/login/?next=/", "x" * 4000])
def test_a_redirect_to_anything_is_still_a_sentence(location: str, serve: Serve) -> None:
    message = str(failure(HttpSource(serve(http("302 Found", Location=location)).url, KEY).manifest))
    assert "redirects to" in message
    assert message.isprintable()
    assert len(message) < 600


def test_a_redirect_to_a_log_in_page_is_said_to_be_one(serve: Serve) -> None:
    server = serve(
        http("302 Found", Location="https://staging.example.com/accounts/login/?next=/api/data_sync/manifest")
    )
    message = str(failure(HttpSource(server.url, KEY).manifest, SourceFailed))
    assert "redirects to https://staging.example.com/accounts/login/ (302)" in message
    assert "this leads to a log-in page" in message
    assert "the prefix that data_sync.urls is included under" in message
    assert "make it the source's URL" not in message


def test_a_web_page_instead_of_data_is_said_to_be_one(serve: Serve) -> None:
    server = serve(http("200 OK", b"<html>Log in", Content_Type="text/html; charset=utf-8"))
    assert "a web page instead of data" in str(failure(HttpSource(server.url, KEY).manifest))
    assert "a web page instead of data" in str(failure(lambda: read(HttpSource(server.url, KEY))))


# What a manifest may be.


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"not json",
        b'{"format":"data-sync-manifest","protocol":2,"models":{}}',
        b'{"format":"data-sync-manifest","protocol":1}',
        b'{"format":"data-sync-manifest","protocol":1,"models":{"a":1}}',
        b'{"format":"data-sync-manifest","protocol":1,"models":{},"keys":[]}',
        b'{"format":"data-sync-manifest","protocol":1,"models":{},"keys":{"a":{"key":["b"]}}}',
        b'{"format":"data-sync-manifest","protocol":1,"models":{},"keys":{"a":{"key":[1],"key_types":[]}}}',
        b'{"format":"data-sync-manifest","protocol":1,'
        b'"models":{"a":{"key":[],"fields":{},"files":{},"count":0,"scoped":1}}}',
        b'{"format":"data-sync-manifest","format":"x","protocol":1,"models":{}}',
        b'{"format":"data-sync-manifest","protocol":NaN,"models":{}}',
        b'{"format":"data-sync-manifest","protocol":1e400,"models":{}}',
        b'{"format":"\\ud800","protocol":1,"models":{}}',
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"format":"data-sync-manifest","protocol":' + b"9" * 5000 + b"}",
    ],
)
def test_anything_but_a_manifest_is_refused_by_the_source_s_name(body: bytes, serve: Serve) -> None:
    server = serve(http("200 OK", body, Content_Type="application/json"))
    error = failure(HttpSource(server.url, KEY).manifest, MalformedStream)
    assert str(error).startswith(f"The source {server.url} sent a manifest that cannot be used: ")


def test_a_manifest_has_a_limit(serve: Serve) -> None:
    server = serve(http("200 OK", b" " * (MAX_MANIFEST + 1)))
    assert "larger than" in str(failure(HttpSource(server.url, KEY).manifest, MalformedStream))


# What never gets as far as an answer.


def test_a_name_without_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(addresses.socket, "getaddrinfo", getaddrinfo)
    error = failure(HttpSource("https://staging.example", KEY).manifest, SourceFailed)
    assert "the name staging.example has no address (Name or service not known)" in str(error)
    assert getattr(error, "stage", "") == "address"


def test_a_name_with_a_private_address_is_not_connected_to(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(http("200 OK"))
    monkeypatch.setattr(
        addresses.socket, "getaddrinfo", lambda host, port, **_: [(2, 1, 6, "", ("127.0.0.2", server.port))]
    )
    error = failure(HttpSource(f"https://staging.example:{server.port}", KEY).manifest, SourceFailed)
    assert "127.0.0.2, which is not public" in str(error)
    assert server.requests == []


def test_a_port_that_nobody_listens_on(serve: Serve) -> None:
    server = serve(http("200 OK"))
    server.close()
    error = failure(HttpSource(server.url, KEY).manifest, SourceFailed)
    assert "no connection could be made (Connection refused)" in str(error)
    assert getattr(error, "stage", "") == "connect"


def test_a_host_that_takes_no_connection(settings: Any) -> None:
    settings.DATA_SYNC_CONNECT_TIMEOUT = 0.3
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        error = failure(HttpSource(url, KEY).manifest, SourceFailed)
        for filler in fillers:
            filler.close()
    assert "it accepted no connection within 0.3 seconds" in str(error)


def test_a_second_address_is_tried_where_the_first_is_dead(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(http("200 OK", json.dumps(MANIFEST).encode()))
    monkeypatch.setattr(
        transport,
        "resolve",
        lambda url: [ipaddress.ip_address("127.0.0.9"), ipaddress.ip_address("127.0.0.1")],
    )
    assert HttpSource(server.url, KEY).manifest().models


@pytest.mark.parametrize(
    "answer",
    [b"", b"SSH-2.0-OpenSSH_9\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500],
)
def test_what_is_not_http(answer: bytes, serve: Serve) -> None:
    assert "not HTTP" in str(failure(HttpSource(serve(answer).url, KEY).manifest))


def test_proxies_of_the_environment_are_not_used(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = serve(http("200 OK", b"{}"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    HttpSource(serve(http("200 OK", json.dumps(MANIFEST).encode())).url, KEY).manifest()
    assert proxy.requests == []


# TLS.


def test_a_certificate_of_nobody_s_is_refused(serve: Serve, tmp_path: Path) -> None:
    server = serve(http("200 OK"), Authority(tmp_path).context("127.0.0.1"))
    error = failure(HttpSource(server.url, KEY).manifest, SourceFailed)
    assert getattr(error, "stage", "") == "tls"
    assert "its certificate is not valid: unable to get local issuer certificate" in str(error)
    assert "DATA_SYNC_CA_BUNDLE" in str(error)
    assert server.requests == []


def test_a_bundle_in_the_environment_does_not_change_that(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.file))
    server = serve(http("200 OK"), authority.context("127.0.0.1"))
    failure(HttpSource(server.url, KEY).manifest)


@pytest.mark.parametrize(
    ("names", "expired", "reason"),
    [
        (["other.example"], False, "IP address mismatch"),
        (["127.0.0.1"], True, "certificate has expired"),
    ],
)
def test_a_certificate_must_be_for_the_host_and_of_today(
    names: list[str], expired: bool, reason: str, serve: Serve, tmp_path: Path, settings: Any
) -> None:
    authority = Authority(tmp_path)
    settings.DATA_SYNC_CA_BUNDLE = authority.file
    server = serve(http("200 OK"), authority.context(*names, expired=expired))
    assert reason in str(failure(HttpSource(server.url, KEY).manifest))
    assert server.requests == []


def test_the_name_is_resolved_once_and_the_certificate_checked_for_it(
    serve: Serve, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that answers differently the second time is not asked a second time."""
    authority = Authority(tmp_path)
    settings.DATA_SYNC_CA_BUNDLE = authority.file
    server = serve(http("200 OK", json.dumps(MANIFEST).encode()), authority.context("source.example"))
    asked = []
    real = socket.getaddrinfo

    def getaddrinfo(host: str, *arguments: Any, **options: Any) -> Any:
        if host != "source.example":
            return real(host, *arguments, **options)
        asked.append(host)
        return real("127.0.0.1" if len(asked) == 1 else "127.0.0.3", *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    source = HttpSource(f"https://source.example:{server.port}/api", KEY)
    source.manifest()
    source.manifest()
    assert asked == ["source.example"]
    assert len(server.requests) == 2
    assert f"Host: source.example:{server.port}" in server.requests[0]


def test_plain_http_behind_an_https_url(serve: Serve) -> None:
    server = serve(http("400 Bad Request"))
    error = failure(HttpSource(server.url.replace("http:", "https:"), KEY).manifest, SourceFailed)
    assert getattr(error, "stage", "") == "tls"
    assert "TLS failed (" in str(error)


def test_a_handshake_that_never_comes(serve: Serve, settings: Any) -> None:
    settings.DATA_SYNC_CONNECT_TIMEOUT = 0.3
    listener = socket.create_server(("127.0.0.1", 0))
    error = failure(HttpSource(f"https://127.0.0.1:{listener.getsockname()[1]}", KEY).manifest, SourceFailed)
    listener.close()
    assert "longer than 0.3 seconds over the handshake" in str(error)


def test_a_missing_bundle_is_named(settings: Any) -> None:
    settings.DATA_SYNC_CA_BUNDLE = "/nowhere/ca.pem"
    assert "/nowhere/ca.pem, which does not exist" in str(failure(HttpSource("https://127.0.0.1", KEY).manifest))


# Slow, cut and swollen answers.


def test_silence_before_the_answer(serve: Serve, settings: Any) -> None:
    settings.DATA_SYNC_READ_TIMEOUT = 0.3
    server = serve(b"")
    server.answer = server.falls_silent(b"")
    assert "it was silent for 0.3 seconds" in str(failure(HttpSource(server.url, KEY).manifest))


def test_silence_in_the_middle(serve: Serve, settings: Any) -> None:
    settings.DATA_SYNC_READ_TIMEOUT = 0.3
    server = serve(b"")
    server.answer = server.falls_silent(http("200 OK", STREAM[:5000], length=len(STREAM)))
    assert "fell silent for 0.3 seconds" in str(failure(lambda: read(HttpSource(server.url, KEY))))


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(
    "head", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", http("200 OK", length=-1), http("200 OK", length=10**9)]
)
def test_a_byte_now_and_then_ends_at_the_deadline(
    head: bytes, tls: bool, serve: Serve, settings: Any, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    settings.DATA_SYNC_CA_BUNDLE = authority.file
    settings.DATA_SYNC_REQUEST_TIMEOUT = 0.6
    server = serve(b"", authority.context("127.0.0.1") if tls else None)
    server.answer = server.drips(head, b"H", 0.02)
    started = time.monotonic()
    error = failure(lambda: read(HttpSource(server.url, KEY)))
    assert "took longer than 0.6 seconds in all" in str(error)
    assert time.monotonic() - started < 20


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ZIPPED = gzip.compress(STREAM)


@pytest.mark.parametrize(
    "answer",
    [
        http("200 OK", STREAM[:9000], length=len(STREAM)),
        CHUNKED + b"1000\r\n" + STREAM[:0x1000] + b"\r\n",
        CHUNKED + b"1000\r\n" + STREAM[:0x10],
        http("200 OK", STREAM[:9000], length=-1),
        http("200 OK", ZIPPED[:-9], length=-1, Content_Encoding="gzip"),
        http("200 OK", ZIPPED[:-1], Content_Encoding="gzip"),
        http("200 OK", ZIPPED[: len(ZIPPED) // 2], length=len(ZIPPED), Content_Encoding="gzip"),
        http("200 OK", b"", length=-1, Content_Encoding="gzip"),
        http("200 OK", b""),
    ],
    ids=[
        "length",
        "chunks",
        "chunk",
        "closed",
        "gzip tail",
        "gzip byte",
        "gzip half",
        "gzip nothing",
        "nothing",
    ],
)
def test_a_cut_answer_is_never_taken_for_whole(answer: bytes, serve: Serve) -> None:
    failure(lambda: rows(HttpSource(serve(answer).url, KEY)), IncompleteStream)


def test_a_cut_answer_names_the_source_where_the_connection_tells(serve: Serve) -> None:
    server = serve(http("200 OK", STREAM[:9000], length=len(STREAM)))
    message = str(failure(lambda: read(HttpSource(server.url, KEY)), IncompleteStream))
    assert message.startswith(f"The source {server.url} did not send its whole answer")
    assert "pull again" in message


@pytest.mark.parametrize(
    ("body", "encoding", "reason"),
    [
        (b"not gzip at all", "gzip", "says that it is gzip, but it is not"),
        (ZIPPED[:100] + b"\xff" * 100 + ZIPPED[200:], "gzip", "says that it is gzip, but it is not"),
        (ZIPPED + b"more", "gzip", "goes on after its end"),
        (ZIPPED + ZIPPED, "gzip", "goes on after its end"),
        (ZIPPED + b"\0" * 200_000, "gzip", "goes on after its end"),
        (zlib.compress(STREAM), "deflate", "encoded as 'deflate'"),
        (STREAM, "br", "encoded as 'br'"),
        (STREAM, "gzip, gzip", "encoded as 'gzip, gzip'"),
    ],
)
def test_a_body_in_a_coding_of_its_own_is_refused(body: bytes, encoding: str, reason: str, serve: Serve) -> None:
    server = serve(http("200 OK", body, Content_Encoding=encoding))
    assert reason in str(failure(lambda: read(HttpSource(server.url, KEY)), MalformedStream))


def test_a_gzip_bomb_stops_at_the_limit_in_little_memory(serve: Serve, settings: Any) -> None:
    settings.DATA_SYNC_MAX_STREAM_BYTES = 200_000_000
    packer = zlib.compressobj(9, wbits=31)
    zeros = b"\0" * 10_000_000
    bomb = b"".join(packer.compress(zeros) for _ in range(100)) + packer.flush()
    server = serve(http("200 OK", bomb, Content_Encoding="gzip"))
    size = 0

    def swallow() -> None:
        nonlocal size
        with HttpSource(server.url, KEY).stream(COPIES) as blocks:
            for block in blocks:
                size += len(block)

    del packer, zeros
    tracemalloc.start()
    message = str(failure(swallow, MalformedStream))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "larger than 200000000 bytes" in message
    assert size <= 200_000_000
    assert peak < 4_000_000


@pytest.mark.parametrize("head", [http("200 OK", length=-1), CHUNKED])
def test_an_endless_answer_stops_at_the_limit(head: bytes, serve: Serve, settings: Any) -> None:
    settings.DATA_SYNC_MAX_STREAM_BYTES = 5_000_000
    block = b"x" * 65536
    server = serve(b"")
    server.answer = server.drips(head, block if head != CHUNKED else b"10000\r\n" + block + b"\r\n", 0)
    assert "larger than 5000000 bytes" in str(failure(lambda: read(HttpSource(server.url, KEY)), MalformedStream))


def test_endless_empty_gzip_blocks_stop_at_the_limit_on_the_wire(serve: Serve, settings: Any) -> None:
    settings.DATA_SYNC_MAX_STREAM_BYTES = 1_000_000
    packer = zlib.compressobj(wbits=31)
    packer.compress(b"x")
    packer.flush(zlib.Z_SYNC_FLUSH)
    server = serve(b"")
    start = http("200 OK", gzip.compress(b"x")[:10], length=-1, Content_Encoding="gzip")
    server.answer = server.drips(start, b"\x00\x00\x00\xff\xff" * 10_000, 0)
    assert "larger than 1000000 bytes" in str(failure(lambda: read(HttpSource(server.url, KEY)), MalformedStream))


# Nothing shows the key.


def test_the_key_is_in_no_repr_and_no_log(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    source = HttpSource(serve(http("500 Oops")).url, KEY)
    failure(source.manifest)
    assert "canary" not in repr(source)
    assert "canary" not in caplog.text
    source.close()
    failure(source.manifest)


def test_what_the_reader_raises_passes_through_unchanged(serve: Serve) -> None:
    source = HttpSource(serve(http("200 OK", STREAM)).url, KEY)
    with pytest.raises(MalformedStream, match=r"^mine$"), source.stream(COPIES):
        raise MalformedStream("mine")


# One deadline, from the name to the last byte.


def test_a_name_server_that_does_not_answer_is_not_waited_for(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DATA_SYNC_CONNECT_TIMEOUT = 0.3
    answered = threading.Event()

    def getaddrinfo(*_: Any, **__: Any) -> Any:
        answered.wait(30)
        return []

    monkeypatch.setattr(addresses.socket, "getaddrinfo", getaddrinfo)
    error = failure(HttpSource("https://staging.example", KEY).manifest, SourceFailed)
    assert "the name staging.example was not resolved within 0.3 seconds" in str(error)
    assert getattr(error, "stage", "") == "address"
    answered.set()


def test_many_addresses_that_take_no_connection_end_at_the_deadline(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATA_SYNC_REQUEST_TIMEOUT = 0.5
    settings.DATA_SYNC_ALLOWED_HOSTS = ["127.0.0.0/8"]
    found = [ipaddress.ip_address(f"127.0.1.{number}") for number in range(1, 100)]
    monkeypatch.setattr(transport, "resolve", lambda url: found)
    tried: list[Any] = []

    def hangs(self: Any) -> Any:
        tried.append(self.timeout)
        time.sleep(self.timeout)
        raise transport.urllib3.exceptions.ConnectTimeoutError(self, "so it was told to")

    monkeypatch.setattr("urllib3.connection.HTTPConnection._new_conn", hangs)
    started = time.monotonic()
    failure(HttpSource("https://127.0.0.1", KEY).manifest, SourceFailed)
    assert time.monotonic() - started < 5
    assert len(tried) < 10
    assert max(tried) <= 0.5


def test_a_source_that_reads_no_request_ends_at_the_deadline(settings: Any) -> None:
    settings.DATA_SYNC_REQUEST_TIMEOUT = 0.5
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        keys = [f'["{"x" * 1000}{number}"]' for number in range(5000)]
        started = time.monotonic()
        assert "DATA_SYNC_REQUEST_TIMEOUT" in str(failure(lambda: HttpSource(url, KEY).outside("app.copy", keys)))
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("whole", [True, False])
def test_a_source_cannot_send_more_rows_than_are_taken(
    whole: bool, serve: Serve, settings: Any, tmp_path: Path
) -> None:
    from data_sync.services.reading import THERE, Side

    settings.DATA_SYNC_MAX_ROWS = 1999
    entries = [(number.to_bytes(8, "big"), b"d" * 16, number) for number in range(2000)]
    listing = b"".join(write_digests(["app.copy"], {"app.copy": "integer"}, [("app.copy", [entries])]))
    source = HttpSource(serve(http("200 OK", STREAM if whole else listing)).url, KEY)
    with (tmp_path / "a").open("w+b") as one, (tmp_path / "b").open("w+b") as other:
        side = Side(THERE, source, COPIES, [one, other], whole=whole)
        words = str(failure(lambda: side.read(lambda rows: None), MalformedStream))
    assert "more than 1999 records" in words or "row 2000 of app.copy" in words
