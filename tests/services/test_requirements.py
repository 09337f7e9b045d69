"""Nothing is accepted without what it requires: refused by name, or decided on together."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from data_sync.core.errors import InvalidTransition, NotAcknowledged, RequirementRejected
from data_sync.core.states import ChangesetState, Decision
from data_sync.models import Changeset
from data_sync.services import approval, consequences
from tests.reviewing import ACTOR, decide, decided, make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rows_that_fit")]

TOGETHER = {"with_requirements": True}


def chain(length: int = 4) -> Changeset:
    """Each change requires the one before it."""
    return make(*["create"] * length, requires={number: [number - 1] for number in range(2, length + 1)})


# Accepting


def test_accepting_what_requires_a_rejected_change_is_refused_naming_both() -> None:
    changeset = make("create", "create", "create", "create", requires={3: [1, 2], 4: [2]})
    decide(changeset, "rejected", 1, 2)
    with pytest.raises(RequirementRejected) as refused:
        decide(changeset, "accepted", 3, 4)
    assert (refused.value.number, refused.value.missing) == (3, [1, 2])
    assert str(refused.value) == (
        'Change #3 (testapp.country ["K3"]) requires #1 (testapp.country ["K1"]), #2 (testapp.tag ["K2"]), which are '
        "rejected (1 more like it). Nothing was decided: accept them together, or leave this."
    )
    changeset.refresh_from_db()
    assert (decided(changeset), changeset.revision) == ([], 1)


def test_accepting_a_rejected_requirement_at_once_is_fine() -> None:
    changeset = chain(2)
    decide(changeset, "rejected", 1)
    decide(changeset, "accepted", 1, 2)
    assert decided(changeset) == [1, 2]


def test_what_is_undecided_is_no_hindrance_but_to_the_approval() -> None:
    changeset = chain(2)
    decide(changeset, "accepted", 2)
    assert consequences.unmet_requirements(changeset) == {2: [1]}
    with pytest.raises(InvalidTransition, match="requires #1"):
        approval.approve(changeset.pk, ACTOR, revision=1)


def test_a_change_is_accepted_with_all_that_it_requires() -> None:
    changeset = chain()
    decide(changeset, "rejected", 2)
    decide(changeset, "accepted", 1)
    came_to = decide(changeset, "accepted", 4, options=TOGETHER)
    assert (came_to.count, came_to.also_decided) == (3, (2, 3))
    assert decided(changeset) == [1, 2, 3, 4]
    assert changeset.events.order_by("-number")[0].detail["also"] == [2, 3]
    assert approval.approve(changeset.pk, ACTOR, revision=came_to.revision).state == ChangesetState.APPROVED


def test_two_changes_that_require_each_other_are_accepted_together() -> None:
    changeset = make("update", "update", "update", requires={1: [2], 2: [3], 3: [1]})
    assert decide(changeset, "accepted", 1, options=TOGETHER).also_decided == (2, 3)


def test_what_is_required_and_cannot_be_applied_is_named() -> None:
    changeset = make("create!", "create", "create", requires={3: [2], 2: [1]})
    with pytest.raises(InvalidTransition, match=r"Change #1 \(testapp.country \[\"K1\"\]\) is required.*It cannot\."):
        decide(changeset, "accepted", 3, options=TOGETHER)
    assert decided(changeset) == []


def test_a_required_conflict_needs_an_acknowledgement_of_its_own() -> None:
    """Who acknowledges the change that is shown has not seen those that come with it."""
    changeset = make("update?", "update?", requires={2: [1]})
    with pytest.raises(NotAcknowledged) as refused:
        decide(changeset, "accepted", 2, options={**TOGETHER, "acknowledge": True})
    assert refused.value.number == 1
    decide(changeset, "accepted", 1, options={"acknowledge": True})
    decide(changeset, "accepted", 2, options={**TOGETHER, "acknowledge": True})
    assert decided(changeset) == [1, 2]


# Rejecting


def test_rejecting_what_an_accepted_change_requires_is_refused_naming_both() -> None:
    changeset = chain(3)
    decide(changeset, "accepted", 1, 2, 3)
    with pytest.raises(RequirementRejected, match=r"Change #1 .* is required by #2 .* which is accepted") as refused:
        decide(changeset, "rejected", 1)
    assert (refused.value.number, refused.value.missing) == (1, [2])
    assert decided(changeset) == [1, 2, 3]
    decide(changeset, "rejected", 1, 2, 3)
    assert decided(changeset) == []


def test_a_change_is_rejected_with_the_accepted_ones_that_require_it() -> None:
    changeset = chain()
    decide(changeset, "accepted", 1, 2, 3)
    came_to = decide(changeset, "rejected", 1, options=TOGETHER)
    assert (came_to.count, came_to.also_decided) == (3, (2, 3))
    assert decided(changeset, "rejected") == [1, 2, 3]
    assert decided(changeset, "undecided") == [4]


@pytest.mark.parametrize("number", [1, 2, 10, 21, 110])
def test_only_a_requirement_of_the_very_number_counts(number: int) -> None:
    changeset = make(*["create"] * 120, requires={120: [1, 2, 21, 110], 119: [10], 118: [12, 121, 111]})
    decide(changeset, "accepted", 118, 119, 120)
    for other in (3, 11, 22, 100, 112):
        assert decide(changeset, "rejected", other).count == 1
    with pytest.raises(RequirementRejected) as refused:
        decide(changeset, "rejected", number)
    assert refused.value.missing == [119 if number == 10 else 120]


def test_many_are_rejected_by_the_same_rule_as_few() -> None:
    changeset = make(*["create"] * 41, requires={41: [40]})
    decide(changeset, "accepted", 41)
    assert decide(changeset, "rejected", *range(1, 40)).count == 39
    with pytest.raises(RequirementRejected):
        decide(changeset, "rejected", *range(1, 41))


def test_taking_a_decision_back_is_never_refused() -> None:
    changeset = chain(2)
    decide(changeset, "accepted", 1, 2)
    decide(changeset, "undecided", 1)
    assert decided(changeset) == [2]


# In bulk


def test_accepting_all_leaves_out_what_requires_a_rejected_change_through_others_too() -> None:
    changeset = chain(5)
    decide(changeset, "rejected", 2)
    came_to = decide(changeset, "accepted")
    assert (came_to.count, came_to.skipped_requirements) == (1, 3)
    assert decided(changeset) == [1]


def test_rejecting_all_leaves_out_what_accepted_changes_require() -> None:
    changeset = chain(5)
    decide(changeset, "accepted", 3)
    came_to = decide(changeset, "rejected")
    assert (came_to.count, came_to.skipped_requirements) == (2, 2)
    assert decided(changeset, "rejected") == [4, 5]


def test_all_that_were_rejected_can_be_accepted_at_once() -> None:
    changeset = chain(3)
    decide(changeset, "rejected")
    assert decide(changeset, "accepted", decision="rejected").count == 3


def test_a_whole_selection_can_be_decided_with_its_requirements() -> None:
    changeset = chain(4)
    decide(changeset, "rejected", 1)
    came_to = decide(changeset, "accepted", model="testapp.tag", options=TOGETHER)
    assert (came_to.count, came_to.also_decided) == (4, (1, 3))
    came_to = decide(changeset, "rejected", model="testapp.tag", decision="accepted", options=TOGETHER)
    assert (came_to.count, came_to.also_decided) == (3, (3,))
    assert decided(changeset) == [1]


@pytest.mark.parametrize("wanted", ["accepted", "rejected"])
@pytest.mark.parametrize("together", [False, True])
def test_statements_do_not_grow_with_the_changes(wanted: str, together: bool) -> None:
    def statements(count: int) -> int:
        changeset = make(*["create"] * count, requires={number: [1] for number in range(3, count + 1)})
        decide(changeset, "rejected" if wanted == "accepted" else "accepted", 2)
        with CaptureQueriesContext(connection) as captured:
            decide(changeset, wanted, options={"with_requirements": together})
        return len(captured)

    assert statements(350) == statements(10) < 30


# What a screen offers


def test_the_closure_is_what_would_be_decided_too() -> None:
    changeset = chain(5)
    decide(changeset, "accepted", 2)
    assert consequences.closure(changeset, [4], Decision.ACCEPTED) == [1, 3]
    decide(changeset, "accepted", 1, 3, 4)
    assert consequences.closure(changeset, [2], Decision.REJECTED) == [3, 4]
    assert consequences.closure(changeset, [2], Decision.UNDECIDED) == []
