"""The history of a changeset: sentences with links, for each kind of event, a page at a time."""

from __future__ import annotations

import pytest
from django.urls import reverse

from data_sync.core.states import Decision
from data_sync.models import Changeset
from data_sync.services import actors, approval, audit, remarks, review, undoing
from data_sync.services.review import Selection

from . import making
from .making import changeset, conflict, create, delete, update
from .test_review import text

pytestmark = pytest.mark.django_db

ACTOR = actors.command_line()


@pytest.fixture
def reader(client):
    client.force_login(making.user("reader", "view_changeset"))
    return client


def history(client, stored: Changeset, query: str = ""):
    return client.get(reverse("admin:data_sync_changeset_history", args=(stored.pk,)) + query)


def decide(stored: Changeset, decision: str, selection: Selection, **options) -> None:
    review.decide(stored.pk, selection, Decision(decision), ACTOR, revision=None, **options)


def test_decisions_are_told_with_the_changes_that_they_were_on(reader):
    stored = changeset([conflict(1), update(2), create(3), create(4, requires=[3]), delete(5)])
    decide(stored, "accepted", Selection(numbers=(1,)), acknowledge=True)
    decide(stored, "rejected", Selection(numbers=(3,)))
    decide(stored, "accepted", Selection(numbers=(4,)), with_requirements=True)
    decide(stored, "rejected", Selection(operation="delete", model="testapp.term", search="word"))
    decide(stored, "accepted", Selection())

    shown = text(history(reader, stored))

    assert "Accepted #1 word-1" in shown and "What happened here was said to have been seen." in shown
    assert "Rejected #3 word-3" in shown
    assert "Accepted #4 word-4 ; #3 word-3" in shown
    assert "Rejected 1 change" in shown and "Of those that match: Term · Deleted · with “word” in the key" in shown
    assert "Accepted 1 change" in shown and "Of all changes" in shown
    assert "selection" not in shown and "None" not in shown and "False" not in shown
    assert "?number=4" in history(reader, stored).content.decode()


def test_every_other_event_has_its_sentence(reader):
    stored = changeset([create(1), create(2)])
    decide(stored, "accepted", Selection())
    undoing.undo(stored.pk, ACTOR, revision=1)
    decide(stored, "accepted", Selection(numbers=(1,)))
    remarks.comment(stored.changes.get(number=2), "Why <b>this</b>?", actors.of_user(making.user("mira", "*")))
    approval.approve(stored.pk, ACTOR, revision=3)
    approval.withdraw(stored.pk, ACTOR)
    guards = [{"code": "empty_side", "message": "The source has no rows."}]
    counts = {"create": 2, "update": 0, "delete": 0, "rename": 0}
    pulled = {"source": "Staging", "compared": 5, "counts": counts, "guards": guards, "omitted": {"testapp.tag": []}}
    for action, detail in {
        "pulled": pulled | {"content_seal": "sha256:seal"},
        "overridden": {"reason": "It is right.", "guards": guards},
        "superseded": {"by": 77, "pull": 1},
        "carried_over": {"from": [5, 6], "counts": {"accepted": 2}, "comments": []},
        "applied": {"attempt": 1, "approval_seal": "sha256:x", "outcomes": {"applied": 1, "skipped": 1}},
        "stale": {"attempt": 1, "reason": "A row has moved.", "changes": [2]},
        "failed": {"attempt": 1, "reason": "The database is full.", "changes": []},
        "rejected": {"reason": "Not this year."},
        "invented": {"x": 1},
    }.items():
        audit.record(stored.pk, ACTOR, action, detail)

    shown = text(history(reader, stored))

    for words in (
        "Decision undone",
        "2 changes are as they were before.",
        "Commented #2 word-2",
        "Why &lt;b&gt;this&lt;/b&gt;?",
        "1 accepted",
        "Approval withdrawn",
        "Pulled from Staging",
        "2 Added · 5 rows compared",
        "Left out: Tag",
        "The source has no rows.",
        "Let through the guards",
        "It is right.",
        "Superseded by changeset 77",
        "carried over from changeset 5, 6",
        "1 applied · 1 skipped",
        "Found stale: nothing was written #2 word-2",
        "The database is full.",
        "Not this year.",
        "invented",
    ):
        assert words in shown, words


def test_it_is_read_a_page_at_a_time(reader, monkeypatch):
    monkeypatch.setattr("data_sync.admin.history.PAGE", 2)
    stored = changeset([update(1)])
    for decision in ("accepted", "rejected", "undecided"):
        decide(stored, decision, Selection(numbers=(1,)))

    first, second = history(reader, stored), history(reader, stored, "?after=2")

    assert "Rejected #1" in text(first) and "Set to undecided #1" not in text(first)
    assert 'href="?after=2" rel="next"' in first.content.decode()
    assert "Set to undecided #1" in text(second) and 'rel="next"' not in second.content.decode()


def test_a_page_costs_as_many_queries_for_many_events_as_for_few(reader, django_assert_num_queries):
    stored = changeset([update(number) for number in range(1, 31)])
    decide(stored, "accepted", Selection(numbers=(1,)))
    history(reader, stored)
    with django_assert_num_queries(7):
        history(reader, stored)
    for number in range(2, 31):
        decide(stored, "rejected", Selection(numbers=(number,)))
    with django_assert_num_queries(7):
        history(reader, stored)
