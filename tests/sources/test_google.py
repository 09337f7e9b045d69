"""Sources on Cloud Run or behind IAP get a token of Google's beside the export key, or in place of it."""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from data_sync.sources import google_tokens
from data_sync.sources.http import HttpSource, SourceFailed
from data_sync.sources.identity import Identity
from tests import google

from .hostile import Authority, Server, http, sends

KEY = "ds_canary.canarycanarycanarycanarycanarycanarycanary1"
AUDIENCE = "https://source-abc-ew.a.run.app"
MANIFEST = http("200 OK", b'{"format":"data-sync-manifest","protocol":1,"models":{}}')


@pytest.fixture(scope="module")
def account() -> google.Account:
    return google.Account()


@pytest.fixture
def metadata(account: google.Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[google.Metadata]:
    with google.on_google(account, monkeypatch) as server:
        yield server


@pytest.fixture
def source(settings: Any, tmp_path: Path) -> Iterator[Server]:
    authority = Authority(tmp_path)
    settings.DATA_SYNC_ALLOWED_HOSTS = ["127.0.0.1"]
    settings.DATA_SYNC_CA_BUNDLE = authority.file
    server = Server(sends(MANIFEST), authority.context("127.0.0.1"))
    yield server
    server.close()


def sent(server: Server) -> dict[str, str]:
    """The headers of the last request."""
    lines = server.requests[-1].partition("\r\n\r\n")[0].splitlines()[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


def failed(call: Callable[[], Any]) -> str:
    with pytest.raises(SourceFailed) as raised:
        call()
    assert raised.value.stage == "token"
    report = "".join(traceback.TracebackException.from_exception(raised.value, capture_locals=True).format())
    assert "canary" not in report
    return str(raised.value)


def test_the_token_goes_where_cloud_run_and_iap_look_and_the_key_where_it_was(
    source: Server, metadata: google.Metadata
) -> None:
    HttpSource(source.url, KEY, AUDIENCE).manifest()
    assert metadata.asked == [AUDIENCE]
    headers = sent(source)
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["x-serverless-authorization"] == headers["proxy-authorization"]
    assert headers["proxy-authorization"].startswith("Bearer eyJ")


def test_without_a_key_the_token_says_who_asks(source: Server, metadata: google.Metadata) -> None:
    HttpSource(source.url, "", AUDIENCE).manifest()
    headers = sent(source)
    assert headers["authorization"] == headers["x-serverless-authorization"] == headers["proxy-authorization"]


def test_a_source_without_an_audience_gets_no_token(source: Server) -> None:
    HttpSource(source.url, KEY).manifest()
    assert not {"x-serverless-authorization", "proxy-authorization"} & sent(source).keys()


def test_a_token_is_used_until_five_minutes_before_it_expires(
    source: Server, metadata: google.Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = HttpSource(source.url, KEY, AUDIENCE)
    remote.manifest()
    began = time.time()
    clock = lambda after: type("Clock", (), {"time": staticmethod(lambda: began + after)})  # noqa: E731
    monkeypatch.setattr(google_tokens, "time", clock(3200))
    remote.manifest()
    assert metadata.asked == [AUDIENCE]
    monkeypatch.setattr(google_tokens, "time", clock(3400))
    remote.manifest()
    assert metadata.asked == [AUDIENCE] * 2


def test_each_audience_has_a_token_of_its_own(source: Server, metadata: google.Metadata) -> None:
    for audience in (AUDIENCE, "123.apps.googleusercontent.com", AUDIENCE):
        HttpSource(source.url, KEY, audience).manifest()
    assert metadata.asked == [AUDIENCE, "123.apps.googleusercontent.com"]


def test_what_google_refuses_is_said_and_nothing_is_sent(
    source: Server, metadata: google.Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda seconds: None)
    metadata.status = 404
    message = failed(HttpSource(source.url, KEY, AUDIENCE).manifest)
    assert f"no Google ID token could be got for the audience {AUDIENCE}" in message
    assert "GOOGLE_APPLICATION_CREDENTIALS" in message
    assert source.requests == []


def test_where_there_is_no_google_it_is_said_in_time(
    source: Server, metadata: google.Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata.silent = True
    monkeypatch.setattr(google_tokens, "LONGEST_SECONDS", 0.3)
    started = time.monotonic()
    assert "did not answer in time" in failed(HttpSource(source.url, KEY, AUDIENCE).manifest)
    assert time.monotonic() - started < 5


def test_a_key_file_that_is_missing_is_said(
    source: Server, metadata: google.Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    assert "DefaultCredentialsError" in failed(HttpSource(source.url, KEY, AUDIENCE).manifest)


def test_the_environment_s_proxies_see_no_token(
    source: Server, metadata: google.Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Server(sends(http("200 OK")))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    HttpSource(source.url, KEY, AUDIENCE).manifest()
    assert proxy.requests == []
    proxy.close()


def test_neither_key_nor_token_is_in_a_log_or_a_repr(
    source: Server, metadata: google.Metadata, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    source.answer = sends(http("500 Oops"))
    remote = HttpSource(source.url, KEY, AUDIENCE)
    with pytest.raises(SourceFailed):
        remote.manifest()
    token = sent(source)["proxy-authorization"].removeprefix("Bearer ")
    identity = Identity(KEY, AUDIENCE)
    identity.prepare(5)
    shown = caplog.text + repr(remote) + repr(identity) + repr(google_tokens._held)
    assert len(token) > 100
    assert token not in shown
    assert "canary" not in shown
    assert "google.oauth2" in sys.modules
