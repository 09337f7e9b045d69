"""What belongs together: a decision that other changes stand against names them, and offers one on all."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from data_sync.models import Changeset

from . import making
from .making import changeset, create
from .test_review import REVIEWER, decide_url, review_url, text


@pytest.fixture
def reviewer(client: Client, db: Any) -> Client:
    client.force_login(making.user("mira", *REVIEWER))
    return client


def chain(length: int, **decisions: str) -> Changeset:
    """Each change needs the one before it."""
    return changeset(
        create(number, requires=[number - 1] if number > 1 else [], decision=decisions.get(f"n{number}", "undecided"))
        for number in range(1, length + 1)
    )


def decided(stored: Changeset) -> list[str]:
    return list(stored.changes.order_by("number").values_list("decision", flat=True))


@pytest.mark.parametrize(
    ("decisions", "number", "decision", "button", "result"),
    [
        ({"n1": "rejected"}, 2, "accepted", "Accept both", ["accepted"] * 2),
        ({"n1": "rejected", "n2": "rejected"}, 3, "accepted", "Accept all 3", ["accepted"] * 3),
        ({"n2": "accepted"}, 1, "rejected", "Reject both", ["rejected"] * 2),
        ({"n2": "accepted", "n3": "accepted"}, 1, "rejected", "Reject all 3", ["rejected"] * 3),
    ],
)
def test_a_refused_decision_names_both_records_and_offers_one_on_all(
    reviewer, decisions, number, decision, button, result
):
    stored = chain(len(result), **decisions)
    given = {"number": str(number), "decide": decision, "revision": "0", "query": "op=create"}

    page = reviewer.post(decide_url(stored), given)
    before = decided(stored)
    offered = dict(_fields(page.content.decode()))
    answer = reviewer.post(decide_url(stored), offered | {"with_requirements": "1"}, follow=True)

    assert page.status_code == 400 and button in text(page)
    for other in range(1, len(result) + 1):
        assert f"?number={other}#change-{other}" in page.content.decode() and f"word-{other}" in text(page)
    assert before.count(decision) < len(before)
    assert decided(stored) == result
    assert answer.redirect_chain[0][0] == review_url(stored, f"?op=create#change-{number}")


def _fields(page: str) -> list[tuple[str, str]]:
    import re

    form = page[page.index('<form class="ds-actions"') :]
    return [pair for pair in re.findall(r'name="(\w+)" value="([^"]*)"', form) if pair[0] != "csrfmiddlewaretoken"]


def test_a_script_gets_the_changes_and_what_the_button_says(reviewer):
    stored = chain(2, n1="rejected")
    given = {"number": "2", "decide": "accepted", "revision": "0"}
    as_json = {"Accept": "application/json"}

    refused = reviewer.post(decide_url(stored), given, headers=as_json)
    done = reviewer.post(decide_url(stored), given | {"with_requirements": "1"}, headers=as_json)

    assert (refused.status_code, refused.json()["remedy"]) == (400, "together")
    assert refused.json()["together"] == {
        "button": "Accept both",
        "changes": [{"number": 1, "words": "#1 word-1"}],
        "more": "",
    }
    assert done.json()["also"] == {"1": "accepted"}
    assert done.json()["decisions"]["accepted"] == 2


def test_deciding_on_all_of_them_needs_the_revision_that_was_seen(reviewer):
    stored = chain(2, n1="rejected")
    given = {"number": "2", "decide": "accepted", "revision": "0", "with_requirements": "1"}
    Changeset.objects.update(revision=1)

    assert reviewer.post(decide_url(stored), given).status_code == 409
    assert decided(stored) == ["rejected", "undecided"]


def test_the_page_that_offers_both_sends_every_field_that_is_kept(client, db):
    client.force_login(making.user("mira", *REVIEWER))
    before = {"slug": "x", "title": "ours", "deleted": True}
    after = {"slug": "x", "title": "theirs", "deleted": False}
    stored = changeset(
        [
            create(1, decision="rejected"),
            making.change(2, model="testapp.article", before=before, after=after, requires=[1]),
        ]
    )

    page = client.post(
        decide_url(stored), {"number": "2", "decide": "accepted", "revision": "0", "keep": ["title", "deleted"]}
    ).content.decode()

    assert page.count('name="keep"') == 2 and 'value="title"' in page and 'value="deleted"' in page
