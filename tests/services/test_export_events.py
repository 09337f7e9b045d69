"""RELIABILITY 1: every export is an event, recorded before anything is sent, and so is what is done to a key."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import DatabaseError, IntegrityError, OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from data_sync.core.seal import event_hash
from data_sync.models import Event, ExportKey
from data_sync.services import audit, export, export_events, keys
from data_sync.services.actors import command_line, of_user
from tests.admin import making
from tests.testapp.models import Copy, Country, Language, Page, Term

PREFIX = "/api/data_sync"
ADDRESS = "192.0.2.7"
TOKEN = "an-export-token-of-more-than-32-characters"
BYTES = b"\x89PNG and some bytes"
FILE = f"files/{hashlib.sha256(BYTES).hexdigest()}"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def places(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def key() -> str:
    return keys.create_key("Production", command_line())[1]


def ask(key: str, path: str, document: Any = None, address: str = ADDRESS) -> Any:
    headers = {"Authorization": f"Bearer {key}"}
    if document is None:
        return Client().get(f"{PREFIX}/{path}", headers=headers, REMOTE_ADDR=address)
    return Client().post(f"{PREFIX}/{path}", document, "application/json", headers=headers, REMOTE_ADDR=address)


def body(response: Any) -> bytes:
    assert response.status_code == 200, response.content
    return b"".join(response.streaming_content) if response.streaming else response.content


def chain_of(key: str) -> str:
    return keys.chain(ExportKey.objects.get(prefix=key.partition(".")[0]))


def happened(chain: str) -> list[str]:
    return list(Event.objects.filter(chain=chain).order_by("number").values_list("action", flat=True))


def verify(chain: str) -> None:
    """The numbers have no gap, and each hash covers the one before it."""
    previous = ""
    for number, event in enumerate(Event.objects.filter(chain=chain).order_by("number"), 1):
        assert (event.number, event.previous) == (number, previous)
        assert event.hash == event_hash(previous, audit.event_content(event))
        previous = event.hash


def make_copy() -> Copy:
    language = Language.objects.create(code="fr", country=Country.objects.create(code="FR"))
    copy = Copy(language=language, key="title", value="Bonjour", default="x")
    copy.thumbnail.save("boots.png", ContentFile(BYTES))
    return copy


# What is recorded.


@pytest.mark.parametrize(("path", "action"), [("export", "exported"), ("digests", "listed")])
def test_an_export_leaves_an_event_with_its_rows_and_its_closing_digest(key: str, path: str, action: str) -> None:
    make_copy()
    sent = body(ask(key, f"{path}?models=testapp.copy,testapp.country&omit=testapp.copy.value"))

    event = Event.objects.get(chain=chain_of(key), action=action)
    closing = json.loads(sent[sent.rindex(b'{"counts"') :])
    assert event.detail == {
        "rows": {"testapp.copy": 1, "testapp.country": 1},
        "digest": closing["digest"],
        "omitted": {"testapp.copy": ["value"]},
        "address": ADDRESS,
    }
    assert (event.actor, event.user) == ("export key Production", None)
    stored = ExportKey.objects.get()
    assert stored.last_used_from == ADDRESS and stored.last_used_at is not None
    verify(chain_of(key))


@pytest.mark.parametrize("accepts", ["", "gzip"])
def test_the_digest_is_that_of_the_stream_also_where_it_is_compressed(key: str, accepts: str) -> None:
    Term.objects.bulk_create([Term(word=f"word {number}", meaning="m" * 50) for number in range(3000)])
    headers = {"Authorization": f"Bearer {key}", "Accept-Encoding": accepts}
    body(Client().get(f"{PREFIX}/export?models=testapp.term", headers=headers))
    [detail] = Event.objects.filter(action="exported").values_list("detail", flat=True)
    request = export.Request(models=("testapp.term",))
    with (spool := export.spool_export(request)).file:
        assert detail["digest"] == spool.closing["digest"]
    assert detail["rows"] == {"testapp.term": 3000}


def test_whoever_is_no_key_has_a_chain_of_their_own(settings: Any) -> None:
    settings.DATA_SYNC_EXPORT_TOKEN = TOKEN
    for _ in range(3):
        body(ask(TOKEN, "export"))
    assert happened("caller:token") == ["exported"] * 3
    assert Event.objects.first().actor == "DATA_SYNC_EXPORT_TOKEN"  # type: ignore[union-attr]
    verify("caller:token")


def test_a_pull_leaves_one_event_for_all_its_records_and_one_for_all_its_files(key: str) -> None:
    copy = make_copy()
    body(ask(key, "export"))
    for _ in range(30):
        body(ask(key, "records", {"model": "testapp.copy", "handles": [copy.pk]}))
        body(ask(key, "records", {"model": "testapp.page", "outside": [["x"]]}))
        body(ask(key, FILE))
    assert happened(chain_of(key)) == ["created", "exported", "records_read", "files_read"]
    other = keys.create_key("Other", command_line())[1]
    body(ask(other, FILE))
    assert happened(chain_of(other)) == ["created", "files_read"], "the first of each caller"


def test_whoever_reads_with_the_same_key_from_elsewhere_is_recorded(key: str) -> None:
    """Else who has stolen a key would read unseen, beside the one who pulls."""
    make_copy()
    for address in (ADDRESS, "198.51.100.9", ADDRESS):
        body(ask(key, FILE, address=address))
    events = Event.objects.filter(chain=chain_of(key), action="files_read")
    assert [event.detail["address"] for event in events.order_by("number")] == [ADDRESS, "198.51.100.9"]


def test_ten_minutes_later_the_next_is_recorded(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = make_copy()
    asked = {"model": "testapp.copy", "handles": [copy.pk]}
    body(ask(key, "records", asked))
    now = timezone.now()
    for minutes in (9, 11):
        monkeypatch.setattr(export_events.timezone, "now", lambda minutes=minutes: now + timedelta(minutes=minutes))
        body(ask(key, "records", asked))
    assert happened(chain_of(key)) == ["created", "records_read", "records_read"]


@pytest.mark.parametrize("path", ["manifest", "export?models=testapp.nothing", "export?omit=x", "files/x"])
def test_what_gives_no_rows_leaves_no_event(key: str, path: str) -> None:
    ask(key, path)
    ask(key[:-1] + "!", "export")
    assert happened(chain_of(key)) == ["created"]


# Audit first.


@pytest.mark.parametrize("path", ["export", "digests", "records", FILE])
@pytest.mark.parametrize(
    "error", [DatabaseError("row (7, secret)"), OperationalError("locked"), IntegrityError("twice")]
)
def test_what_cannot_be_recorded_is_refused(
    key: str, path: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = make_copy()
    body(ask(keys.create_key("Other", command_line())[1], "export"))
    attempts: list[str] = []

    def fail(chain: str, *_: Any) -> None:
        attempts.append(chain)
        raise error

    monkeypatch.setattr(export_events, "PATIENCE_SECONDS", 0)
    monkeypatch.setattr(audit, "record_of", fail)
    answer = ask(key, path, {"model": "testapp.copy", "handles": [copy.pk]} if path == "records" else None)
    assert (answer.status_code, answer["Retry-After"]) == (503, "30")
    assert not answer.streaming and set(answer.json()) == {"error"}
    assert "The audit trail there cannot be written" in answer.json()["error"]
    assert "secret" not in answer.json()["error"] and attempts


def test_a_collision_is_tried_again(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    left = [OperationalError("database is locked"), OperationalError("deadlock"), IntegrityError("number")]
    real = audit.record_of

    def sometimes(*arguments: Any) -> Event:
        if left:
            raise left.pop()
        return real(*arguments)

    monkeypatch.setattr(audit, "record_of", sometimes)
    body(ask(key, "export"))
    assert happened(chain_of(key)) == ["created", "exported"]


def test_a_key_that_is_revoked_while_the_answer_is_prepared_gets_none(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = export.spool_export

    def slow(*arguments: Any, **options: Any) -> Any:
        spool = real(*arguments, **options)
        keys.revoke_key(ExportKey.objects.get(), command_line())
        return spool

    monkeypatch.setattr(export, "spool_export", slow)
    answer = ask(key, "export")
    assert answer.status_code == 401
    assert happened(chain_of(key)) == ["created", "revoked"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("of", ["key", "token"])
def test_exports_at_once_by_one_caller_are_all_recorded_in_one_chain(of: str, settings: Any) -> None:
    settings.DATA_SYNC_EXPORT_TOKEN = TOKEN
    given = TOKEN if of == "token" else keys.create_key("Production", command_line())[1]
    chain = "caller:token" if of == "token" else chain_of(given)
    Country.objects.create(code="FR")
    statuses: list[int] = []

    def export_twice() -> None:
        for _ in range(2):
            answer = ask(given, "export?models=testapp.country")
            statuses.append(answer.status_code)
            b"".join(answer)
        connection.close()

    threads = [threading.Thread(target=export_twice) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 12
    assert happened(chain).count("exported") == 12
    verify(chain)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("of", ["key", "token"])
def test_the_number_of_queries_does_not_grow(of: str, settings: Any) -> None:
    """Neither with rows nor with events."""
    settings.DATA_SYNC_EXPORT_TOKEN = TOKEN
    given = TOKEN if of == "token" else keys.create_key("Production", command_line())[1]

    def queries(path: str, document: Any = None) -> int:
        with CaptureQueriesContext(connection) as found:
            body(ask(given, path, document))
        return len(found)

    def all_queries() -> list[int]:
        asked = {"model": "testapp.term", "handles": list(Term.objects.values_list("pk", flat=True))}
        paths = ("export?models=testapp.term", "digests?models=testapp.term")
        return [*(queries(path) for path in paths), queries("records", asked)]

    Term.objects.create(word="w", meaning="m")
    all_queries()
    few = all_queries()
    Term.objects.bulk_create([Term(word=f"w{number}", meaning="m") for number in range(300)])
    for _ in range(40):
        body(ask(given, "digests?models=testapp.term"))
    all_queries()
    assert all_queries() == few


@pytest.mark.django_db(transaction=True)
def test_it_works_with_atomic_requests(key: str) -> None:
    connection.settings_dict["ATOMIC_REQUESTS"] = True
    try:
        Page.objects.create(slug="in")
        body(ask(key, "export?models=testapp.page"))
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False
    assert happened(chain_of(key)) == ["created", "exported"]


# Keys.


def test_what_is_done_to_a_key_is_an_event_by_who_did_it() -> None:
    user = making.user("anna", "manage_exportkey")
    key, _ = keys.create_key("Production", of_user(user), model_labels=["testapp.term"], expires_in_days=30)
    new, _ = keys.rotate_key(key, of_user(user))
    keys.revoke_key(key, command_line())
    keys.revoke_key(key, command_line())

    old = Event.objects.filter(chain=keys.chain(key)).order_by("number")
    assert [(event.action, event.actor, event.user) for event in old] == [
        ("created", "anna", user),
        ("rotated", "anna", user),
        ("revoked", "command line", None),
    ]
    assert old[0].detail["models"] == ["testapp.term"] and old[0].detail["expires_at"]
    assert old[1].detail["by"] == new.prefix
    [made] = Event.objects.filter(chain=keys.chain(new))
    assert (made.action, made.detail["rotates"]) == ("created", key.prefix)
    for chain in (keys.chain(key), keys.chain(new)):
        verify(chain)


@pytest.mark.parametrize("step", ["create", "rotate", "revoke"])
def test_nothing_is_done_to_a_key_that_is_not_recorded(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    actor = command_line()
    key, _ = keys.create_key("Production", actor)
    before = list(ExportKey.objects.values())

    def fail(*_: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(audit, "record_of", fail)
    steps: dict[str, Callable[[], object]] = {
        "create": lambda: keys.create_key("Other", actor),
        "rotate": lambda: keys.rotate_key(key, actor),
        "revoke": lambda: keys.revoke_key(key, actor),
    }
    with pytest.raises(OperationalError):
        steps[step]()
    assert list(ExportKey.objects.values()) == before
