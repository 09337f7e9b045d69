"""Signals, mail and webhook: told once, after the commit, without values; whatever goes wrong there touches nothing."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core import mail
from django.db import transaction

from data_sync import signals
from data_sync.models import Changeset, Event
from data_sync.services import announce, approvers_mail, audit, store, webhook
from data_sync.tasks import choice, notifying
from tests.admin import making
from tests.environments import Environments
from tests.testapp.models import Tag, Term

VERIFY = Path(__file__).parent.parent.parent / "docs" / "how-to" / "verify_webhook.py"
SECRET = "a-secret-of-more-than-thirty-two-characters"
SIGNALS = {name: signal for name, signal in vars(signals).items() if name.startswith("changeset_")}


class Hook(HTTPServer):
    """Takes what is posted to it, and answers with the first of its statuses, the last one for ever."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.statuses = [204]
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.got.append((self.path, dict(self.headers), body))
                self.send_response(hook.statuses.pop(0) if len(hook.statuses) > 1 else hook.statuses[0])
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def hook(settings: Any) -> Iterator[Hook]:
    server = Hook()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    settings.DATA_SYNC_ALLOWED_HOSTS = ["127.0.0.1"]
    settings.DATA_SYNC_WEBHOOK_URL = f"http://127.0.0.1:{server.server_port}/hidden-path"
    settings.DATA_SYNC_WEBHOOK_SECRET = SECRET
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def heard() -> Iterator[list[tuple[str, str, str, bool]]]:
    """Each signal with the state that the changeset has in the database, who, and whether a transaction is open."""
    found: list[tuple[str, str, str, bool]] = []
    receivers = {}
    for name, signal in SIGNALS.items():

        def hear(changeset: Changeset, actor: str, name: str = name, **_: Any) -> None:
            state = Changeset.objects.values_list("state", flat=True).get(pk=changeset.pk)
            found.append((name, state, actor, transaction.get_connection().in_atomic_block))
            raise RuntimeError("a receiver that is broken")

        receivers[signal] = hear
        signal.connect(hear)
    yield found
    for signal, receiver in receivers.items():
        signal.disconnect(receiver)


def told(hook: Hook) -> list[str]:
    return [json.loads(body)["event"] for _, _, body in hook.got]


def test_each_transition_is_told_once_after_its_commit(
    environments: Environments, heard: list[Any], hook: Hook, settings: Any
) -> None:
    settings.DATA_SYNC_BASE_URL = "https://www.example.com/prefix"
    environments.add(Tag, name="private-word", only="source")
    done = environments.sync("testapp.tag")
    who = "command line"
    assert heard == [
        ("changeset_ready", "pending", who, False),
        ("changeset_approved", "approved", who, False),
        ("changeset_applied", "applied", who, False),
    ]
    assert done.state == "applied", "although every receiver raised"
    assert told(hook) == [name for name, *_ in heard]
    path, headers, body = hook.got[-1]
    document = json.loads(body)
    assert path == "/hidden-path" and b"private-word" not in b"".join(body for _, _, body in hook.got)
    assert document["counts"] == {"create": 1, "update": 0, "delete": 0, "rename": 0}
    assert document["link"] == f"https://www.example.com/prefix/admin/data_sync/changeset/{done.pk}/change/"
    assert document["id"] == headers["X-Data-Sync-Delivery"] == done.events.last().hash.removeprefix("sha256:")
    assert "Authorization" not in headers
    verified = [_verified(headers["X-Data-Sync-Signature"], sent) for sent in (body, body + b" ")]
    assert verified == [True, False], "the program of the docs"


def _verified(signature: str, body: bytes) -> bool:
    program = [sys.executable, str(VERIFY), signature]
    return subprocess.run(program, input=body, env={"DATA_SYNC_SECRET": SECRET}, check=False).returncode == 0


def test_what_is_rolled_back_is_not_told(environments: Environments, heard: list[Any], monkeypatch: Any) -> None:
    environments.add(Tag, name="a", only="source")
    monkeypatch.setattr(store.audit, "record", _recording_then_failing(audit.record))
    assert environments.pull("testapp.tag").state == "failed"
    assert heard == []


def _recording_then_failing(record: Any) -> Any:
    def fail(*args: Any) -> None:
        record(*args)
        raise RuntimeError

    return fail


def test_an_apply_that_writes_nothing_is_told_as_failed(environments: Environments, heard: list[Any]) -> None:
    _, here = environments.add(Term, word="a", meaning=("there", "here"))
    approved = environments.approved("testapp.term")
    Term.objects.filter(pk=here.pk).update(meaning="edited")
    assert environments.apply(approved).state == "stale"
    assert [name for name, *_ in heard][-1] == "changeset_failed"


