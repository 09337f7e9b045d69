"""Renames, warnings, rows that left their scope, and what the two sides do not agree on."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from . import making
from .making import changeset, delete, rename, update
from .test_review import REVIEWER, decide_all, decide_url, numbers, review_url, text

CASCADE = {"model": "auth.group", "pk": "1", "label": "editors", "effect": "delete", "column": "x"}
WARNING = {"code": "validator", "field": "meaning", "message": "meaning: Enter a <b>valid</b> value."}


@pytest.fixture
def reviewer(client: Client, db: Any) -> Client:
    client.force_login(making.user("mira", *REVIEWER))
    return client


# Renames


def test_a_rename_shows_both_keys_and_what_the_other_way_would_take_along(reviewer):
    stored = changeset([rename(1, "UK", "GB", cascades=[CASCADE])])

    page = reviewer.get(review_url(stored))

    assert "→ Renamed Term UK → to GB" in text(page)
    assert "Word UK GB" in text(page)
    assert "Keep the row, under the new key" in text(page) and "Delete the row and add a new one" in text(page)
    assert "What deleting it would do: ⚠ Also deletes 1 row of group editors" in text(page)
    assert page.content.decode().count('class="ds-notes"') == 0, "nothing is taken along unless that is chosen"
    assert 'name="rename_choice" value="rename" checked' in page.content.decode()


def test_a_rename_that_nothing_refers_to_says_so(reviewer):
    assert "Nothing here refers to it" in text(reviewer.get(review_url(changeset([rename(1)]))))


@pytest.mark.parametrize(("given", "stored_as"), [("replace", "replace"), ("rename", "rename"), ("", "rename")])
def test_the_choice_is_stored_with_the_decision(reviewer, given, stored_as):
    stored = changeset([rename(1)])
    choice = {"rename_choice": given} if given else {}

    reviewer.post(decide_url(stored), {"number": "1", "decide": "accepted", "revision": "0"} | choice)

    row = stored.changes.get()
    assert (row.decision, row.rename_choice) == ("accepted", stored_as)


def test_a_closed_changeset_says_what_was_chosen(reviewer):
    stored = changeset([rename(1, decision="accepted", rename_choice="replace")], state="applied")

    assert "delete the row and add a new one" in text(reviewer.get(review_url(stored)))


@pytest.mark.parametrize("name", ["change", "confirm"])
def test_renames_are_counted_where_the_others_are(reviewer, name):
    stored = changeset([rename(1, decision="accepted"), rename(2, decision="accepted"), update(3, decision="accepted")])

    page = reviewer.get(reverse(f"admin:data_sync_changeset_{name}", args=(stored.pk,)))

    assert "Renamed" in text(page)
    assert numbers(reviewer.get(review_url(stored, "?op=rename"))) == [1, 2]


# Warnings and left scope


def test_warnings_are_told_and_forbid_nothing(reviewer):
    stored = changeset([update(1, warnings=[WARNING]), update(2)])

    page = reviewer.get(review_url(stored))
    decide_all(reviewer, stored, "accepted")

    assert "Warning: meaning: Enter a &lt;b&gt;valid&lt;/b&gt; value." in text(page)
    assert "1 change with a warning" in text(page)
    assert numbers(reviewer.get(review_url(stored, "?flag=warnings"))) == [1]
    assert set(stored.changes.values_list("decision", flat=True)) == {"accepted"}


def test_a_delete_of_a_row_that_left_its_scope_is_labelled(reviewer):
    stored = changeset([delete(1, left_scope=True), delete(2)])

    page = reviewer.get(review_url(stored))

    assert text(page).count("left scope") == 1
    assert "The source still has this row, but it is no longer among those that are synced." in text(page)
    assert numbers(reviewer.get(review_url(stored, "?flag=left_scope"))) == [1]


# What the two sides do not agree on

SCHEMA = [
    {"model": "testapp.term", "field": "meaning", "difference": "is a text of 200 here and of 100 there"},
    {"model": "testapp.tag", "field": "", "difference": "is not offered by the source"},
]


def test_a_changeset_says_what_was_left_out_of_it(reviewer):
    pull = making.pull(report={"schema": SCHEMA, "models": []})
    stored = changeset([update(1)], pull=pull, omitted={"testapp.term": ["meaning", "owner"]})

    shown, confirmed = (
        text(reviewer.get(reverse(f"admin:data_sync_changeset_{name}", args=(stored.pk,))))
        for name in ("change", "confirm")
    )

    assert "The two sides do not agree on 2 models:" in shown
    assert "meaning is a text of 200 here and of 100 there" in shown
    assert "owner was left out, with what it refers to" in shown
    assert "Tag testapp.tag The whole model was not compared. is not offered by the source" in shown
    assert "Left out, because the two sides do not agree on it: Term: meaning , owner" in confirmed


def test_what_was_left_out_is_known_without_the_pull(reviewer):
    stored = changeset([update(1)], omitted={"testapp.term": ["owner"]})

    assert "The two sides do not agree on 1 model:" in text(reviewer.get(review_url(stored)))


def test_a_guard_for_a_schema_difference_stands_in_the_banner(reviewer):
    guard = {"code": "schema_difference", "model": "testapp.term", "message": "testapp.term is not the same."}
    stored = changeset([update(1)], state="blocked", guards=[guard])

    assert "testapp.term is not the same." in text(reviewer.get(review_url(stored)))
