"""Rehearsing from the review and from the confirmation page."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from data_sync.core.errors import InvalidTransition
from data_sync.models import Change, Changeset
from data_sync.services import rehearsal
from data_sync.services.rehearsal import Rehearsal
from tests.testapp.models import Term

from . import making
from .making import changeset, create
from .test_review import text

ALL = ("view_changeset", "approve_changeset", "apply_changeset", "add_term", "change_term", "delete_term")


@pytest.fixture
def boss(client: Client, db: Any) -> Client:
    client.force_login(making.user("mira", *ALL))
    return client


def url(stored: Changeset, name: str) -> str:
    return reverse(f"admin:data_sync_changeset_{name}", args=(stored.pk,))


def found(**values: Any) -> Rehearsal:
    return Rehearsal(**values)


@pytest.mark.django_db(transaction=True)
def test_a_rehearsal_says_what_would_be_written_and_leaves_everything_as_it_was(boss):
    stored = changeset([create(1, "a word", decision="accepted"), create(2)])
    before = list(Change.objects.values()), list(Changeset.objects.values())

    shown = text(boss.post(url(stored, "rehearse")))

    assert "1 change would be written, without an error." in shown
    assert "What a rehearsal does not check" in shown
    assert not Term.objects.exists()
    assert (list(Change.objects.values()), list(Changeset.objects.values())) == before


@pytest.mark.django_db(transaction=True)
def test_every_change_that_could_not_be_written_is_listed_with_its_cause(boss):
    Term.objects.create(word="word-1", meaning="here already")
    stored = changeset([create(1, "a", decision="accepted"), create(2, "b", decision="accepted")])

    page = boss.post(url(stored, "rehearse"))

    assert "1 change could not be written" in text(page) and "1 change would be written." in text(page)
    assert f"{url(stored, 'change')}?number=1#change-1" in page.content.decode()
    assert Term.objects.count() == 1


def test_what_needs_a_failing_change_is_told_apart(boss, monkeypatch):
    stored = changeset([create(1), create(2), create(3)])
    result = found(written=1, errors={1: "It is <b>taken</b>."}, dependents={2: "It needs #1."})
    monkeypatch.setattr(rehearsal, "rehearse", lambda *_: result)

    shown = text(boss.post(url(stored, "rehearse")))

    assert "1 change could not be written. 1 change was not tried, because of what it needs." in shown
    assert "It is &lt;b&gt;taken&lt;/b&gt;." in shown and "It needs #1." in shown
    assert "Nothing is accepted yet" in shown


def test_what_is_no_changes_fault_is_told_and_nothing_would_be_written(boss, monkeypatch):
    stored = changeset([create(1)])
    monkeypatch.setattr(rehearsal, "rehearse", lambda *_: found(refusals=["It would refuse it <b>all</b>."]))

    page = boss.post(url(stored, "rehearse"))

    assert "0 changes would be written." in text(page) and "without an error" not in text(page)
    assert "It would refuse it &lt;b&gt;all&lt;/b&gt;." in text(page) and "ds-banner-bad" in page.content.decode()


def test_a_thousand_errors_do_not_make_a_page_of_a_thousand_rows(boss, monkeypatch):
    stored = changeset(create(number) for number in range(1, 401))
    monkeypatch.setattr(rehearsal, "rehearse", lambda *_: found(errors=dict.fromkeys(range(1, 401), "No.")))

    page = boss.post(url(stored, "rehearse"))

    assert "and 200 more" in text(page) and page.content.decode().count("<tr>") < 210


def test_what_cannot_be_rehearsed_is_told_on_the_review(boss, monkeypatch):
    def refuse(*_: Any) -> None:
        raise InvalidTransition("Changeset 1 is applied and cannot be rehearsed.")

    monkeypatch.setattr(rehearsal, "rehearse", refuse)

    answer = boss.post(url(changeset([create(1)]), "rehearse"), follow=True)

    assert "is applied and cannot be rehearsed" in text(answer)


@pytest.mark.parametrize("name", ["change", "confirm"])
def test_it_is_offered_where_one_decides(boss, name):
    stored = changeset([create(1, decision="accepted")])

    assert f'action="{url(stored, "rehearse")}"' in boss.get(url(stored, name)).content.decode()


@pytest.mark.parametrize("state", ["applied", "rejected", "superseded"])
def test_it_is_not_offered_for_what_is_closed(boss, state):
    stored = changeset([create(1)], state=state)

    assert url(stored, "rehearse") not in boss.get(url(stored, "change")).content.decode()


def test_it_takes_a_post_and_a_permission(client, db):
    client.force_login(making.user("guest", "view_changeset"))
    stored = changeset([create(1)])

    assert client.get(url(stored, "rehearse")).url == url(stored, "change")
    assert client.post(url(stored, "rehearse")).status_code == 403
    assert url(stored, "rehearse") not in client.get(url(stored, "change")).content.decode()
