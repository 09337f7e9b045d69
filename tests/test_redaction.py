"""What is redacted is in no output: put on both sides, driven through everything over HTTP, looked for everywhere."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.db import DataError, IntegrityError, OperationalError, connection, connections
from django.test import Client
from django.urls import reverse

from data_sync.models import Change, Changeset, DataPull, Event
from data_sync.services import actors, apply, approval, content, keys
from tests.environments import Environments, applied, decide
from tests.management import conftest
from tests.management.conftest import Run
from tests.registering import registered
from tests.testapp.models import Booking, Customer, Tag

CANARIES = ("canary", "48151623")
run = conftest.run
SECRET = "canary new"
SCREENS = ("change", "print", "confirm", "reject", "override", "result", "status", "history", "export")
OUTSIDE_OF_RECORDS = ("diff", "problems", "warnings", "cascades", "conflict", "requires", "outcome_reason", "key_text")
"""Columns of a change that are shown as they are."""


class Outlet:
    """Everything that came out, with words that say where."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        self.told: list[tuple[str, str]] = []

    def add(self, where: str, text: object) -> str:
        self.told.append((where, str(text)))
        return str(text)

    def check(self) -> None:
        """Fails where anything redacted came out, be it as a digest that can be tried."""
        self.add("logs", self._caplog.text)
        self.add("events", list(Event.objects.values_list("detail", "actor")))
        self.add("admin log", list(LogEntry.objects.values_list("object_repr", "change_message")))
        self.add("changes", list(Change.objects.values_list(*OUTSIDE_OF_RECORDS)))
        self.add("changesets", list(Changeset.objects.values("state_reason", "summary", "guards", "undoable")))
        self.add("pulls", list(DataPull.objects.values_list("error", "report")))
        forbidden = {*CANARIES, *_plain_digests()}
        for where, text in self.told:
            for canary in forbidden:
                assert canary not in text.lower(), f"{canary} in {where}: …{_around(text, canary)}…"


def _plain_digests() -> Iterator[str]:
    """Digests of the records in changes, as whoever guesses a value can make them."""
    for change in Change.objects.filter(model="testapp.customer"):
        for record in (
            change.before and content.pulled_record(change),
            change.after and content.incoming_record(change),
        ):
            if record:
                yield record.digest().removeprefix("sha256:")[:32]


def _around(text: str, word: str) -> str:
    place = text.lower().index(word)
    return text[max(0, place - 150) : place + 150]


@pytest.fixture
def outlet(caplog: pytest.LogCaptureFixture) -> Outlet:
    caplog.set_level(logging.INFO)
    return Outlet(caplog)


@pytest.fixture
def boss(client: Client, db: Any) -> Client:
    client.force_login(get_user_model().objects.create_superuser("mira", "m@example.org", "x"))
    return client


@pytest.fixture
def drifted(environments: Environments) -> Environments:
    """Customers of whom each redacted field differs: new, changed, gone, renamed, in conflict, with objections."""
    one, other = environments.add(Tag, name="canary-one"), environments.add(Tag, name="canary-other")
    for name in ("conflict", "same", "gone"):
        environments.add(Customer, name=name, account=f"canary agreed {name}", notes={"canary": name}, adviser=one)
    environments.pull()
    Customer.objects.using("source").filter(name="gone").delete()
    Customer.objects.using("source").filter(name="conflict").update(account="canary theirs")
    assert environments.changeset().conflicts == 0
    Customer.objects.filter(name="conflict").update(account="canary ours")
    changed = environments.add(
        Customer,
        name="changed",
        city=("Ulm", "Bonn"),
        account=("canary new", "canary old"),
        limit=(Decimal("48151623.42"), Decimal("48151623.41")),
        notes=({"canary": ["canary", 1]}, {"canary": ["canary", 2], "more": "canary"}),
        adviser=(one[0], other[1]),
    )
    changed[0].groups.set([one[0]])
    changed[1].groups.set([other[1]])
    environments.add(Customer, name="doubtful", account=("canary bad", "canary good"))
    environments.add(Customer, name="new", account="canary created", adviser=one, only="source")
    environments.add(Customer, name=("renamed", "former"), account="canary kept", city="Köln")
    Booking.objects.create(customer=Customer.objects.get(name="gone"))
    return environments


