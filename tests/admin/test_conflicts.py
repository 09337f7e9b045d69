"""Conflicts: three values side by side, who was it, and nothing accepted that was not seen."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from data_sync.admin.presentation import Row

from . import making
from .making import changeset, conflict, create, delete, rename, update
from .test_cards import card_of, said
from .test_review import REVIEWER, decide_all, decide_url, numbers, review_url, text

KNOWN = {"kind": "changed", "by": "tomas", "at": "2026-05-12T10:03:00+00:00"}
UNKNOWN = {"kind": "changed", "by": "", "at": ""}
GONE = {"kind": "removed", "by": "", "at": ""}


@pytest.fixture
def reviewer(client: Client, db: Any) -> Client:
    client.force_login(making.user("mira", *REVIEWER))
    return client


def agreed(rows: tuple[Row, ...]) -> list[tuple[str, str, int]]:
    return [(row.path or row.name, said(row.agreed), row.agreed_rows) for row in rows]


# What a card makes of it


@pytest.mark.parametrize(
    ("base", "here", "there", "note"),
    [
        ("agreed", "here", "there", ("changed_both",)),
        ("there", "here", "there", ("changed_here",)),
        ("here", "here", "there", ("changed_there",)),
    ],
)
def test_each_field_shows_what_was_agreed_and_which_side_has_moved(base, here, there, note):
    values = {"before": {"value": here}, "after": {"value": there}, "base": {"value": base}}

    (row,) = card_of(making.change(**values, conflict=KNOWN)).rows

    assert (said(row.agreed), said(row.here), said(row.incoming)) == (base, here, there)
    assert row.notes == note


def test_fields_on_which_both_made_the_same_change_are_not_in_question():
    before, after = {"value": "new", "options": 1}, {"value": "new", "options": 2}

    card = card_of(making.change(before=before, after=after, base={"value": "old", "options": 0}, conflict=KNOWN))

    assert [row.name for row in card.rows] == ["options"]


def test_a_structured_field_shows_its_agreed_value_once_for_all_its_places():
    base, before, after = ({"options": {"a": n, "b": n}, "value": "x"} for n in (0, 1, 2))
    after = after | {"value": "y"}

    card = card_of(making.change(before=before, after=after, base=base, conflict=KNOWN))

    assert [(row.path or row.name, row.agreed_rows) for row in card.rows] == [("value", 1), ("a", 2), ("b", 0)]
    assert '"a": 0' in said(card.rows[1].agreed)
    assert card.rows[2].notes == ()


def test_where_no_record_of_that_time_is_left_there_is_no_column_for_it(reviewer):
    change = making.change(before={"value": "a", "options": 1}, after={"value": "b", "options": 2}, conflict=KNOWN)

    assert card_of(change).earlier is None and {row.agreed_rows for row in card_of(change).rows} == {0}
    shown = text(reviewer.get(review_url(changeset([conflict(1, base=None)]))))
    assert "What both sides had before is not kept any more." in shown and "Last agreed" not in shown


def test_a_file_is_not_known_any_more():
    file = {"name": "a.png", "size": 1, "checksum": "sha256:aa"}
    files = {"thumbnail": {"before": None, "after": file}}

    card = card_of(making.change(before={}, after={}, files=files, base={"value": "x"}, conflict=KNOWN))

    assert agreed(card.rows) == [("thumbnail", "unknown", 1)]


def test_of_a_row_that_would_be_deleted_all_fields_show_what_they_were():
    values = {"before": {"value": "here", "tags": []}, "base": {"value": "agreed", "tags": [["a"]]}}

    rows = card_of(making.change(**values, conflict=KNOWN)).rows

    assert agreed(rows) == [("value", "agreed", 1), ("tags", "a", 1)]
    assert {row.notes for row in rows} == {("changed_here",)}


def test_a_row_that_was_deleted_here_shows_what_it_was():
    card = card_of(making.change(after={"value": "there"}, base={"value": "agreed"}, conflict=GONE))

    assert agreed(card.rows) == [("value", "agreed", 1)]
    assert card.rows[0].notes == ("changed_there",)
    assert card.conflict.seen == "I have seen that it was deleted here"


@pytest.mark.parametrize(
    ("row_change", "words"),
    [
        (
            conflict(1),
            "Changed here by tomas , May 12, 2026, 10:03 a.m. UTC. Accepting overwrites what was changed here.",
        ),
        (conflict(1, conflict=UNKNOWN), "Changed here since both sides last agreed; nobody recorded by whom."),
        (delete(1, conflict=KNOWN), "Accepting deletes it with what was changed here."),
        (
            create(1, conflict=GONE),
            "Deleted here since both sides last agreed; nobody recorded by whom. Accepting adds",
        ),
        (create(1, conflict=GONE | {"by": "<b>x</b>"}), "Deleted here by &lt;b&gt;x&lt;/b&gt; ."),
    ],
)
def test_who_and_when_are_told_where_they_are_known(reviewer, settings, row_change, words):
    settings.TIME_ZONE = "UTC"

    shown = text(reviewer.get(review_url(changeset([row_change]))))

    assert words in shown and "⚠ Conflict" in shown


# The review


def test_conflicts_come_first_then_deletes_updates_renames_creates(reviewer):
    stored = changeset([create(1), rename(2), update(3), delete(4), conflict(5), create(6, conflict=GONE)])

    assert numbers(reviewer.get(review_url(stored))) == [5, 6, 4, 3, 2, 1]


def test_pages_lead_over_the_end_of_the_conflicts_without_gap_or_overlap(reviewer):
    import re

    stored = changeset([*(conflict(n) for n in range(1, 61)), *(delete(n, conflict=KNOWN) for n in range(61, 71)),
                        *(update(n) for n in range(71, 101)), *(rename(n) for n in range(101, 111))])  # fmt: skip
    found, query = [], ""
    for _ in range(3):
        page = reviewer.get(review_url(stored, query))
        found += numbers(page)
        link = re.search(r'href="(\?[^"]*)" rel="next"', page.content.decode())
        query = link[1].replace("&amp;", "&") if link else ""
        back = re.search(r'href="(\?[^"]*)" rel="prev"', page.content.decode())

    assert found == list(range(1, 111)) and not query
    assert numbers(reviewer.get(review_url(stored, back[1].replace("&amp;", "&")))) == list(range(51, 101))


def test_conflicts_are_counted_filtered_and_led_to(reviewer):
    stored = changeset([update(1), conflict(2), conflict(3, model="testapp.tag"), delete(4)])

    page = reviewer.get(review_url(stored))
    only = reviewer.get(review_url(stored, "?flag=conflicts&model=testapp.tag"))
    short = reviewer.get(review_url(stored, "?conflict=1&model=testapp.tag"))

    assert "2 conflicts: changed here" in text(page)
    assert "?model=testapp.tag&amp;flag=conflicts" in page.content.decode()
    assert numbers(only) == numbers(short) == [3]
    assert (
        'aria-current="page"><span class="ds-nav-words"><span class="ds-sign ds-op-conflict"' in only.content.decode()
    )


def test_the_list_of_changesets_counts_conflicts_and_renames(client, db):
    client.force_login(making.user("admin", "*"))
    changeset([conflict(1), conflict(2), rename(3)])
    changeset([update(1)])

    shown = text(client.get(reverse("admin:data_sync_changeset_changelist")))

    assert "⚠ 2" in shown and shown.count("⚠") == 1
    assert shown.count("→ 1 Renamed") == 1 and "→ 0" not in shown


def test_a_base_that_is_not_known_is_said_quietly_and_only_where_there_could_be_one(reviewer):
    stored = changeset([create(1), update(2), update(3, base_digest="ab" * 16), delete(4), rename(5)])

    shown = reviewer.get(review_url(stored)).content.decode()

    assert shown.count("unknown base") == 3 and "⚠ Conflict" not in shown


# Accepting


def test_a_conflict_is_accepted_only_by_who_says_they_have_seen_it(reviewer):
    stored = changeset([conflict(1)])
    given = {"number": "1", "decide": "accepted", "revision": "0"}

    page = reviewer.post(decide_url(stored), given, follow=True)
    answer = reviewer.post(decide_url(stored), given, headers={"Accept": "application/json"})
    before = stored.changes.get().decision
    reviewer.post(decide_url(stored), given | {"acknowledge": "1"})
    row = stored.changes.get()

    assert "#1" in text(page) and "is a conflict: its row was changed here" in text(page)
    assert (answer.status_code, "is a conflict" in answer.json()["error"]) == (400, True)
    assert answer.json()["remedy"] == "acknowledge"
    assert (before, row.decision) == ("undecided", "accepted")
    assert row.acknowledged_digest == row.before_digest
    assert 'name="acknowledge" value="1" checked' in reviewer.get(review_url(stored)).content.decode()


def test_a_conflict_is_rejected_without_further_ado(reviewer):
    stored = changeset([conflict(1)])

    reviewer.post(decide_url(stored), {"number": "1", "decide": "rejected", "revision": "0"})

    assert stored.changes.get().decision == "rejected"


def test_accepting_all_says_beforehand_and_afterwards_how_many_conflicts_it_leaves_out(reviewer):
    stored = changeset([update(1), conflict(2), conflict(3), delete(4, conflict=KNOWN)])

    page = reviewer.get(review_url(stored))
    answer = decide_all(reviewer, stored, "accepted")

    assert "Accept 1 undecided" in text(page)
    assert "Accepting leaves out: 1 delete (show the deletes to accept it); 2 conflicts (to be acc" in text(page)
    assert "1 change accepted." in text(answer)
    assert "2 conflicts were left out: accept each on its own card." in text(answer)
    assert list(stored.changes.filter(decision="accepted").values_list("number", flat=True)) == [1]


@pytest.mark.parametrize("query", ["", "?flag=conflicts"])
def test_fifty_conflicts_and_renames_cost_as_many_queries_as_ten(reviewer, query):
    from .test_review import queries_of

    def of(size: int) -> Any:
        return changeset([*(conflict(n) for n in range(size)), *(rename(n) for n in range(size, 2 * size))])

    few, many = queries_of(reviewer, of(5), query), queries_of(reviewer, of(60), query)

    assert few == many <= 8


def test_the_confirmation_says_how_many_conflicts_were_accepted(client, db):
    client.force_login(making.user("admin", "*"))
    stored = changeset([conflict(1, decision="accepted", acknowledged_digest="x"), conflict(2), update(3)])

    shown = text(client.get(reverse("admin:data_sync_changeset_confirm", args=(stored.pk,))))

    assert "1 accepted conflict " in shown and "is overwritten" in shown
