"""The button that undoes a decision on many changes."""

from __future__ import annotations

import pytest
from django.urls import reverse

from data_sync.models import Changeset

from . import making
from .making import changeset, create, update
from .test_review import decide_all, text

pytestmark = pytest.mark.django_db


@pytest.fixture
def reviewer(client):
    client.force_login(making.user("mira", "*"))
    return client


def url(stored: Changeset, name: str) -> str:
    return reverse(f"admin:data_sync_changeset_{name}", args=(stored.pk,))


def test_undo_says_what_it_undoes_and_leads_back(reviewer):
    stored = changeset([update(1), update(2), create(3)])
    page = decide_all(reviewer, stored, "accepted", "?op=update")
    assert "Undo: 2 accepted" in text(page)

    page = reviewer.post(url(stored, "undo"), {"revision": "1", "query": "op=update"}, follow=True)

    assert page.redirect_chain == [(url(stored, "change") + "?op=update", 302)]
    assert "2 changes are as they were before." in text(page) and "Undo:" not in text(page)
    assert set(stored.changes.values_list("decision", flat=True)) == {"undecided"}


def test_a_decision_since_then_is_left_out_of_it(reviewer):
    stored = changeset([update(1), update(2), update(3)])
    decide_all(reviewer, stored, "accepted")
    given = {"decide": "rejected", "number": "1", "revision": "1"}
    answer = reviewer.post(url(stored, "decide"), given, headers={"Accept": "application/json"})

    assert answer.json()["undo"] == "Undo: 2 accepted"
    page = reviewer.post(url(stored, "undo"), {"revision": "1"})
    assert page.status_code == 409 and "decided on elsewhere" in text(page)
    reviewer.post(url(stored, "undo"), {"revision": "2"})

    decisions = list(stored.changes.order_by("number").values_list("decision", flat=True))
    assert decisions == ["rejected", "undecided", "undecided"]


def test_what_cannot_be_undone_says_why(reviewer):
    stored = changeset([update(1)])

    page = reviewer.post(url(stored, "undo"), {"revision": "0"}, follow=True)

    assert "There is no decision on many changes to undo" in text(page)
    assert reviewer.post(url(stored, "undo"), {"revision": "x"}).status_code == 404


def test_who_may_not_decide_sees_no_button_and_cannot_undo(reviewer, client):
    stored = changeset([update(1)])
    decide_all(reviewer, stored, "accepted")
    client.force_login(making.user("reader", "view_changeset"))

    assert "Undo:" not in text(client.get(url(stored, "change")))
    assert client.post(url(stored, "undo"), {"revision": "1"}).status_code == 403
    assert stored.changes.get().decision == "accepted"
