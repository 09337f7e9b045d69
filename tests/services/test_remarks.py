"""Ticks and comments: a person's own, about what was seen, and never lost."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext

from data_sync.core.errors import DataSyncError, NotPermitted
from data_sync.core.states import ChangesetState
from data_sync.models import Change, Changeset, Comment, DataSource, Viewing
from data_sync.services import actors, remarks, review
from data_sync.services.document import changeset_document
from data_sync.services.review import Selection
from tests.reviewing import ACTOR, make
from tests.services.test_supersede import alter, pulled

pytestmark = pytest.mark.django_db


@pytest.fixture
def source() -> DataSource:
    return DataSource.objects.create(name="Staging", url="https://staging.example.org")


def person(name: str, *permissions: str) -> actors.Actor:
    user = get_user_model().objects.create_user(name)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions or ["view_changeset"]))
    return actors.of_user(user)


def change(changeset: Changeset, number: int = 1) -> Change:
    return Change.objects.get(changeset=changeset, number=number)


def viewed(changeset: Changeset, user: Any) -> list[int]:
    rows = Viewing.objects.filter(change__changeset=changeset, user=user).order_by("change__number")
    return list(rows.values_list("change__number", flat=True))


def test_a_tick_is_one_persons_own_and_can_be_taken_back() -> None:
    changeset, mira, tomas = make("update", "update", "delete"), person("mira"), person("tomas")
    for _ in range(2):
        remarks.set_viewed(change(changeset, 2), mira, is_viewed=True)
    remarks.set_viewed(change(changeset, 3), tomas, is_viewed=True)
    remarks.set_viewed(change(changeset, 3), tomas, is_viewed=False)

    assert (viewed(changeset, mira.user), viewed(changeset, tomas.user)) == ([2], [])
    unviewed = review.select(changeset, Selection(unviewed_by=mira.user.pk))
    assert [row.number for row in unviewed] == [3, 1]
    assert len(review.select(changeset, Selection(unviewed_by=tomas.user.pk))) == 3


def test_a_decision_on_what_was_not_viewed_leaves_the_rest_alone() -> None:
    changeset = make("update", "update")
    mira = person("mira", "view_changeset", "approve_changeset")
    remarks.set_viewed(change(changeset), mira, is_viewed=True)

    done = review.decide(
        changeset.pk, Selection(unviewed_by=mira.user.pk), review.Decision("accepted"), mira, revision=None
    )

    assert done.count == 1 and change(changeset, 2).decision == "accepted"
    event = changeset.events.get()
    assert event.detail["selection"]["unviewed_by"] == str(mira.user.pk)


def test_a_comment_is_plain_text_in_any_state_and_in_the_audit_chain() -> None:
    changeset, mira = make("update", state=ChangesetState.APPLIED.value), person("mira")

    remarks.comment(change(changeset), "  Who uses this?\r\n<b>Tomas</b>  ", mira)

    comment = Comment.objects.get()
    assert (comment.actor, comment.user, comment.text) == ("mira", mira.user, "Who uses this?\n<b>Tomas</b>")
    mira.user.delete()
    comment.refresh_from_db()
    assert (comment.actor, comment.user) == ("mira", None)
    document = json.loads("".join(changeset_document(changeset, ACTOR)))
    event, exported = document["events"]
    assert exported["action"] == "exported"
    assert (event["action"], event["detail"]) == ("commented", {"change": 1, "text": "Who uses this?\n<b>Tomas</b>"})


@pytest.mark.parametrize(
    ("text", "reason"),
    [(" \r\n ", "is empty"), ("x" * 5001, "5001 characters, and 5000 is the most"), ("a\x00b", r"U\+0000")],
)
def test_what_is_no_comment_is_refused_by_name(text: str, reason: str) -> None:
    with pytest.raises(DataSyncError, match=reason):
        remarks.comment(change(make("update")), text, person("mira"))
    assert not Comment.objects.exists()


def test_both_take_the_right_to_see_the_changeset() -> None:
    changeset, stranger = make("update"), person("stranger", "view_datasource")
    with pytest.raises(NotPermitted):
        remarks.set_viewed(change(changeset), stranger, is_viewed=True)
    with pytest.raises(NotPermitted):
        remarks.comment(change(changeset), "Hello", stranger)
    assert not Viewing.objects.exists() and not Comment.objects.exists()


# A later pull


def test_ticks_and_comments_stand_where_the_change_is_the_same(source: DataSource) -> None:
    old, mira, tomas = make("update", "update", "delete", source=source), person("mira"), person("tomas")
    for number in (1, 2, 3):
        remarks.set_viewed(change(old, number), mira, is_viewed=True)
    remarks.set_viewed(change(old, 1), tomas, is_viewed=True)
    first = remarks.comment(change(old, 1), "First", mira)
    remarks.comment(change(old, 1), "Second", tomas)
    remarks.comment(change(old, 2), "About another value", tomas)
    new = make("update", "update", "delete", source=source)
    alter(new, 2, after_digest="sha256:" + "c" * 64)

    pulled(source, new)

    assert (viewed(new, mira.user), viewed(new, tomas.user)) == ([1, 3], [1])
    carried = Comment.objects.filter(change__changeset=new)
    assert [(one.change.number, one.actor, one.text) for one in carried] == [
        (1, "mira", "First"),
        (1, "tomas", "Second"),
    ]
    assert carried[0].at == first.at and carried[0].user == mira.user
    detail = new.events.get().detail
    assert (detail["from"], detail["counts"]) == ([old.pk], {})
    assert [(one["change"], one["actor"], one["text"]) for one in detail["comments"]] == [
        (1, "mira", "First"),
        (1, "tomas", "Second"),
    ]
    assert Comment.objects.filter(change__changeset=old).count() == 3  # Nothing leaves the old one.


def test_a_third_pull_doubles_no_comment(source: DataSource) -> None:
    mira, pulls = person("mira"), [make("update", source=source)]
    remarks.comment(change(pulls[0]), "Once", mira)
    Changeset.objects.update(state=ChangesetState.FAILED.value)
    for _ in range(3):
        pulls.append(make("update", source=source))
        pulled(source, pulls[-1])

    assert [Comment.objects.filter(change__changeset=one).count() for one in pulls] == [1, 1, 1, 1]


def test_a_comment_comes_over_once_whichever_changesets_have_it(source: DataSource) -> None:
    """A changeset that failed, and is decided on again after the next pull has taken its comment."""
    mira, first = person("mira"), make("update", source=source)
    remarks.comment(change(first), "Once", mira)
    Changeset.objects.update(state=ChangesetState.FAILED.value)
    second = make("update", source=source)
    pulled(source, second)
    Changeset.objects.filter(pk=first.pk).update(state=ChangesetState.PENDING.value)
    third = make("update", source=source)

    pulled(source, third)

    assert [Comment.objects.filter(change__changeset=one).count() for one in (second, third)] == [1, 1]
    told = [event.detail["comments"] for event in third.events.filter(action="carried_over")]
    assert [len(comments) for comments in told] == [1]


def test_a_comment_on_what_was_being_applied_during_a_pull_comes_over_later(source: DataSource) -> None:
    mira, first = person("mira"), make("update", source=source)
    remarks.comment(change(first), "Once", mira)
    Changeset.objects.update(state=ChangesetState.APPLYING.value)
    pulled(source, make("update", source=source))
    Changeset.objects.filter(pk=first.pk).update(state=ChangesetState.STALE.value)
    third = make("update", source=source)

    pulled(source, third)

    assert [comment.text for comment in Comment.objects.filter(change__changeset=third)] == ["Once"]


def test_the_same_words_at_once_are_one_comment_and_later_another(source: DataSource) -> None:
    mira, one = person("mira"), change(make("update", source=source))
    first = remarks.comment(one, "Checked", mira)
    assert remarks.comment(one, "Checked", mira) == first

    Comment.objects.update(at=first.at - timedelta(days=3))
    remarks.comment(one, "Checked", mira)

    assert Comment.objects.count() == 2


def test_carrying_remarks_over_is_not_a_statement_for_each() -> None:
    mira = person("mira")

    def statements(size: int) -> int:
        source = DataSource.objects.create(name=f"Of {size}", url=f"https://{size}.example.org")
        old = make(*["update"] * size, source=source)
        for one in old.changes.all():
            remarks.set_viewed(one, mira, is_viewed=True)
            remarks.comment(one, "Seen", mira)
        new = make(*["update"] * size, source=source)
        with CaptureQueriesContext(connection) as captured:
            pulled(source, new)
        assert Comment.objects.filter(change__changeset=new).count() == size
        return len(captured)

    assert statements(2) == statements(40)
