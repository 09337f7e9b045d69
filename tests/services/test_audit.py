"""Events are a chain that is only ever added to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, connection, transaction

from data_sync.core.errors import DataSyncError
from data_sync.core.macs import MacKey
from data_sync.core.seal import event_hash
from data_sync.models import ChainMark, Changeset, Event
from data_sync.services import actors, audit, ledger
from tests.admin import making

pytestmark = pytest.mark.django_db


@pytest.fixture
def changeset() -> Changeset:
    """A changeset with three events, all of ada's."""
    stored = Changeset.objects.create(source_name="Staging", state="pending")
    ada = actors.of_user(get_user_model().objects.create(username="ada"))
    for action in ("pulled", "decided", "approved"):
        audit.record(stored.pk, ada, action, {"n": 1})
    return stored


def test_each_event_follows_the_one_before_it(changeset: Changeset) -> None:
    previous = ""
    for number, event in enumerate(changeset.events.order_by("number"), start=1):
        assert (event.number, event.previous) == (number, previous)
        assert event.hash == event_hash(previous, audit.event_content(event))
        previous = event.hash


@pytest.mark.parametrize(
    "attempt",
    [
        lambda events: events.update(action="rejected"),
        lambda events: events.filter(number=2).update(action="rejected"),
        lambda events: events.delete(),
        lambda events: events.filter(number=3).delete(),
        lambda events: events.bulk_update([Event(pk=events.first().pk, action="rejected")], ["action"]),
        lambda events: events.update_or_create(number=1, defaults={"action": "rejected"}),
        lambda events: events.first().save(),
        lambda events: events.first().save(update_fields=["action"]),
        lambda events: events.first().delete(),
        lambda events: events.bulk_create(
            [], update_conflicts=True, update_fields=["action"], unique_fields=["chain", "number"]
        ),
    ],
)
@pytest.mark.parametrize("is_related", [True, False])
def test_events_are_neither_altered_nor_removed(changeset: Changeset, attempt: Any, is_related: bool) -> None:
    before = list(Event.objects.values())
    with pytest.raises(DataSyncError, match="Events are only ever added"), transaction.atomic():
        attempt(changeset.events if is_related else Event.objects)
    assert list(Event.objects.values()) == before


def test_an_event_made_with_the_key_of_another_does_not_replace_it(changeset: Changeset) -> None:
    first = changeset.events.get(number=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        Event(pk=first.pk, changeset=changeset, number=9, at=first.at, actor="x", action="x", hash="x").save()
    assert changeset.events.get(number=1).action == "pulled"


def test_a_user_can_be_removed_and_stays_in_the_events_by_name(changeset: Changeset) -> None:
    get_user_model().objects.get().delete()
    get_user_model().objects.all().delete()
    assert list(changeset.events.values_list("user", "actor")) == [(None, "ada")] * 3
    test_each_event_follows_the_one_before_it(changeset)


def test_what_is_no_changeset_has_a_chain_of_its_own(changeset: Changeset) -> None:
    ada = actors.command_line()
    for chain in ("source:7", "key:7", "source:7"):
        audit.record_of(chain, ada, "changed", {"n": 1})
    assert list(Event.objects.filter(chain="source:7").values_list("number", flat=True)) == [1, 2]
    assert list(Event.objects.filter(chain="key:7").values_list("number", flat=True)) == [1]
    assert changeset.events.count() == 3


@pytest.mark.django_db(transaction=True)
def test_many_may_add_to_one_chain_at_a_time() -> None:
    stored = making.changeset([making.update(1)])

    def add(number: int) -> None:
        try:
            if number % 2:
                audit.record_of("caller:token", actors.command_line(), "exported", {})
            else:
                audit.record(stored.pk, actors.command_line(), "exported", {})
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(48)))
    for chain in ("caller:token", f"changeset:{stored.pk}"):
        previous, number = "", 0
        for number, event in enumerate(Event.objects.filter(chain=chain).order_by("number"), start=1):
            assert (event.number, event.previous) == (number, previous)
            previous = event.hash
        assert number == 24
    assert list(ledger.unmarked_chains()) == []


@pytest.mark.django_db(transaction=True)
def test_marks_of_the_ledger_are_neither_altered_nor_removed() -> None:
    audit.record_of("source:7", actors.command_line(), "changed", {})
    before = list(ChainMark.objects.values())
    assert [(mark["sequence"], mark["chain"], mark["number"]) for mark in before] == [(1, "source:7", 1)]
    for attempt in (
        lambda: ChainMark.objects.update(number=2),
        lambda: ChainMark.objects.all().delete(),
        lambda: ChainMark.objects.get().save(),
        lambda: ChainMark.objects.get().delete(),
    ):
        with pytest.raises(DataSyncError, match="only ever added"):
            attempt()
    assert list(ChainMark.objects.values()) == before


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("a text of thirty-two bytes or more, no list", "is not a list of texts"),
        (["short"], "fewer than 32 bytes"),
        (["env:DATA_SYNC_NOT_THERE"], "'DATA_SYNC_NOT_THERE', which is not set here"),
        (["k" * 32, "k" * 32], "the same key twice"),
    ],
)
def test_nothing_is_recorded_without_the_code_that_the_settings_ask_for(
    changeset: Changeset, settings: Any, keys: Any, problem: str
) -> None:
    settings.DATA_SYNC_AUDIT_KEYS = keys
    with pytest.raises(DataSyncError, match=problem) as caught, transaction.atomic():
        audit.record(changeset.pk, actors.command_line(), "decided", {})
    assert "k" * 32 not in str(caught.value)
    assert changeset.events.count() == 3


def test_a_key_may_be_in_the_environment(changeset: Changeset, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_SYNC_AUDIT_KEY", "e" * 32)
    settings.DATA_SYNC_AUDIT_KEYS = ["env:DATA_SYNC_AUDIT_KEY"]
    event = audit.record(changeset.pk, actors.command_line(), "decided", {})
    assert event.mac == MacKey(b"e" * 32).of_event(event.chain, 4, event.hash)