@pytest.mark.django_db
def test_every_signal_has_an_event_and_what_auto_apply_looks_at_waits() -> None:
    assert set(announce.NAMES) == set(announce._SIGNALS.values()) == set(SIGNALS.values())
    changeset = making.changeset([making.create(1)], auto_state="due")
    event = changeset.events.first() or audit.record(changeset.pk, approval_actor(), "pulled", {})
    assert announce.kind_of(event, changeset) == ""
    changeset.auto_state = "left"
    left = Event(action="left_for_review")
    assert announce.kind_of(left, changeset) == "ready"
    changeset.state = "rejected"
    assert announce.kind_of(left, changeset) == ""


def approval_actor() -> Any:
    from data_sync.services import actors

    return actors.command_line()


@pytest.mark.django_db
def test_the_webhook_is_tried_again_where_that_helps(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    document = {"id": "1", "event": "changeset_ready", "changeset": 7}
    hook.statuses = [500, 429, 200]
    assert webhook.post(document, pauses=(0, 0)) and len(hook.got) == 3
    hook.statuses = [302]
    assert not webhook.post(document, pauses=(0, 0)) and len(hook.got) == 4, "redirects are not followed, nor repeated"
    assert "changeset 7: 127.0.0.1 answered with status 302" in caplog.text
    assert "hidden-path" not in caplog.text and SECRET not in caplog.text


@pytest.mark.django_db
def test_a_webhook_leads_to_no_private_host(hook: Hook, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.DATA_SYNC_ALLOWED_HOSTS = []
    settings.DATA_SYNC_WEBHOOK_URL = settings.DATA_SYNC_WEBHOOK_URL.replace("http:", "https:")
    assert not webhook.post({"id": "1", "event": "changeset_ready", "changeset": 7}, pauses=(0, 0))
    assert hook.got == [] and "not a public address" in caplog.text


@pytest.mark.django_db
def test_mail_goes_to_those_who_may_approve_one_each(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DATA_SYNC_MAIL_APPROVERS = True
    settings.LANGUAGE_CODE = "de"
    for name, permission in (("mira", "approve_changeset"), ("tomas", "approve_changeset"), ("vera", "view_changeset")):
        user = making.user(name, permission)
        type(user).objects.filter(pk=user.pk).update(email=f"{name}@example.com")
    gone = making.user("gone", "approve_changeset")
    type(gone).objects.filter(pk=gone.pk).update(email="gone@example.com", is_active=False)
    assert Permission.objects.filter(codename="approve_changeset").exists()
    stored = making.changeset([making.create(1, after="private-value"), making.delete(2)], creates=1, deletes=1)
    approvers_mail.mail_approvers(stored, "https://www.example.com/7/")
    assert [message.to for message in mail.outbox] == [["mira@example.com"], ["tomas@example.com"]]
    text = mail.outbox[0].subject + mail.outbox[0].body
    assert "https://www.example.com/7/" in text and str(stored.pk) in text and "1 " in text
    assert "private-value" not in text and "word-1" not in text
    settings.DATA_SYNC_FOUR_EYES = True
    stored.requested_by = type(gone).objects.get(username="mira")
    assert approvers_mail.recipients(stored) == ["tomas@example.com"]
    monkeypatch.setattr(approvers_mail.EmailMessage, "send", _fail)
    approvers_mail.mail_approvers(stored, "")


def _fail(*_: Any) -> None:
    raise OSError("the mail server is away")


def test_a_queue_gets_a_task_and_without_one_it_is_done_at_once(
    environments: Environments, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted: list[Any] = []
    queue = choice.Queue(name="a queue", enqueue=submitted.append)
    environments.add(Tag, name="a", only="source")
    with monkeypatch.context() as patched:
        patched.setattr(choice, "chosen", lambda: queue)
        environments.changeset("testapp.tag")
    assert hook.got == []
    [submission] = submitted
    assert submission.kind == "notify"
    notifying.deliver(submission.pk)
    assert told(hook) == ["changeset_ready"]
    notifying.deliver(10**9)


def test_a_queue_that_refuses_costs_nothing(
    environments: Environments, hook: Hook, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    environments.add(Tag, name="a", only="source")
    monkeypatch.setattr(choice, "chosen", lambda: choice.Queue(name="a queue", enqueue=_fail))
    assert environments.changeset("testapp.tag").state == "pending"
    assert told(hook) == ["changeset_ready"] and "it is told here" in caplog.text
