"""Rows that were edited after the pull, on their cards."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.testapp.models import Term

from . import making
from .making import changeset, delete, update
from .test_review import REVIEWER, decide_url, numbers, review_url, text

pytestmark = pytest.mark.django_db


@pytest.fixture
def reviewer(client):
    client.force_login(making.user("mira", *REVIEWER))
    return client


def of_rows(count: int, **values: str):
    rows = [Term.objects.create(word=f"word-{number}", meaning="old") for number in range(1, count + 1)]
    return changeset([update(number, local_pk=row.pk) for number, row in enumerate(rows, 1)], **values)


def test_the_card_shows_the_row_as_it_is_now_beside_the_pull(reviewer):
    stored = of_rows(2)
    assert "Changed since the pull" not in text(reviewer.get(review_url(stored)))
    Term.objects.filter(word="word-1").update(meaning="edited")

    page = reviewer.get(review_url(stored))

    shown = text(page)
    assert shown.count("⚠ Changed since the pull") == 1 and "Changed here since the pull: Meaning." in shown
    assert "At the pull Here now Incoming" in shown
    assert "I have seen the row as it is now" in shown and page.content.decode().count('name="seen"') == 1


def test_a_form_from_before_the_edit_is_refused_and_says_to_reload(reviewer):
    stored = of_rows(1)
    Term.objects.update(meaning="edited")
    given = {"number": "1", "decide": "accepted", "acknowledge": "1", "revision": "0"}

    answer = reviewer.post(decide_url(stored), given, headers={"Accept": "application/json"})

    assert (answer.status_code, answer.json()["remedy"]) == (400, "reload")
    assert "was changed here since the pull: meaning" in answer.json()["error"]
    assert stored.changes.get().decision == "undecided"


def test_a_form_that_shows_it_asks_for_the_tick(reviewer):
    stored = of_rows(1)
    Term.objects.update(meaning="edited")
    card = reviewer.get(review_url(stored)).context["cards"][0]
    given = {"number": "1", "decide": "accepted", "revision": "0", "seen": card.moved.digest}

    answer = reviewer.post(decide_url(stored), given, headers={"Accept": "application/json"})
    assert answer.json()["remedy"] == "acknowledge"
    reviewer.post(decide_url(stored), given | {"acknowledge": "1"})

    assert stored.changes.get().decision == "accepted"
    assert reviewer.get(review_url(stored)).context["cards"][0].is_acknowledged


def test_a_row_that_is_gone_is_told(reviewer):
    stored = of_rows(1)
    Term.objects.all().delete()

    assert "The row is gone here since the pull. Pull again." in text(reviewer.get(review_url(stored)))


def test_a_changeset_that_is_closed_is_shown_as_it_was(reviewer):
    stored = of_rows(1, state="applied")
    Term.objects.update(meaning="edited")

    assert "since the pull" not in text(reviewer.get(review_url(stored)))


def test_to_look_takes_as_many_queries_for_fifty_rows_as_for_five(reviewer):
    of_few = of_rows(5)
    with CaptureQueriesContext(connection) as few:
        reviewer.get(review_url(of_few))
    Term.objects.all().delete()
    of_many = of_rows(50)
    with CaptureQueriesContext(connection) as many:
        reviewer.get(review_url(of_many))

    assert len(many) == len(few)


def test_the_confirmation_leads_to_the_rows_that_were_edited(reviewer):
    stored = of_rows(2)
    Term.objects.filter(word="word-2").update(meaning="edited")
    accept = {"decide": "accepted", "acknowledge": "1"}
    reviewer.post(decide_url(stored), {**accept, "number": "1", "revision": "0"})
    seen = reviewer.get(review_url(stored, "?number=2")).context["cards"][0].moved.digest
    reviewer.post(decide_url(stored), {**accept, "number": "2", "revision": "1", "seen": seen})

    page = reviewer.get(reverse("admin:data_sync_changeset_confirm", args=(stored.pk,)))

    assert "1 row that was edited after the pull" in text(page)
    assert "?flag=edited&amp;decision=accepted" in page.content.decode()
    assert numbers(reviewer.get(review_url(stored, "?flag=edited&decision=accepted"))) == [2]


def test_a_delete_shows_the_edited_row(reviewer):
    row = Term.objects.create(word="word-1", meaning="old")
    stored = changeset([delete(1, local_pk=row.pk)])
    Term.objects.update(meaning="edited")

    shown = text(reviewer.get(review_url(stored)))

    assert "edited" in shown and "At the pull Here now Incoming" in shown