def look(outlet: Outlet, boss: Client, run: Run, changeset: Changeset) -> dict[str, str]:
    """Every page and command that tells of a changeset."""
    pages = {}
    for screen in SCREENS:
        answer = boss.get(reverse(f"admin:data_sync_changeset_{screen}", args=(changeset.pk,)), follow=True)
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        pages[screen] = outlet.add(f"page {screen}", body.decode())
    for number in changeset.changes.values_list("number", flat=True):
        alone = boss.get(reverse("admin:data_sync_changeset_change", args=(changeset.pk,)) + f"?number={number}")
        outlet.add(f"change {number} alone", alone.content.decode())
    for name, args in (
        ("changeset_changelist", ()),
        ("datapull_changelist", ()),
        ("datapull_change", [changeset.pull_id]),
    ):
        outlet.add(name, boss.get(reverse(f"admin:data_sync_{name}", args=args)).content.decode())
    numbers = list(changeset.changes.values_list("number", flat=True))
    for words in (
        ["list"],
        ["show", changeset.pk],
        ["show", changeset.pk, "--change", *numbers],
        ["export", changeset.pk],
        ["apply", changeset.pk, "--rehearse"],
    ):
        for more in ([], ["--json"]):
            ran = run(*words, *more)
            outlet.add(f"{words} {more}", ran.err)
            pages[" ".join(map(str, [*words[:1], *words[2:3], *more]))] = outlet.add(f"{words} {more}", ran.out)
    return pages


def test_a_review_shows_that_redacted_fields_differ_and_nothing_of_what_they_hold(
    drifted: Environments,
    outlet: Outlet,
    boss: Client,
    run: Run,
) -> None:
    changeset = drifted.changeset()
    changes = {change.key_text: change for change in changeset.changes.filter(model="testapp.customer")}
    assert {change.operation for change in changes.values()} == {"create", "update", "delete", "rename"}
    assert changes["conflict"].is_conflict and changes["conflict"].base is not None
    assert changes["doubtful"].warnings and changes["gone"].cascades[0]["label"] == ""
    assert "canary" in json.dumps(changes["changed"].after), "where a revert and an apply need it"
    Customer.objects.filter(name="changed").update(account="canary edited since", city="Aachen")
    pages = look(outlet, boss, run, changeset)
    assert "••• changed" in pages["show"] and "account, now: ••• (not shown)" in pages["show --change"]
    assert pages["change"].count("•••") >= pages["print"].count("•••") >= 10
    assert json.loads(pages["show --change --json"])["changes"]
    search = boss.get(reverse("admin:data_sync_changeset_change", args=(changeset.pk,)) + "?q=agreed")
    assert b'class="ds-card"' not in search.content, "no filter may find what is not shown"
    rehearsed = boss.post(reverse("admin:data_sync_changeset_rehearse", args=(changeset.pk,)))
    outlet.add("rehearsal", rehearsed.content.decode())
    outlet.check()


def test_an_apply_tells_no_redacted_value_and_writes_each(
    drifted: Environments,
    outlet: Outlet,
    boss: Client,
    run: Run,
) -> None:
    changeset = drifted.changeset()
    drifted.actor = actors.of_user(get_user_model().objects.get(username="mira"))
    approval.override(changeset.pk, drifted.actor, "the booking goes along")
    for change in changeset.changes.all():
        decide(drifted, change, acknowledge=True)
    applied(drifted, changeset)
    drifted.assert_equal()
    assert Customer.objects.get(name="changed").limit == Decimal("48151623.42")
    assert LogEntry.objects.filter(change_message__contains="account").exists(), "the names of fields are told"
    look(outlet, boss, run, changeset)
    outlet.check()


def test_a_stale_apply_names_the_field_alone(
    drifted: Environments,
    outlet: Outlet,
    boss: Client,
    run: Run,
) -> None:
    changeset = drifted.changeset()
    approval.override(changeset.pk, drifted.actor, "the booking stays")
    decide(drifted, changeset.changes.get(key_text="changed"))
    drifted.approve(changeset)
    Customer.objects.filter(name="changed").update(account="canary touched", notes={"canary": "touched"})
    assert drifted.apply(changeset).state == "stale"
    pages = look(outlet, boss, run, changeset)
    assert "was changed here since the pull: account, notes" in pages["result"]
    outlet.check()


@pytest.mark.parametrize("save", ["raw", "model"])
def test_what_the_database_or_the_model_refuses_is_not_quoted(
    environments: Environments,
    outlet: Outlet,
    boss: Client,
    run: Run,
    save: Any,
) -> None:
    environments.add(Customer, name="ada", account=("canary new", "canary old"))
    if save == "model":
        Customer.objects.using("source").update(city="refuse")
    with registered(Customer, save=save):
        changeset = environments.approved()
        if save == "raw":
            Customer.objects.create(name="bob", account="canary new")
        assert environments.apply(changeset).state == "failed"
        pages = look(outlet, boss, run, changeset)
    assert "what it says is not shown" in pages["result"]
    outlet.check()


