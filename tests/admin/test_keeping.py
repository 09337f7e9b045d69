"""The boxes that keep single fields of an update as they are here."""

from __future__ import annotations

import pytest
from django.urls import reverse

from data_sync.models import Changeset

from . import making
from .making import changeset, create, delete, update
from .test_review import REVIEWER, decide_url, numbers, review_url, text

pytestmark = pytest.mark.django_db


@pytest.fixture
def reviewer(client):
    client.force_login(making.user("mira", *REVIEWER))
    return client


def of_two_fields() -> Changeset:
    return changeset(
        [
            making.change(
                1,
                model="testapp.article",
                before={"slug": "x", "title": "ours", "deleted": True},
                after={"slug": "x", "title": "theirs", "deleted": False},
            )
        ]
    )


def test_each_field_that_differs_has_one_box(reviewer):
    page = reviewer.get(review_url(of_two_fields())).content.decode()

    assert page.count('name="keep"') == 2
    assert 'value="deleted" form="form-1"' in page and 'value="title" form="form-1"' in page


@pytest.mark.parametrize("one", [update(1), create(1), delete(1)])
def test_where_to_keep_would_be_to_reject_there_is_no_box(reviewer, one):
    page = reviewer.get(review_url(changeset([one]))).content.decode()

    assert 'name="keep"' not in page and 'name="keeps"' not in page


def test_a_form_says_what_is_kept_and_what_no_longer_is(reviewer):
    stored = of_two_fields()
    given = {"number": "1", "decide": "accepted", "keeps": "1"}

    reviewer.post(decide_url(stored), {**given, "revision": "0", "keep": ["deleted"]})
    assert stored.changes.get().kept["fields"] == ["deleted"]
    page = reviewer.get(review_url(stored)).content.decode()
    assert 'aria-label="Keep as it is here: Deleted" checked' in page and page.count('class="ds-kept"') == 1

    reviewer.post(decide_url(stored), {"number": "1", "decide": "undecided", "revision": "1"})
    assert stored.changes.get().kept["fields"] == ["deleted"]  # That form has no boxes.
    reviewer.post(decide_url(stored), {**given, "revision": "2"})
    assert stored.changes.get().kept == {}


def test_to_keep_everything_is_refused_with_the_remedy(reviewer):
    stored = of_two_fields()
    given = {"number": "1", "decide": "accepted", "keeps": "1", "keep": ["deleted", "title"], "revision": "0"}

    answer = reviewer.post(decide_url(stored), given, headers={"Accept": "application/json"})
    page = reviewer.post(decide_url(stored), given, follow=True)

    assert (answer.status_code, answer.json()["remedy"]) == (400, "none")
    assert "would keep everything as it is here. Reject it instead." in text(page)
    assert stored.changes.get().decision == "undecided"


def test_a_reader_sees_what_is_kept(reviewer, client):
    stored = of_two_fields()
    reviewer.post(
        decide_url(stored), {"number": "1", "decide": "accepted", "keeps": "1", "keep": ["title"], "revision": "0"}
    )
    client.force_login(making.user("reader", "view_changeset"))

    page = client.get(review_url(stored))

    assert text(page).count("kept as it is here") == 1 and 'name="keep"' not in page.content.decode()
    assert client.post(reverse("admin:data_sync_changeset_decide", args=(stored.pk,))).status_code == 403


def test_a_structured_field_has_its_box_once_and_is_kept_as_a_whole(reviewer):
    stored = changeset(
        [
            making.change(
                1,
                model="testapp.everything",
                before={"text": "ours", "json": {"a": 1, "b": 1}},
                after={"text": "theirs", "json": {"a": 2, "b": 2}},
                kept={"fields": ["json"], "waives": [], "holds": False},
            )
        ]
    )

    page = reviewer.get(review_url(stored)).content.decode()

    assert page.count('name="keep"') == 2 and page.count('class="ds-kept"') == 2


def test_the_confirmation_leads_to_the_changes_that_keep_fields(reviewer):
    stored = of_two_fields()
    given = {"number": "1", "decide": "accepted", "keeps": "1", "keep": ["title"], "revision": "0"}
    reviewer.post(decide_url(stored), given)

    page = reviewer.get(reverse("admin:data_sync_changeset_confirm", args=(stored.pk,)))

    assert "single fields of 1 accepted change, which stay as they are here" in text(page)
    assert "Nothing: every change is accepted." not in text(page)
    assert "?flag=kept&amp;decision=accepted" in page.content.decode()
    assert numbers(reviewer.get(review_url(stored, "?flag=kept&decision=accepted"))) == [1]


def test_what_is_kept_is_said_and_can_be_taken_where_nothing_else_differs(reviewer):
    before, after = {"slug": "x", "title": "ours", "deleted": True}, {"slug": "x", "title": "theirs", "deleted": True}
    kept = {"fields": ["title"], "waives": [], "holds": False}
    stored = changeset([making.change(1, model="testapp.article", before=before, after=after, kept=kept)])

    page = reviewer.get(review_url(stored)).content.decode()
    assert page.count('name="keep"') == 1 and 'aria-label="Keep as it is here: Title" checked' in page
    reviewer.post(decide_url(stored), {"number": "1", "decide": "undecided", "keeps": "1", "revision": "0"})

    assert stored.changes.get().kept == {}
