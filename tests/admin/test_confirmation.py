"""What the page before an approval knows: rows that have moved, what belongs together, and who may approve."""

from __future__ import annotations

from typing import Any

import pytest

from data_sync.models import Change, Changeset
from tests.testapp.models import Term

from . import making
from .making import changeset, create, delete, update
from .test_review import text
from .test_undo import url

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss(client):
    client.force_login(making.user("mira", "*"))
    return client


def of_rows(count: int, **values: Any) -> Changeset:
    """Accepted updates of rows that are there."""
    rows = [Term.objects.create(word=f"word-{number}", meaning="old") for number in range(1, count + 1)]
    return changeset(
        [update(number, local_pk=row.pk, decision="accepted") for number, row in enumerate(rows, 1)], **values
    )


@pytest.mark.parametrize("state", ["pending", "approved"])
def test_rows_that_were_edited_are_named_instead_of_a_button_that_can_only_fail(boss, state):
    stored = of_rows(3, state=state)
    assert "Approve and apply 3" in text(boss.get(url(stored, "confirm"))) or state == "approved"
    Term.objects.filter(word="word-2").update(meaning="edited")

    page = boss.get(url(stored, "confirm"))

    assert "Changed here since the pull" in text(page) and "?number=2#change-2" in page.content.decode()
    assert "?number=1#change-1" not in page.content.decode()
    assert 'name="do"' not in page.content.decode()


def test_an_approval_of_such_rows_is_refused_by_name(boss):
    stored = of_rows(2)
    Term.objects.filter(word="word-2").update(meaning="edited")

    page = boss.post(url(stored, "approve"), {"do": "approve", "revision": "0"}, follow=True)

    stored.refresh_from_db()
    assert stored.state == "pending"
    assert (
        "was changed here since the pull: meaning. Pull again. Where the row was edited, the change can also be"
        in text(page)
    )


def test_the_buttons_for_what_is_missing_count_all_that_would_be_decided(boss):
    """Change 1 needs 2, which needs 3, a delete."""
    stored = changeset([create(1, decision="accepted", requires=[2]), create(2, requires=[3]), delete(3), update(4)])

    page = text(boss.get(url(stored, "confirm")))
    answer = boss.post(url(stored, "resolve"), {"resolve": "accepted", "revision": "0"}, follow=True)

    assert "Accept the 2 that are needed" in page and "1 of what is needed is a delete." in page
    assert "2 changes accepted." in text(answer)
    assert "Undo: 2 accepted" in text(boss.get(url(stored, "change")))


def test_more_that_is_missing_than_is_listed_is_counted(boss):
    needs = list(range(2, 82))
    stored = changeset([create(1, decision="accepted", requires=needs), *(create(number) for number in needs)])

    page = text(boss.get(url(stored, "confirm")))

    assert "and 30 more that are needed" in page and "Accept the 80 that are needed" in page


def test_who_asked_for_the_pull_sees_that_somebody_else_has_to_approve(boss, settings):
    settings.DATA_SYNC_FOUR_EYES = True
    stored = changeset([create(1, decision="accepted")])
    Changeset.objects.update(requested_by=making.user("tomas", "*"))
    assert "Approve and apply" in text(boss.get(url(stored, "confirm")))
    Changeset.objects.update(requested_by=Changeset.requested_by.field.related_model.objects.get(username="mira"))

    page = boss.get(url(stored, "confirm"))

    assert "Four eyes are required" in text(page) and 'name="do"' not in page.content.decode()


def test_an_approval_names_its_approver_when_that_account_is_gone(boss):
    stored = changeset([create(1, decision="accepted")])
    boss.post(url(stored, "approve"), {"do": "approve", "revision": "0"})
    boss.force_login(making.user("tomas", "*"))

    Changeset.objects.get().approved_by.delete()

    assert "Approved by mira" in text(boss.get(url(stored, "change")))


@pytest.mark.parametrize("meanwhile", [{"revision": 1}, {"state": "approved"}])
def test_a_rejection_of_the_whole_is_of_what_was_seen(boss, meanwhile):
    stored = changeset([create(1)])
    given = {"reason": "Wrong week.", "revision": "0", "state": "pending"}
    page = boss.get(url(stored, "reject")).content.decode()
    assert 'name="revision" value="0"' in page and 'name="state" value="pending"' in page
    Changeset.objects.update(**meanwhile)

    assert boss.post(url(stored, "reject"), given).status_code == 409
    stored.refresh_from_db()
    assert stored.state != "rejected"
    seen = {"revision": str(stored.revision), "state": stored.state}
    boss.post(url(stored, "reject"), given | seen)
    stored.refresh_from_db()
    assert (stored.state, stored.state_reason) == ("rejected", "Wrong week.")


def test_what_is_closed_has_no_form_to_reject_it(boss):
    stored = changeset([create(1)], state="applied")

    page = boss.get(url(stored, "reject"), follow=True)

    assert page.redirect_chain and "is applied and cannot be rejected." in text(page)
    assert Change.objects.get().decision == "undecided"
