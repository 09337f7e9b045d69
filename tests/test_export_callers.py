"""RELIABILITY 1 and 3 at the endpoints: who is let in, how often one may fail, and what each caller can read."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core import serializers
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext

from data_sync.core.digests import DigestReader
from data_sync.models import Event, ExportKey
from data_sync.services import callers, certificates, keys, rate_limit
from data_sync.services.actors import command_line
from tests import google
from tests.tasks.conftest import account, certificates_page  # noqa: F401
from tests.testapp.models import Copy, Country, Language, Page

PREFIX = "/api/data_sync"
AUDIENCE = "https://staging.example.com/api"
BYTES = b"\x89PNG and some bytes"
CHECKSUM = hashlib.sha256(BYTES).hexdigest()
LABELS = ("testapp.copy", "testapp.country", "testapp.language", "testapp.page")
TOKEN = "an-export-token-of-more-than-32-characters"

Ask = Callable[..., Any]


@pytest.fixture(autouse=True)
def places(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the limit takes for the time; ten seconds into a minute."""
    clock = [time.time() // 60 * 60 + 10]
    monkeypatch.setattr(rate_limit.time, "time", lambda: clock[0])
    return clock


@pytest.fixture
def accounts(settings: Any, certificates_page: google.Pages) -> google.Pages:  # noqa: F811
    settings.DATA_SYNC_EXPORT_SERVICE_ACCOUNTS = {google.EMAIL: ["testapp.Country"], "all@x.example": None}
    settings.DATA_SYNC_EXPORT_AUDIENCE = AUDIENCE
    return certificates_page


def new_key(*labels: str) -> str:
    return keys.create_key(f"Key {ExportKey.objects.count()}", command_line(), model_labels=labels)[1]


def ask(key: str | None, path: str = "manifest", address: str = "192.0.2.1", **headers: str) -> Any:
    given = headers if key is None else {"Authorization": f"Bearer {key}", **headers}
    return Client().get(f"{PREFIX}/{path}", headers=given, REMOTE_ADDR=address)


def models_of(response: Any) -> set[str]:
    assert response.status_code == 200, response.content
    return set(json.loads(response.content)["models"])


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


# Google accounts.


@pytest.mark.django_db
def test_an_account_that_is_named_reads_its_models(accounts: google.Pages, account: google.Account) -> None:  # noqa: F811
    assert models_of(ask(account.token(AUDIENCE))) == {"testapp.country"}
    assert models_of(ask(account.token(AUDIENCE, email="all@x.example"))) == keys.registered_labels()
    assert accounts.asked == ["/certs"]


@pytest.mark.django_db
def test_a_list_of_accounts_reads_every_registered_model(
    accounts: google.Pages,
    account: google.Account,  # noqa: F811
    settings: Any,
) -> None:
    settings.DATA_SYNC_EXPORT_SERVICE_ACCOUNTS = [google.EMAIL]
    assert models_of(ask(account.token(AUDIENCE))) == keys.registered_labels()


NOW = int(time.time())
BAD_TOKENS: dict[str, Callable[[google.Account], str]] = {
    "another audience": lambda of: of.token("https://elsewhere.example/api"),
    "another issuer": lambda of: of.token(AUDIENCE, iss="https://accounts.example.com"),
    "an account that is not named": lambda of: of.token(AUDIENCE, email="you@x.example"),
    "an address in capitals": lambda of: of.token(AUDIENCE, email=google.EMAIL.upper()),
    "no address": lambda of: of.token(AUDIENCE, email=None),
    "an address as a list": lambda of: of.token(AUDIENCE, email=[google.EMAIL]),
    "not verified": lambda of: of.token(AUDIENCE, email_verified=False),
    "verified in words": lambda of: of.token(AUDIENCE, email_verified="true"),
    "expired": lambda of: of.token(AUDIENCE, iat=NOW - 7200, exp=NOW - 60),
    "signed by somebody else": lambda _: google.Account("key-1").token(AUDIENCE),
    "signed with an unknown key": lambda _: google.Account("key-2").token(AUDIENCE),
    "alg none": lambda of: of.token(AUDIENCE, header={"alg": "none"}),
    "cut": lambda of: of.token(AUDIENCE)[:-4],
    "no JSON": lambda _: "a.b.c",
}


@pytest.mark.django_db
@pytest.mark.parametrize("name", BAD_TOKENS)
def test_any_other_token_gets_the_one_refusal_and_no_query(
    accounts: google.Pages,
    account: google.Account,  # noqa: F811
    name: str,
) -> None:
    with CaptureQueriesContext(connection) as queries:
        answer = ask(BAD_TOKENS[name](account))
    refusal = ask(None)
    assert (answer.status_code, answer.content, len(queries)) == (401, refusal.content, 0)
    assert dict(answer.items()) == dict(refusal.items())


@pytest.mark.django_db
def test_without_an_audience_no_account_is_let_in(
    accounts: google.Pages,
    account: google.Account,  # noqa: F811
    settings: Any,
) -> None:
    for audience in ("", None):
        settings.DATA_SYNC_EXPORT_AUDIENCE = audience
        for aud in (AUDIENCE, "", None):
            assert ask(account.token(aud)).status_code == 401  # type: ignore[arg-type]
    assert accounts.asked == []


@pytest.mark.django_db
@pytest.mark.parametrize("value", [google.EMAIL, {google.EMAIL: "testapp.country"}, 7, [7], [""], {google.EMAIL: 7}])
def test_accounts_in_another_form_let_nobody_in(
    accounts: google.Pages,
    account: google.Account,  # noqa: F811
    settings: Any,
    value: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.DATA_SYNC_EXPORT_SERVICE_ACCOUNTS = value
    assert ask(account.token(AUDIENCE)).status_code == 401
    assert "No service account is let in" in caplog.text


@pytest.mark.django_db
def test_an_account_without_models_reads_none_rather_than_all(
    accounts: google.Pages,
    account: google.Account,  # noqa: F811
    settings: Any,
) -> None:
    settings.DATA_SYNC_EXPORT_SERVICE_ACCOUNTS = {google.EMAIL: []}
    assert models_of(ask(account.token(AUDIENCE))) == set()


@pytest.mark.django_db
def test_without_google_s_keys_the_answer_is_to_come_again(
    accounts: google.Pages,
    account: google.Account,  # noqa: F811
) -> None:
    accounts.status = 500
    for _ in range(30):
        answer = ask(account.token(AUDIENCE))
        assert (answer.status_code, answer["Retry-After"]) == (503, str(int(certificates.PATIENCE_SECONDS)))
    assert "Google's keys cannot be had" in answer.json()["error"]
    assert len(accounts.asked) == 1


# How often one may fail.


@pytest.mark.django_db
def test_who_fails_too_often_is_told_to_wait(now: list[float]) -> None:
    for _ in range(20):
        assert ask("ds_000000000000." + "A" * 43).status_code == 401
    for key in ("ds_000000000000." + "A" * 43, "rubbish", None):
        answer = ask(key)
        assert (answer.status_code, answer["Retry-After"]) == (429, "50")
        assert set(answer.json()) == {"error"} and "try again in 50 seconds" in answer.json()["error"]
        assert answer["Cache-Control"] == "no-store"


@pytest.mark.django_db
def test_the_limit_is_of_one_address_and_one_minute(now: list[float], settings: Any) -> None:
    settings.DATA_SYNC_FAILURE_LIMIT = 3
    for _ in range(4):
        ask(None)
    assert ask(None).status_code == 429
    assert ask(None, address="192.0.2.2").status_code == 401
    now[0] += 60
    assert ask(None).status_code == 401


@pytest.mark.django_db
@pytest.mark.parametrize("limit", [3, 0, -1])
def test_a_right_key_is_let_in_whatever_noise_there_is(
    now: list[float],
    settings: Any,
    accounts: google.Pages,
    account: google.Account,  # noqa: F811
    limit: int,
) -> None:
    """Also a new one, one that was rotated, and one of somebody who was never here: many may share an address."""
    settings.DATA_SYNC_FAILURE_LIMIT = limit
    settings.DATA_SYNC_EXPORT_TOKEN = TOKEN
    for _ in range(5):
        answer = ask("rubbish." + "A" * 43)
    assert answer.status_code == 429
    known, text = keys.create_key("Rotated", command_line())
    renewed = keys.rotate_key(known, command_line(), overlap_days=0)[1]
    for right in (new_key(), renewed, TOKEN, account.token(AUDIENCE), account.token(AUDIENCE, email="all@x.example")):
        assert ask(right).status_code == 200
    # Who only knows the first part is refused, as is who comes with the old key.
    for wrong in (renewed.partition(".")[0] + "." + "A" * 43, text, None):
        assert ask(wrong).status_code == 429


@pytest.mark.django_db
def test_strangers_by_the_thousand_push_nothing_out_of_the_cache(now: list[float], settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "small"}}
    cache.set("of-the-project", 1, 3600)
    for number in range(1000):
        with suppress(rate_limit.TooManyFailures):
            assert callers.authenticate("Bearer x", f"2001:db8:{number:x}::1") is None
    assert cache.get("of-the-project") == 1
    assert len(cache._cache) <= 1 + rate_limit.BUCKETS  # type: ignore[attr-defined]


@pytest.mark.django_db
def test_what_is_no_failure_of_a_caller_does_not_count(now: list[float], settings: Any) -> None:
    settings.DATA_SYNC_FAILURE_LIMIT = 3
    key = new_key("testapp.country")
    for _ in range(5):
        assert ask(key, "export?models=testapp.copy").status_code == 403
        assert ask(key, "files/rubbish").status_code == 404
    assert ask(None).status_code == 401


@pytest.mark.parametrize(
    ("proxies", "remote", "forwarded", "address"),
    [
        (0, "192.0.2.1", "", "192.0.2.1"),
        (0, "192.0.2.1", "198.51.100.7", "192.0.2.1"),
        (1, "10.0.0.1", "198.51.100.7", "198.51.100.7"),
        (1, "10.0.0.1", "192.0.2.66, 198.51.100.7", "198.51.100.7"),
        (2, "10.0.0.1", "192.0.2.66, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        (2, "10.0.0.1", "198.51.100.7", "10.0.0.1"),
        (1, "10.0.0.1", "", "10.0.0.1"),
        (1, "10.0.0.1", "198.51.100.7:4711", "198.51.100.7"),
        (1, "10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        (1, "10.0.0.1", "[2001:db8::1]", "2001:db8::1"),
        (1, "10.0.0.1", "::ffff:198.51.100.7", "198.51.100.7"),
        (1, "10.0.0.1", "fe80::1%eth0", "fe80::1"),
        (1, "10.0.0.1", "unknown", ""),
        (1, "10.0.0.1", "x" * 5000, ""),
        (0, "", "", ""),
    ],
)
def test_the_address_is_the_one_that_the_last_trusted_proxy_saw(
    settings: Any, proxies: int, remote: str, forwarded: str, address: str
) -> None:
    settings.DATA_SYNC_PROXIES = proxies
    assert rate_limit.client_address(remote, forwarded) == address


@pytest.mark.django_db
def test_a_made_up_address_does_not_escape_the_limit(now: list[float], settings: Any) -> None:
    settings.DATA_SYNC_FAILURE_LIMIT, settings.DATA_SYNC_PROXIES = 3, 1
    for number in range(5):
        answer = ask(None, address="10.0.0.1", **{"X-Forwarded-For": f"192.0.2.{number}, 198.51.100.7"})
    assert answer.status_code == 429
    for number in range(5):
        answer = ask(None, address=f"2001:db8:0:7::{number}")
    assert answer.status_code == 429, "one customer has a whole network of these"


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["add", "incr"])
def test_a_cache_that_is_down_stops_no_export(
    settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise ConnectionError("cannot connect to cache.internal")

    monkeypatch.setattr(type(cache._connections[cache._alias]), method, fail)  # type: ignore[attr-defined]
    caplog.set_level(logging.WARNING, "data_sync")
    key = new_key()
    assert ask(None).status_code == 401
    assert ask(key).status_code == 200
    assert "The cache cannot be used" in caplog.text
    assert key not in caplog.text


# What each caller reads.


@pytest.fixture
def rows(db: None) -> None:
    language = Language.objects.create(code="fr", country=Country.objects.create(code="FR"))
    copy = Copy(language=language, key="title", value="Bonjour", default="not exported")
    copy.thumbnail.save("boots.png", ContentFile(BYTES))
    Page.objects.create(slug="in")
    Page.objects.create(slug="out", published=False)
    body(ask(new_key(), "export"))  # Makes the file known.


def callers_of(settings: Any, account: google.Account) -> Iterator[tuple[str, set[str]]]:  # noqa: F811
    every = set(keys.registered_labels())
    settings.DATA_SYNC_EXPORT_TOKEN = TOKEN
    yield TOKEN, every
    yield new_key(), every
    for label in LABELS:
        yield new_key(label), {label}
    yield new_key(*LABELS[:2]), set(LABELS[:2])
    yield account.token(AUDIENCE), {"testapp.country"}
    yield account.token(AUDIENCE, email="all@x.example"), every


def test_nobody_reads_anything_outside_of_their_scope_by_any_endpoint(
    rows: None,
    accounts: google.Pages,
    account: google.Account,  # noqa: F811
    settings: Any,
) -> None:
    """Consumer × endpoint × model."""
    handles = {
        "testapp.copy": Copy.objects.get().pk,
        "testapp.country": Country.objects.get().pk,
        "testapp.language": Language.objects.get().pk,
        "testapp.page": Page.objects.get(slug="in").pk,
    }
    looked_at = 0
    for key, scope in callers_of(settings, account):
        headers = {"Authorization": f"Bearer {key}"}
        assert models_of(ask(key)) == scope
        lines = body(ask(key, "export")).decode().splitlines()
        assert {json.loads(line)[1][0] for line in lines[1:-1]} == scope & set(LABELS)
        listed = sorted(scope)
        listing = body(ask(key, f"digests?models={','.join(listed)}"))
        assert {label for label, some in DigestReader([listing], listed) if some} <= scope
        file = ask(key, f"files/{CHECKSUM}")
        assert (file.status_code, body(file) == BYTES) == ((200, True) if "testapp.copy" in scope else (404, False))
        for label in LABELS:
            expected = 200 if label in scope else 403
            omit = "&omit=testapp.copy.value" if label == "testapp.copy" else ""
            answers = [
                *(ask(key, f"{path}?models={label}{omit}") for path in ("manifest", "export", "digests")),
                *(
                    Client().post(f"{PREFIX}/records", asked, "application/json", headers=headers)
                    for asked in (
                        {"model": label, "handles": [handles[label]]},
                        {"model": label, "outside": [["out"]]},
                    )
                ),
            ]
            assert [answer.status_code for answer in answers] == [expected] * 5, (label, scope)
            told = b"".join(map(body, answers))
            looked_at += len(answers)
            if expected == 403:
                assert b"Bonjour" not in told and b'["out"]' not in told
    assert looked_at == 9 * 4 * 5


@pytest.mark.django_db
def test_a_field_that_the_registration_does_not_name_does_not_appear_unasked() -> None:
    """What `fields` names is what leaves, whatever else the model has or comes to have."""
    named = {"value", "key", "language"}
    concrete = {field.name for field in Copy._meta.concrete_fields}
    assert {"default", "id"} <= concrete - named, "the test needs fields that are not named"
    document = json.loads(ask(new_key("testapp.copy")).content)["models"]["testapp.copy"]
    assert set(document["fields"]) == named and set(document["files"]) == {"thumbnail"}
    answer = ask(new_key("testapp.copy"), "export?models=testapp.copy&omit=testapp.copy.default")
    assert answer.status_code == 400


@pytest.mark.django_db
def test_a_dump_of_the_whole_database_holds_no_key(
    rows: None,
    accounts: google.Pages,
    account: google.Account,  # noqa: F811
    settings: Any,
) -> None:
    settings.DATA_SYNC_EXPORT_TOKEN = TOKEN
    key = ExportKey.objects.get()
    _, rotated = keys.rotate_key(key, command_line())
    given = [rotated, new_key(), TOKEN, account.token(AUDIENCE), account.token(AUDIENCE, email="all@x.example")]
    for text in given:
        body(ask(text, "export"))
        ask(text[:-3] + "xyz", "export")
    keys.revoke_key(key, command_line())
    assert Event.objects.filter(action="exported").count() == 6

    every = [model for model in apps.get_models(include_auto_created=True) if not model._meta.proxy]
    dump = "\n".join(serializers.serialize("json", model._base_manager.all()) for model in every if _has_table(model))

    assert '"model": "data_sync.exportkey"' in dump and "exported" in dump
    for text in given:
        assert text not in dump
        assert text.rpartition(".")[2] not in dump


def _has_table(model: type[models.Model]) -> bool:
    return model._meta.db_table in connection.introspection.table_names()


@pytest.mark.django_db
def test_the_secret_is_compared_in_constant_time_for_keys_and_for_the_token(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATA_SYNC_EXPORT_TOKEN = TOKEN
    compared: list[int] = []
    real = callers.constant_time_compare
    monkeypatch.setattr(callers, "constant_time_compare", lambda a, b: compared.append(len(b)) or real(a, b))
    ask(TOKEN)
    ask("ds_000000000000." + "A" * 43)
    assert compared == [64, 64, 64]