@pytest.mark.parametrize("error", [RuntimeError, IntegrityError])
def test_an_error_that_nobody_foresaw_is_logged_without_its_words(
    environments: Environments, outlet: Outlet, monkeypatch: pytest.MonkeyPatch, error: Any
) -> None:
    environments.add(Customer, name="ada", account=("canary new", "canary old"))
    changeset = environments.approved()

    def fail(*_: Any) -> None:
        try:
            raise ValueError(SECRET)
        except ValueError as cause:
            raise error(f"Key (account)=({SECRET})") from cause

    monkeypatch.setattr(apply, "write_rows", fail)
    done = environments.apply(changeset)
    assert done.state == "failed" and f"{error.__name__}; what it says is not shown" in done.state_reason
    monkeypatch.setattr("data_sync.services.pulling.prepare", fail)
    failed = environments.pull()
    assert failed.state == "failed" and "not shown" in failed.error
    if error is RuntimeError:
        assert "in fail" in outlet._caplog.text, "where it happened is in the log"
    outlet.check()


def test_a_page_that_cannot_be_answered_logs_no_value(
    drifted: Environments, outlet: Outlet, boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MariaDB counts a value that it cannot take as operational, and quotes it."""

    def fail(*_: Any, **__: Any) -> None:
        try:
            raise ValueError(SECRET)
        except ValueError as cause:
            raise OperationalError(1366, f"Incorrect string value: '{SECRET}'") from cause

    changeset = drifted.changeset()
    for name in ("services.review.decide", "services.approval.approve"):
        monkeypatch.setattr(f"data_sync.{name}", fail)
    decided = boss.post(
        reverse("admin:data_sync_changeset_decide", args=(changeset.pk,)),
        {"number": "1", "decide": "accepted", "revision": "0"},
    )
    told = boss.post(
        reverse("admin:data_sync_changeset_approve", args=(changeset.pk,)),
        {"do": "approve", "revision": "0"},
        follow=True,
    )
    assert decided.status_code == 503 and "The database is busy" in told.content.decode()
    for answer in (decided, told):
        outlet.add("page", answer.content.decode())
    assert outlet._caplog.text.count("could not be answered. OperationalError\n") == 2
    assert "in fail" in outlet._caplog.text, "where it happened is in the log"
    outlet.check()


@pytest.mark.parametrize("error", [DataError, OSError])
def test_an_export_that_cannot_be_prepared_logs_no_value(
    environments: Environments, outlet: Outlet, monkeypatch: pytest.MonkeyPatch, error: Any
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error(f"account: {SECRET}")

    _, key = keys.create_key("Reader", environments.actor)
    monkeypatch.setattr("data_sync.services.export.manifest", fail)
    answer = Client().get(reverse("data_sync:manifest"), headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 503
    outlet.add("answer", answer.content.decode())
    assert f"{error.__name__}\n" in outlet._caplog.text and "in fail" in outlet._caplog.text
    outlet.check()


def test_what_cannot_be_accepted_is_told_without_values(
    environments: Environments,
    outlet: Outlet,
    boss: Client,
    run: Run,
) -> None:
    """A reference that leads nowhere, and a unique value that another row has."""
    tag = environments.add(Tag, name="canary-tag", only="source")
    environments.add(Customer, name="ada", account=("canary taken", "canary old"), adviser=(tag[0], None))
    environments.add(Customer, name="bob", account=("canary other", "canary taken"), city="Ulm")
    Customer.objects.using("source").filter(name="bob").delete()
    environments.add(Customer, name="bob", account="canary else", city="Ulm", only="source")
    Customer.objects.filter(name="bob").update(name="keeper")
    with registered(Customer, deletes="never"):
        changeset = environments.changeset("testapp.customer")
    problems = changeset.changes.get(key_text="ada").problems
    assert {problem["code"] for problem in problems} == {"missing_reference", "unique_collision"}
    look(outlet, boss, run, changeset)
    outlet.check()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="other databases hold no text in a number's column")
@pytest.mark.parametrize("side", ["default", "source"])
def test_a_row_that_cannot_be_read_fails_the_pull_without_its_value(
    environments: Environments, outlet: Outlet, boss: Client, side: str
) -> None:
    environments.add(Customer, name="ada")
    with connections[side].cursor() as cursor:
        cursor.execute("UPDATE testapp_customer SET \"limit\" = 'canary'")
    pull = environments.pull()
    assert pull.state == "failed" and "limit: it holds no value of its type" in pull.error
    outlet.add("pull", boss.get(reverse("admin:data_sync_datapull_change", args=(pull.pk,))).content.decode())
    outlet.check()
