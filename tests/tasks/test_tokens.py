"""RELIABILITY 2: who may push, and what finding it out costs."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from data_sync.services import certificates
from data_sync.tasks import target, tokens
from tests import google
from tests.sources.hostile import Server, http, sends

URL = "/api/data_sync/tasks/run"
AUDIENCE = f"https://www.example.com{URL}"


@pytest.fixture(autouse=True)
def configured(settings: Any, certificates_page: google.Pages) -> google.Pages:
    settings.DATA_SYNC_SERVICE_ACCOUNT_EMAIL = google.EMAIL
    settings.DATA_SYNC_BASE_URL = "https://www.example.com"
    assert target.audience() == AUDIENCE
    return certificates_page


def part(value: Any) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def claims(**values: Any) -> dict[str, Any]:
    now = int(time.time())
    whole = {"iss": google.ISSUER, "aud": AUDIENCE, "email": google.EMAIL, "email_verified": True}
    return whole | {"iat": now, "exp": now + 3600} | values


HEADER = {"alg": "RS256", "kid": "key-1", "typ": "JWT"}


def by_hand(header: Any = HEADER, payload: Any = None, signature: str = "c2lnbmF0dXJl") -> str:
    return f"{part(header)}.{part(claims() if payload is None else payload)}.{signature}"


def with_public_key_as_secret(account: google.Account) -> str:
    """Signed by HMAC with what everybody knows, for those who let the token choose how it is verified."""
    public = account.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signed = f"{part({'alg': 'HS256', 'kid': 'key-1'})}.{part(claims())}"
    return f"{signed}.{part(hmac.new(public, signed.encode(), hashlib.sha256).digest())}"


def payload_swapped(account: google.Account) -> str:
    header, _, signature = account.token(AUDIENCE).split(".")
    return f"{header}.{part(claims(sub='2'))}.{signature}"


def at(seconds: int) -> int:
    """The time so many seconds from now, when a token is made: the tests run for longer than a token may be early."""
    return int(time.time()) + seconds


TWICE = json.dumps(claims()).encode()[:-1] + b', "aud": "another"}'
BAD: dict[str, Callable[[google.Account], str | None]] = {
    "no header": lambda _: None,
    "empty": lambda _: "",
    "no token": lambda _: "Bearer",
    "basic": lambda _: "Basic dXNlcjpwYXNz",
    "an export key": lambda _: "Bearer " + "k" * 40,
    "wrong audience": lambda account: "Bearer " + account.token("https://www.example.com/other"),
    "audience of the site": lambda account: "Bearer " + account.token("https://www.example.com"),
    "list of audiences": lambda account: "Bearer " + account.token("", aud=[AUDIENCE, "another"]),
    "no audience": lambda account: "Bearer " + account.token("", aud=None),
    "wrong issuer": lambda account: "Bearer " + account.token(AUDIENCE, iss="https://accounts.example.com"),
    "issuer that begins right": lambda account: "Bearer " + account.token(AUDIENCE, iss=google.ISSUER + ".example"),
    "no issuer": lambda account: "Bearer " + account.token(AUDIENCE, iss=None),
    "wrong e-mail": lambda account: "Bearer " + account.token(AUDIENCE, email="me@example.com"),
    "no e-mail": lambda account: "Bearer " + account.token(AUDIENCE, email=None),
    "unverified": lambda account: "Bearer " + account.token(AUDIENCE, email_verified=False),
    "verified in words": lambda account: "Bearer " + account.token(AUDIENCE, email_verified="true"),
    "verified as a number": lambda account: "Bearer " + account.token(AUDIENCE, email_verified=1),
    "nothing about verified": lambda account: "Bearer " + account.token(AUDIENCE, email_verified=None),
    "expired": lambda account: "Bearer " + account.token(AUDIENCE, iat=at(-7200), exp=at(-60)),
    "of the future": lambda account: "Bearer " + account.token(AUDIENCE, iat=at(300), exp=at(3600)),
    "no end": lambda account: "Bearer " + account.token(AUDIENCE, exp=None),
    "an end in words": lambda account: "Bearer " + account.token(AUDIENCE, exp="tomorrow"),
    "alg none": lambda _: "Bearer " + by_hand({"alg": "none", "kid": "key-1"}),
    "alg none, no signature": lambda _: "Bearer " + by_hand({"alg": "none"}, signature=""),
    "HS256 with the public key": lambda account: "Bearer " + with_public_key_as_secret(account),
    "ES256": lambda _: "Bearer " + by_hand({"alg": "ES256", "kid": "key-1"}),
    "alg as a list": lambda _: "Bearer " + by_hand({"alg": ["RS256"], "kid": "key-1"}),
    "no key id": lambda _: "Bearer " + by_hand({"alg": "RS256"}),
    "key id as a list": lambda _: "Bearer " + by_hand({"alg": "RS256", "kid": ["key-1"]}),
    "unknown key": lambda _: "Bearer " + google.Account("key-2").token(AUDIENCE),
    "another's key under this name": lambda _: "Bearer " + google.Account("key-1").token(AUDIENCE),
    "made-up signature": lambda _: "Bearer " + by_hand(),
    "signature of another payload": lambda account: "Bearer " + payload_swapped(account),
    "signature that is no base64": lambda _: "Bearer " + by_hand(signature="a"),
    "two parts": lambda _: f"Bearer {part(HEADER)}.{part(claims())}",
    "four parts": lambda account: f"Bearer {account.token(AUDIENCE)}.x",
    "no base64": lambda _: "Bearer a.b.c",
    "not JSON": lambda _: f"Bearer {part(b'{')}.{part(b'}')}.c2ln",
    "not UTF-8": lambda _: "Bearer " + f"{part(bytes([255]))}.{part(claims())}.c2ln",
    "not objects": lambda _: "Bearer " + by_hand([], []),
    "deep": lambda _: f"Bearer {part(HEADER)}.{part(b'[' * 2900)}.c2ln",
    "a member twice": lambda _: f"Bearer {part(HEADER)}.{part(TWICE)}.c2ln",
    "endless": lambda account: "Bearer " + account.token(AUDIENCE, filler="x" * 5000),
    "two tokens": lambda account: f"Bearer {account.token(AUDIENCE)}, Bearer {account.token(AUDIENCE)}",
    "a line feed": lambda account: f"Bearer {account.token(AUDIENCE)}\n",
    "not ASCII": lambda _: "Bearer é.é.é",
}


@pytest.mark.django_db
@pytest.mark.parametrize("name", BAD)
def test_a_bad_token_gets_one_answer_and_no_query(account: google.Account, name: str) -> None:
    authorization = BAD[name](account)
    headers = {} if authorization is None else {"Authorization": authorization}
    with CaptureQueriesContext(
        connection,
    ) as queries:
        answer = Client().post(URL, {"task": "pull", "id": 1}, "application/json", headers=headers)
    assert (answer.status_code, len(queries)) == (401, 0)
    assert answer.json() == {"error": "A valid token of the queue's service account is needed."}
    assert answer["WWW-Authenticate"] == 'Bearer realm="data_sync"'
    assert answer["Cache-Control"] == "no-store"


def test_the_right_token_is_taken(account: google.Account) -> None:
    assert tokens.is_ours(f"Bearer {account.token(AUDIENCE)}")
    assert tokens.is_ours(f"bearer {account.token(AUDIENCE, iss='accounts.google.com')}")


@pytest.mark.parametrize(
    "error", [ValueError, TypeError, binascii.Error, OverflowError, RecursionError, AttributeError, ImportError]
)
def test_whatever_a_token_makes_the_library_raise_is_a_refusal(
    account: google.Account, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error("of google-auth")

    monkeypatch.setattr("google.oauth2.id_token.verify_oauth2_token", fail)
    assert not tokens.is_ours(f"Bearer {account.token(AUDIENCE)}")


def test_a_clock_may_be_some_seconds_off(account: google.Account) -> None:
    now = int(time.time())
    assert tokens.is_ours(f"Bearer {account.token(AUDIENCE, iat=now + 5)}")
    assert tokens.is_ours(f"Bearer {account.token(AUDIENCE, iat=now - 3600, exp=now - 5)}")


@pytest.mark.django_db
def test_a_session_is_no_token() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("root"))
    with CaptureQueriesContext(connection) as queries:
        answer = client.post(URL, {"task": "pull", "id": 1}, "application/json")
    assert (answer.status_code, len(queries)) == (401, 0)
    assert "Cookie" not in answer.get("Vary", "")


@pytest.mark.parametrize("setting", ["DATA_SYNC_SERVICE_ACCOUNT_EMAIL", "DATA_SYNC_BASE_URL"])
@pytest.mark.parametrize("value", ["", None, "  "])
def test_nobody_may_push_where_it_is_not_said_who(
    settings: Any, account: google.Account, setting: str, value: Any
) -> None:
    setattr(settings, setting, value)
    for aud, email in ((AUDIENCE, google.EMAIL), ("", google.EMAIL), (AUDIENCE, ""), ("", "")):
        assert not tokens.is_ours(f"Bearer {account.token(aud, email=email)}")


# Google's keys


CHEAP = [
    "wrong audience", "list of audiences", "wrong issuer", "wrong e-mail", "unverified", "alg none", "deep",
    "HS256 with the public key", "no base64", "not JSON", "two parts", "endless", "no header", "no key id",
]  # fmt: skip


def test_what_is_seen_without_keys_fetches_none(account: google.Account, certificates_page: google.Pages) -> None:
    for name in CHEAP:
        assert not tokens.is_ours(BAD[name](account))
    assert certificates_page.asked == []


def test_keys_are_fetched_once(account: google.Account, certificates_page: google.Pages) -> None:
    threads = [threading.Thread(target=tokens.is_ours, args=(f"Bearer {account.token(AUDIENCE)}",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tokens.is_ours(f"Bearer {account.token(AUDIENCE)}")
    assert certificates_page.asked == ["/certs"]


def test_keys_are_fetched_anew_when_they_are_old(
    account: google.Account, certificates_page: google.Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tokens.is_ours(f"Bearer {account.token(AUDIENCE)}")
    certificates_page.pages["/certs"] = {}
    assert tokens.is_ours(f"Bearer {account.token(AUDIENCE)}")
    monkeypatch.setattr(certificates, "LIFE_SECONDS", 0)
    assert not tokens.is_ours(f"Bearer {account.token(AUDIENCE)}")


def test_a_new_key_is_known_soon_and_made_up_ones_fetch_little(
    account: google.Account, certificates_page: google.Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tokens.is_ours(f"Bearer {account.token(AUDIENCE)}")
    new = google.Account("key-2")
    certificates_page.pages["/certs"][new.key_id] = new.certificate
    for _ in range(5):
        assert not tokens.is_ours(f"Bearer {new.token(AUDIENCE)}")
    assert certificates_page.asked == ["/certs"]
    monkeypatch.setattr(certificates, "UNKNOWN_KEY_SECONDS", 0)
    assert tokens.is_ours(f"Bearer {new.token(AUDIENCE)}")


@pytest.mark.django_db
@pytest.mark.parametrize("fault", ["away", "error", "rubbish"])
def test_without_keys_the_task_is_to_come_again(
    account: google.Account, certificates_page: google.Pages, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    match fault:
        case "away":
            monkeypatch.setattr(certificates, "URL", "http://127.0.0.1:9/certs")
        case "error":
            certificates_page.status = 500
        case "rubbish":
            certificates_page.pages["/certs"] = ["keys"]
    with CaptureQueriesContext(connection) as queries:
        answers = [Client().post(URL, headers={"Authorization": f"Bearer {account.token(AUDIENCE)}"}) for _ in range(3)]
    assert {(answer.status_code, answer["Retry-After"]) for answer in answers} == {(503, "10")}
    assert len(queries) == 0
    assert len(certificates_page.asked) <= 1, "a fetch that failed is repeated at once"


def test_after_a_while_keys_are_asked_for_again(
    account: google.Account, certificates_page: google.Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates_page.status = 500
    with pytest.raises(certificates.KeysUnavailable):
        tokens.is_ours(f"Bearer {account.token(AUDIENCE)}")
    certificates_page.status = 200
    with pytest.raises(certificates.KeysUnavailable):
        tokens.is_ours(f"Bearer {account.token(AUDIENCE)}")
    monkeypatch.setattr(certificates, "PATIENCE_SECONDS", 0)
    assert tokens.is_ours(f"Bearer {account.token(AUDIENCE)}")


def test_keys_are_fetched_past_the_environment_s_proxies(
    account: google.Account, certificates_page: google.Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Server(sends(http("200 OK", b"{}")))) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        assert tokens.is_ours(f"Bearer {account.token(AUDIENCE)}")
        assert proxy.requests == []


def test_keys_are_fetched_by_the_proxy_that_the_settings_name(
    account: google.Account, certificates_page: google.Pages, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(certificates, "URL", "https://certs.example.invalid/certs")
    with closing(Server(sends(http("502 Bad Gateway")))) as proxy:
        settings.DATA_SYNC_PROXY = proxy.url
        with pytest.raises(certificates.KeysUnavailable):
            tokens.is_ours(f"Bearer {account.token(AUDIENCE)}")
        [asked] = proxy.requests
        assert asked.startswith("CONNECT certs.example.invalid:443 ")


def test_keys_are_taken_from_no_other_address_that_the_page_names(
    account: google.Account, certificates_page: google.Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Server(sends(http("302 Found", Location=certificates.URL)))) as elsewhere:
        monkeypatch.setattr(certificates, "URL", elsewhere.url)
        with pytest.raises(certificates.KeysUnavailable):
            tokens.is_ours(f"Bearer {account.token(AUDIENCE)}")
    assert certificates_page.asked == []


def test_who_waits_for_keys_that_trickle_in_waits_no_longer_than_a_fetch_may_take(
    account: google.Account, certificates_page: google.Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "TIMEOUT_SECONDS", 0.5)
    with closing(Server(sends(b""))) as slow:
        slow.answer = slow.drips(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b" ", 0.1)
        monkeypatch.setattr(certificates, "URL", slow.url)
        started = time.monotonic()
        for _ in range(3):
            with pytest.raises(certificates.KeysUnavailable):
                tokens.is_ours(f"Bearer {account.token(AUDIENCE)}")
        assert time.monotonic() - started < 10


def test_whose_signatures_are_believed_is_no_matter_of_settings_or_requests(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is set by tests alone, and is that of google-auth."""
    monkeypatch.undo()
    from google.oauth2 import id_token

    assert certificates.URL == id_token._GOOGLE_OAUTH2_CERTS_URL
