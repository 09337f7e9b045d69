"""A proxy that a setting names: it gets the checked address, sees no name, and holds no key of the TLS in it."""

from __future__ import annotations

import logging
import re
import socket
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_sync.core.errors import DataSyncError
from data_sync.sources.http import HttpSource, SourceFailed
from data_sync.sources.proxy import parse_proxy

from .hostile import Authority, Server, http, sends

KEY = "ds_canary.canarycanarycanarycanarycanarycanarycanary1"
MANIFEST = http("200 OK", b'{"format":"data-sync-manifest","protocol":1,"models":{}}')


class ConnectProxy:
    """A small proxy: takes CONNECT, and passes bytes on. `answer` is given in place of a connection."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.seen = b""
        self.answer = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        if self._listener.fileno() != -1:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._tunnel, args=(connection,), daemon=True).start()

    def _tunnel(self, near: socket.socket) -> None:
        try:
            with near:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += near.recv(65536) or b"\r\n\r\n"
                self.heads.append(head.decode())
                if self.answer:
                    near.sendall(self.answer)
                    return
                host, port = re.match(r"CONNECT \[?(.+?)\]?:(\d+) ", head.decode()).groups()  # type: ignore[union-attr]
                with socket.create_connection((host, int(port))) as far:
                    near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    threading.Thread(target=self._pass, args=(far, near), daemon=True).start()
                    self._pass(near, far)
        except OSError:
            pass

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while block := one.recv(65536):
                self.seen += block
                other.sendall(block)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@pytest.fixture
def proxy(settings: Any) -> Iterator[ConnectProxy]:
    started = ConnectProxy()
    settings.DATA_SYNC_PROXY = f"http://127.0.0.1:{started.port}"
    settings.DATA_SYNC_ALLOWED_HOSTS = ["source.example"]
    settings.DATA_SYNC_CONNECT_TIMEOUT = settings.DATA_SYNC_READ_TIMEOUT = 5
    yield started
    started.close()


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """source.example is on this machine; gives the names that were asked for."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: str, *arguments: Any, **options: Any) -> Any:
        asked.append(host)
        return real("127.0.0.1" if host == "source.example" else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def failure(url: str) -> SourceFailed:
    with pytest.raises(SourceFailed) as raised:
        HttpSource(url, KEY).manifest()
    report = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    frames = [frame for frame in report.stack if "data_sync/" in frame.filename]
    shown = "".join(report.format_exception_only()) + str([frame.locals for frame in frames])
    assert "canary" not in shown
    assert "pass-word" not in shown
    return raised.value


def test_tls_is_verified_for_the_source_s_name_through_the_proxy(
    proxy: ConnectProxy, tmp_path: Path, settings: Any
) -> None:
    authority = Authority(tmp_path)
    settings.DATA_SYNC_CA_BUNDLE = authority.file
    source = Server(sends(MANIFEST), authority.context("source.example"))
    remote = HttpSource(f"https://source.example:{source.port}/api", KEY)
    remote.manifest()
    remote.manifest()
    assert {head.splitlines()[0] for head in proxy.heads} <= {
        f"CONNECT 127.0.0.1:{source.port} HTTP/1.{minor}" for minor in (0, 1)
    }
    assert proxy.heads
    assert "Authorization" not in "".join(proxy.heads)
    assert b"canary" not in proxy.seen
    assert f"Host: source.example:{source.port}" in source.requests[0]
    other = Server(sends(MANIFEST), authority.context("other.example"))
    assert failure(f"https://source.example:{other.port}").stage == "tls"
    assert other.requests == []
    for server in (source, other):
        server.close()


def test_plain_http_goes_through_the_proxy_to_the_checked_address(proxy: ConnectProxy) -> None:
    source = Server(sends(MANIFEST))
    HttpSource(f"http://source.example:{source.port}/api", KEY).manifest()
    assert proxy.heads[0].startswith(f"CONNECT 127.0.0.1:{source.port} ")
    assert source.requests[0].startswith("GET /api/data_sync/manifest HTTP/1.1\r\n")
    assert f"Host: source.example:{source.port}" in source.requests[0]
    source.close()


def test_the_proxy_makes_no_private_address_a_public_one(proxy: ConnectProxy, settings: Any) -> None:
    """It is private itself; that is the operator's word, and counts for nothing else."""
    settings.DATA_SYNC_ALLOWED_HOSTS = []
    assert failure("https://source.example").stage == "address"
    assert proxy.heads == []


def test_the_proxy_is_told_its_user_and_the_source_is_not(proxy: ConnectProxy, settings: Any) -> None:
    settings.DATA_SYNC_PROXY = f"http://us%40er:pass-word@127.0.0.1:{proxy.port}"
    source = Server(sends(MANIFEST))
    HttpSource(f"http://source.example:{source.port}", KEY).manifest()
    assert "Proxy-Authorization: Basic dXNAZXI6cGFzcy13b3Jk\r\n" in proxy.heads[0]
    assert "Proxy-Authorization" not in source.requests[0]
    assert KEY not in proxy.heads[0]
    source.close()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "answered with status 407"),
        (b"HTTP/1.1 403 pass-word canary\r\n\r\n", "answered with status 403"),
        (b"SSH-2.0-OpenSSH_9\r\n", "ended the connection, or does not speak HTTP"),
    ],
)
def test_a_proxy_that_refuses_is_named_without_its_password(
    answer: bytes, reason: str, proxy: ConnectProxy, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings.DATA_SYNC_PROXY = f"http://user:pass-word@127.0.0.1:{proxy.port}"
    proxy.answer = answer
    error = failure("https://source.example")
    assert error.stage == "proxy"
    assert f"the proxy 127.0.0.1:{proxy.port} {reason}" in str(error)
    assert "Check DATA_SYNC_PROXY" in str(error)
    assert "pass-word" not in caplog.text


def test_a_proxy_that_is_not_there_is_named(proxy: ConnectProxy) -> None:
    proxy.close()
    error = failure("https://source.example")
    assert (error.stage, "Connection refused" in str(error)) == ("proxy", True)


def test_a_proxy_that_never_ends_its_answer_ends_at_the_deadline(proxy: ConnectProxy, settings: Any) -> None:
    settings.DATA_SYNC_REQUEST_TIMEOUT = 0.5
    listener = socket.create_server(("127.0.0.1", 0))
    settings.DATA_SYNC_PROXY = f"http://127.0.0.1:{listener.getsockname()[1]}"
    closing = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                while not closing.wait(0.02):
                    connection.sendall(b"X: y\r\n")
            except OSError:
                pass

    threading.Thread(target=drip, daemon=True).start()
    assert "DATA_SYNC_REQUEST_TIMEOUT" in str(failure("https://source.example"))
    closing.set()
    listener.close()


def test_a_proxy_of_the_environment_is_not_used_beside_or_without_the_setting(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATA_SYNC_ALLOWED_HOSTS = ["source.example"]
    other = ConnectProxy()
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{other.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    source = Server(sends(MANIFEST))
    HttpSource(f"http://source.example:{source.port}", KEY).manifest()
    failure(f"https://source.example:{source.port}")
    chosen = ConnectProxy()
    settings.DATA_SYNC_PROXY = f"http://127.0.0.1:{chosen.port}"
    HttpSource(f"http://source.example:{source.port}", KEY).manifest()
    assert (len(chosen.heads), other.heads) == (1, [])
    for server in (source, other, chosen):
        server.close()


@pytest.mark.parametrize(
    "text",
    [
        "proxy.example:3128",
        "https://proxy.example:3128",
        "socks5://proxy.example:1080",
        "http://proxy.example",
        "http://:3128",
        "http://proxy.example:0",
        "http://proxy.example:99999",
        "http://pass-word@proxy.example:3128/path",
        "http://user:pass-word@proxy.example:3128?x",
        "http://user:pass-word@[::1",
        "http://pass-word pass-word:3128",
    ],
)
def test_anything_but_an_http_proxy_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(DataSyncError, match=r"http://user:password@host:port") as refused:
        parse_proxy(text)
    assert "pass-word" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_proxy_shows_where_it_is_and_nothing_else() -> None:
    proxy = parse_proxy("http://user:pass-word@proxy.example:3128")
    assert str(proxy) == "proxy.example:3128"
    assert "pass-word" not in repr(proxy) + str(proxy)
    assert str(parse_proxy("http://[::1]:3128/")) == "[::1]:3128"
    assert parse_proxy("") is None
