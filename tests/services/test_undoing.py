"""Undo of a decision on many changes: exactly what was, or a word that it cannot be."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext

from data_sync.core.errors import InvalidTransition, NotPermitted, RevisionConflict
from data_sync.core.states import ChangesetState, Decision
from data_sync.models import Changeset
from data_sync.services import actors, approval, undoing
from tests.reviewing import ACTOR, decide, decided, make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rows_that_fit")]


def states(changeset: Changeset) -> list[tuple[int, str, str, str]]:
    columns = ("number", "decision", "acknowledged_digest", "rename_choice")
    return list(changeset.changes.order_by("number").values_list(*columns))


def undo(changeset: Changeset) -> int:
    changeset.refresh_from_db()
    return undoing.undo(changeset.pk, ACTOR, revision=changeset.revision)


@pytest.mark.parametrize("wanted", ["accepted", "rejected", "undecided"])
@pytest.mark.parametrize("filters", [{}, {"decision": "accepted"}, {"decision": "rejected"}, {"operation": "delete"}])
def test_what_was_is_there_again_acknowledgements_included(wanted: str, filters: dict[str, str]) -> None:
    changeset = make("create", "update", "update?", "delete?", "rename", "delete", "create!")
    decide(changeset, "rejected", 2)
    decide(changeset, "accepted", 1, 3, 4, options={"acknowledge": True})
    before = states(changeset)

    done = decide(changeset, wanted, **filters)

    if done.count:
        assert undo(changeset) == done.count
    assert states(changeset) == before


def test_only_what_the_decision_altered_is_altered_back() -> None:
    changeset = make("update", "update", "update")
    decide(changeset, "rejected", 1)
    decide(changeset, "accepted")

    assert undo(changeset) == 2
    assert (decided(changeset), decided(changeset, "rejected")) == ([], [1])


def test_what_was_decided_since_stays_as_it_is() -> None:
    changeset = make("update", "update", "update")
    decide(changeset, "accepted", operation="update")
    seen = Changeset.objects.get().revision
    decide(changeset, "rejected", 2)

    with pytest.raises(RevisionConflict):
        undoing.undo(changeset.pk, ACTOR, revision=seen)
    assert undo(changeset) == 2
    assert (decided(changeset), decided(changeset, "rejected")) == ([], [2])


def test_nothing_is_undone_where_each_was_decided_since() -> None:
    changeset = make("update", "update")
    decide(changeset, "accepted", operation="update")
    decide(changeset, "rejected", 1)
    decide(changeset, "rejected", 2)

    with pytest.raises(InvalidTransition, match="no decision on many changes to undo"):
        undo(changeset)
    assert decided(changeset, "rejected") == [1, 2]


def test_it_is_undone_once() -> None:
    changeset = make("update", "update")
    decide(changeset, "accepted")
    undo(changeset)

    with pytest.raises(InvalidTransition, match=rf"changeset {changeset.pk}"):
        undo(changeset)
    assert decided(changeset) == []


def test_a_decision_that_meets_nothing_is_none() -> None:
    changeset = make("update")
    decide(changeset, "accepted")
    changeset.refresh_from_db()
    approved = approval.approve(changeset.pk, ACTOR, revision=changeset.revision)

    came_to = decide(changeset, "accepted")

    changeset.refresh_from_db()
    assert (came_to.count, came_to.revision) == (0, approved.revision)
    assert (changeset.state, changeset.revision) == (ChangesetState.APPROVED, approved.revision)
    assert [event.action for event in changeset.events.order_by("number")] == ["decided", "approved"]
    assert undo(changeset) == 1


def test_together_decided_is_undone_together() -> None:
    changeset = make("create", "create", requires={2: [1]})
    decide(changeset, "rejected", 1)
    decide(changeset, "accepted", 2, options={"with_requirements": True})

    assert undo(changeset) == 2
    assert (decided(changeset), decided(changeset, "rejected")) == ([], [1])


def test_an_approval_is_void_and_events_say_what_happened() -> None:
    changeset = make("update", "update")
    decide(changeset, "accepted")
    approval.approve(changeset.pk, ACTOR, revision=1)

    undo(changeset)

    changeset.refresh_from_db()
    assert (changeset.state, changeset.approval_seal) == (ChangesetState.PENDING, "")
    event = changeset.events.order_by("number").last()
    assert event is not None and event.action == "undone"
    assert event.detail == {
        "count": 2,
        "revision": 2,
        "undoes": {"revision": 1, "decision": "accepted", "count": 2, "actor": ACTOR.label},
    }


def test_it_takes_the_right_to_decide() -> None:
    changeset = make("update")
    decide(changeset, "accepted")
    nobody = actors.of_user(get_user_model().objects.create_user("nobody"))

    with pytest.raises(NotPermitted):
        undoing.undo(changeset.pk, nobody, revision=1)
    assert decided(changeset) == [1]


def test_it_is_a_constant_number_of_statements() -> None:
    def statements(size: int) -> int:
        changeset = make(*["update"] * size)
        decide(changeset, Decision.ACCEPTED)
        with CaptureQueriesContext(connection) as captured:
            assert undo(changeset) == size
        return len(captured)

    assert statements(3) == statements(300)
