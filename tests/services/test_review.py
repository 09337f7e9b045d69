"""Deciding, approving, withdrawing: what a person has seen is what counts, and nobody decides unseen."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext

from data_sync.core.errors import InvalidTransition, NotAcknowledged, NotPermitted, RevisionConflict
from data_sync.core.states import ChangesetState, Decision, Operation, RenameChoice
from data_sync.models import Change, Changeset
from data_sync.services import actors, approval, consequences, review
from data_sync.services import seals as seals_module
from data_sync.services.review import Selection
from tests.reviewing import ACTOR, HERE, decide, decided, make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rows_that_fit")]


# Selecting


@pytest.mark.parametrize(
    ("selection", "numbers"),
    [
        (Selection(), [4, 5, 2, 3, 1]),
        (Selection(numbers=(1, 4)), [4, 1]),
        (Selection(numbers=()), []),
        (Selection(model="testapp.tag"), [4, 2]),
        (Selection(operation="update"), [2, 3]),
        (Selection(search="k3"), [3]),
        (Selection(flag="problems"), [3]),
        (Selection(decision="accepted"), []),
        (Selection(model="testapp.tag", operation="update"), [2]),
    ],
)
def test_a_selection_is_what_its_filters_leave_deletes_first(selection: Selection, numbers: list[int]) -> None:
    changeset = make("create", "update", "update!", "delete", "delete")
    assert [change.number for change in review.select(changeset, selection)] == numbers


@pytest.mark.parametrize(
    ("flag", "numbers"),
    [
        ("", [4, 5, 7, 3, 6, 1, 2]),
        ("conflicts", [4]),
        ("renames", [6]),
        ("warnings", [2]),
        ("left_scope", [5]),
        ("cascades", [5]),
        ("unknown_base", [5, 7, 3, 6]),
    ],
)
def test_a_selection_by_flag_conflicts_first(flag: str, numbers: list[int]) -> None:
    changeset = make("create", "create", "update", "update?", "delete", "rename", "delete")
    changes = Change.objects.filter(changeset=changeset)
    changes.filter(number=2).update(warnings=[{"code": "choices", "field": "a", "message": "not a choice"}])
    changes.filter(number=5).update(left_scope=True)
    changes.filter(number__in=[5, 6]).update(has_cascades=True)
    assert [change.number for change in review.select(changeset, Selection(flag=flag))] == numbers


def test_a_rename_takes_rows_along_only_if_it_replaces_its_own() -> None:
    changeset = make("rename", "rename")
    Change.objects.update(has_cascades=True, cascades=[{"model": "x.y", "pk": "1", "label": "Row", "effect": "delete"}])
    decide(changeset, "accepted", 1, 2)
    Change.objects.filter(number=2).update(rename_choice=RenameChoice.REPLACE)
    assert [change.number for change in review.select(changeset, Selection(flag="cascades"))] == [2]
    assert [one["change"] for one in consequences.consequences(changeset).cascades] == [2]


# Deciding


def test_a_bulk_decision_leaves_deletes_to_a_decision_of_their_own() -> None:
    changeset = make("create", "update", "delete", "delete")
    came_to = decide(changeset, "accepted")
    assert (came_to.count, came_to.skipped_deletes, decided(changeset)) == (2, 2, [1, 2])
    assert decide(changeset, "accepted", operation="delete").count == 2
    assert decided(changeset) == [1, 2, 3, 4]


def test_a_delete_that_is_named_by_number_is_accepted() -> None:
    changeset = make("create", "delete")
    decide(changeset, "accepted", 2)
    assert decided(changeset) == [2]


def test_a_bulk_rejection_rejects_deletes_too() -> None:
    changeset = make("create", "delete")
    assert decide(changeset, "rejected").count == 2


@pytest.mark.parametrize("wanted", ["accepted", "rejected"])
def test_a_decision_on_all_touches_only_what_is_undecided(wanted: str) -> None:
    changeset = make("create", "create", "create!", "delete", "delete")
    decide(changeset, "accepted", 1)
    decide(changeset, "rejected", 2, 3, 4)
    came_to = decide(changeset, wanted)
    assert (came_to.count, came_to.skipped_decided) == ((0 if wanted == "accepted" else 1), 4)
    assert (came_to.skipped_deletes, came_to.skipped_problems) == ((1 if wanted == "accepted" else 0), 0)
    assert decided(changeset) == [1]
    assert decide(changeset, "accepted", decision="rejected", model="testapp.tag").count == 1
    assert decided(changeset) == [1, 2]


def test_deciding_by_the_decision_itself_takes_all_that_were_selected() -> None:
    changeset = make(*["create"] * 5)
    assert decide(changeset, "accepted", decision="undecided").count == 5
    assert decide(changeset, "undecided", decision="accepted").count == 5


def test_what_accepted_changes_need_is_not_rejected_in_bulk() -> None:
    """Not by way of another accepted one either; what nobody else needs is."""
    changeset = make("create", "create", "update", "update", "update", requires={2: [1], 3: [2], 5: [4]})
    decide(changeset, "accepted", 1, 2, 3, 4, 5)
    came_to = decide(changeset, "rejected", operation="create", decision="accepted")
    assert (came_to.count, came_to.skipped_requirements, decided(changeset)) == (0, 2, [1, 2, 3, 4, 5])
    came_to = decide(changeset, "rejected", search="4", decision="accepted")
    assert (came_to.count, came_to.skipped_requirements) == (0, 1)
    came_to = decide(changeset, "rejected", operation="update", decision="accepted")
    assert (came_to.count, came_to.skipped_requirements, decided(changeset)) == (3, 0, [1, 2])


def test_what_has_a_problem_is_not_accepted_but_can_be_rejected() -> None:
    changeset = make("create!", "create")
    with pytest.raises(InvalidTransition, match=r"#1 \(testapp.country .* cannot be applied: It cannot. Nothing was"):
        decide(changeset, "accepted", 1, 2)
    assert decided(changeset) == []
    assert decide(changeset, "rejected", 1).count == 1


def test_an_empty_selection_decides_nothing() -> None:
    changeset = make("create")
    came_to = review.decide(changeset.pk, Selection(numbers=()), Decision.ACCEPTED, ACTOR, revision=None)
    assert (came_to.count, decided(changeset)) == (0, [])


def test_numbers_of_another_changeset_are_not_touched() -> None:
    one, other = make("create"), make("create")
    decide(one, "accepted")
    assert decided(other) == []


def test_each_decision_raises_the_revision_and_an_older_page_gets_a_conflict() -> None:
    changeset = make("create", "create")
    assert decide(changeset, "accepted", 1, revision=0).revision == 1
    with pytest.raises(RevisionConflict, match="revision 1; you saw 0"):
        decide(changeset, "accepted", 2, revision=0)
    assert decided(changeset) == [1]
    assert decide(changeset, "accepted", 2, revision=1).revision == 2


def test_a_decision_takes_a_constant_number_of_statements() -> None:
    def statements(changeset: Changeset) -> int:
        with CaptureQueriesContext(connection) as captured:
            decide(changeset, "accepted")
        return len(captured)

    assert statements(make(*["create"] * 300)) == statements(make(*["create"] * 3))


def test_decisions_are_counted_and_kept_in_the_audit_trail() -> None:
    changeset = make("create", "update", "delete")
    decide(changeset, "accepted", 1, 2)
    decide(changeset, "rejected", 3)
    assert review.decision_counts(changeset) == {"accepted": 2, "rejected": 1, "undecided": 0}
    events = list(changeset.events.order_by("number"))
    assert [(event.action, event.detail["decision"], event.detail["count"]) for event in events] == [
        ("decided", "accepted", 2),
        ("decided", "rejected", 1),
    ]
    assert events[1].previous == events[0].hash


# Conflicts


def acknowledged(changeset: Changeset) -> dict[int, str]:
    return dict(changeset.changes.exclude(acknowledged_digest="").values_list("number", "acknowledged_digest"))


def test_a_conflict_is_accepted_only_by_who_says_to_have_seen_it() -> None:
    changeset = make("create", "update?", "create?")
    with pytest.raises(
        NotAcknowledged, match=r"Change #2 \(testapp.tag \[\"K2\"\]\) is a conflict.*was changed here"
    ) as one:
        decide(changeset, "accepted", 1, 2)
    assert one.value.number == 2
    with pytest.raises(NotAcknowledged, match=r"#3 .*was removed here"):
        decide(changeset, "accepted", 3)
    changeset.refresh_from_db()
    assert (decided(changeset), changeset.revision) == ([], 0)
    decide(changeset, "accepted", 1, 2, 3, options={"acknowledge": True})
    assert decided(changeset) == [1, 2, 3]
    assert acknowledged(changeset) == {2: HERE, 3: "absent"}


@pytest.mark.parametrize("later", ["rejected", "undecided"])
def test_an_acknowledgement_goes_with_its_acceptance(later: str) -> None:
    changeset = make("update?")
    decide(changeset, "accepted", 1, options={"acknowledge": True})
    assert decide(changeset, "accepted", 1).count == 1  # Accepted once more, it is as it was.
    assert acknowledged(changeset) == {1: HERE}
    decide(changeset, later, 1)
    assert acknowledged(changeset) == {}
    with pytest.raises(NotAcknowledged):
        decide(changeset, "accepted", 1)


def test_a_conflict_can_be_rejected_by_whoever_has_not_seen_it() -> None:
    changeset = make("update?", "update?")
    assert decide(changeset, "rejected", 1).count == 1
    assert decide(changeset, "rejected").count == 1
    assert acknowledged(changeset) == {}


def test_a_bulk_decision_leaves_conflicts_to_decisions_of_their_own() -> None:
    """Each is counted once: a delete as a delete, also where it is a conflict or cannot be applied."""
    changeset = make("update", "update?", "create!", "create?!", "delete?", "delete!")
    came_to = decide(changeset, "accepted")
    assert decided(changeset) == [1]
    assert (came_to.skipped_deletes, came_to.skipped_conflicts, came_to.skipped_problems) == (2, 2, 1)
    came_to = decide(changeset, "accepted", operation="delete")
    assert (came_to.count, came_to.skipped_conflicts, came_to.skipped_problems) == (0, 1, 1)


def test_a_bulk_decision_that_acknowledges_takes_conflicts_too() -> None:
    changeset = make("update", "update?", "update?!")
    came_to = decide(changeset, "accepted", options={"acknowledge": True})
    assert (came_to.count, came_to.skipped_conflicts, came_to.skipped_problems) == (2, 0, 1)
    assert acknowledged(changeset) == {2: HERE}


# Renames


@pytest.mark.parametrize(
    "meant", [{"operation": "rename"}, {"flag": "renames"}, {"options": {"rename_choice": RenameChoice.RENAME}}]
)
def test_a_bulk_decision_leaves_renames_out_unless_they_are_meant_or_it_says_how_to_write_them(
    meant: dict[str, Any],
) -> None:
    """Each is counted once: as a rename, also where it is a conflict or cannot be applied."""
    changeset = make("update", "rename", "rename?", "rename!", "delete")
    came_to = decide(changeset, "accepted")
    assert (came_to.count, came_to.skipped_renames, decided(changeset)) == (1, 3, [1])
    assert (came_to.skipped_deletes, came_to.skipped_conflicts, came_to.skipped_problems) == (1, 0, 0)
    came_to = decide(changeset, "accepted", **meant)
    assert (came_to.count, came_to.skipped_renames, decided(changeset)) == (1, 0, [1, 2])
    assert (came_to.skipped_conflicts, came_to.skipped_problems) == (1, 1)


def test_renames_are_rejected_in_bulk_and_accepted_by_number() -> None:
    changeset = make("rename", "rename")
    decide(changeset, "accepted", 1)
    assert (decided(changeset), decide(changeset, "rejected").count) == ([1], 1)


def test_a_rename_keeps_the_choice_of_how_it_is_written() -> None:
    changeset = make("rename", "rename", "update")

    def choices() -> list[str]:
        return list(changeset.changes.order_by("number").values_list("rename_choice", flat=True))

    decide(changeset, "accepted", 1, 3, options={"rename_choice": RenameChoice.REPLACE})
    assert choices() == ["replace", "rename", "rename"]
    decide(changeset, "accepted", 1)
    assert choices() == ["replace", "rename", "rename"]
    decide(changeset, "accepted", 1, 2, options={"rename_choice": RenameChoice.RENAME})
    assert choices() == ["rename"] * 3


# Approving


def test_nothing_accepted_cannot_be_approved() -> None:
    changeset = make("create")
    with pytest.raises(InvalidTransition, match="No change of changeset"):
        approval.approve(changeset.pk, ACTOR, revision=0)


def test_what_is_accepted_must_have_what_it_requires() -> None:
    changeset = make("create", "create", "create", requires={3: [1, 2], 2: [1]})
    decide(changeset, "accepted", 1, 3)
    assert consequences.unmet_requirements(changeset) == {3: [2]}
    with pytest.raises(InvalidTransition, match=r"Change #3 \(.*K3.*\) is accepted and requires #2 \(.*K2.*\)"):
        approval.approve(changeset.pk, ACTOR, revision=1)
    decide(changeset, "accepted", 2)
    assert approval.approve(changeset.pk, ACTOR, revision=2).state == ChangesetState.APPROVED


def test_an_accepted_conflict_that_nobody_has_acknowledged_cannot_be_approved() -> None:
    changeset = make("create", "update?")
    decide(changeset, "accepted", 1, 2, options={"acknowledge": True})
    for digest in ("", "absent", "sha256:" + "c" * 64):
        changeset.changes.filter(number=2).update(acknowledged_digest=digest, is_conflict=False)
        with pytest.raises(NotAcknowledged, match="#2 "):
            approval.approve(changeset.pk, ACTOR, revision=1)
    changeset.changes.filter(number=2).update(acknowledged_digest=HERE)
    assert approval.approve(changeset.pk, ACTOR, revision=1).state == ChangesetState.APPROVED


def test_an_approval_is_of_the_revision_that_was_shown() -> None:
    changeset = make("create", "create")
    decide(changeset, "accepted")
    decide(changeset, "rejected", 2)
    with pytest.raises(RevisionConflict):
        approval.approve(changeset.pk, ACTOR, revision=1)
    approved = approval.approve(changeset.pk, ACTOR, revision=2)
    assert (approved.approved_revision, approved.approval_seal[:7]) == (2, "sha256:")


def test_approval_seals_differ_with_the_decisions() -> None:
    seals = set()
    for decisions in (["accepted", "accepted"], ["accepted", "rejected"], ["accepted", "undecided"]):
        changeset = make("create", "create")
        for number, decision in enumerate(decisions, start=1):
            decide(changeset, decision, number)
        seals.add(approval.approve(changeset.pk, ACTOR, revision=2).approval_seal)
    assert len(seals) == 3


def test_approval_seals_differ_with_acknowledgements_and_with_choices_of_renames() -> None:
    seals = set()
    for values in ({}, {"acknowledged_digest": HERE}, {"rename_choice": "replace"}):
        changeset = make("rename?")
        decide(changeset, "accepted", options={"acknowledge": True})
        Change.objects.filter(changeset=changeset).update(**{"acknowledged_digest": "x"} | values)
        seals.add(seals_module.current_approval_seal(changeset))
    assert len(seals) == 3


@pytest.mark.parametrize(
    "values", [{"after": {"code": "XX"}}, {"operation": "delete"}, {"requires": [2]}, {"problems": []}, {"number": 9}]
)
def test_changes_that_are_not_those_that_were_pulled_cannot_be_approved(values: dict[str, Any]) -> None:
    changeset = make("create!", "create")
    decide(changeset, "accepted")
    Change.objects.filter(changeset=changeset, number=1).update(**values)
    with pytest.raises(InvalidTransition, match="content seal differs"):
        approval.approve(changeset.pk, ACTOR, revision=1)


@pytest.mark.parametrize("decision", ["accepted", "rejected", "undecided"])
def test_a_later_decision_voids_the_approval(decision: str) -> None:
    changeset = make("create", "create")
    decide(changeset, "accepted", 1)
    approval.approve(changeset.pk, ACTOR, revision=1)
    decide(changeset, decision, 2)
    changeset.refresh_from_db()
    assert (changeset.state, changeset.approval_seal, changeset.approved_at) == (ChangesetState.PENDING, "", None)


def test_an_approval_can_be_withdrawn_once() -> None:
    changeset = make("create")
    decide(changeset, "accepted")
    approval.approve(changeset.pk, ACTOR, revision=1)
    approval.withdraw(changeset.pk, ACTOR)
    changeset.refresh_from_db()
    assert (changeset.state, changeset.approval_seal) == (ChangesetState.PENDING, "")
    with pytest.raises(InvalidTransition, match="is pending"):
        approval.withdraw(changeset.pk, ACTOR)


def test_four_eyes_are_two_people(settings: Any) -> None:
    settings.DATA_SYNC_FOUR_EYES = True
    ada, bob = (get_user_model().objects.create_superuser(name) for name in ("ada", "bob"))
    changeset = make("create", requested_by=ada)
    decide(changeset, "accepted")
    for actor in (actors.of_user(ada), ACTOR):
        with pytest.raises(NotPermitted, match="Four eyes"):
            approval.approve(changeset.pk, actor, revision=1)
    assert approval.approve(changeset.pk, actors.of_user(bob), revision=1).approved_by == bob


# Closing


CLOSED = [
    ChangesetState.APPLYING,
    ChangesetState.APPLIED,
    ChangesetState.STALE,
    ChangesetState.REJECTED,
    ChangesetState.SUPERSEDED,
    ChangesetState.REVERTED,
]


@pytest.mark.parametrize("state", CLOSED)
def test_nothing_can_be_done_to_what_is_closed(state: ChangesetState) -> None:
    changeset = make("create")
    decide(changeset, "accepted")
    Changeset.objects.update(state=state.value)
    tries = [
        lambda: decide(changeset, "rejected"),
        lambda: approval.approve(changeset.pk, ACTOR, revision=1),
        lambda: approval.withdraw(changeset.pk, ACTOR),
        lambda: approval.reject(changeset.pk, ACTOR),
        lambda: approval.override(changeset.pk, ACTOR, "because"),
    ]
    for attempt in tries:
        with pytest.raises(InvalidTransition, match=f"is {state.value}"):
            attempt()
    assert decided(changeset) == [1]


@pytest.mark.parametrize("state", [ChangesetState.PENDING, ChangesetState.APPROVED, ChangesetState.BLOCKED])
def test_what_is_open_can_be_rejected_with_a_reason(state: ChangesetState) -> None:
    changeset = make("create")
    Changeset.objects.update(state=state.value)
    approval.reject(changeset.pk, ACTOR, "wrong environment")
    changeset.refresh_from_db()
    assert (changeset.state, changeset.state_reason) == (ChangesetState.REJECTED, "wrong environment")


def test_a_changeset_that_does_not_exist_is_said_not_to() -> None:
    with pytest.raises(InvalidTransition, match="There is no changeset 4711"):
        review.decide(4711, Selection(), Decision.ACCEPTED, ACTOR, revision=None)


# Permissions


@pytest.mark.parametrize(
    ("permission", "attempt"),
    [
        ("approve_changeset", lambda pk, who: review.decide(pk, Selection(), Decision.ACCEPTED, who, revision=None)),
        ("approve_changeset", lambda pk, who: approval.approve(pk, who, revision=0)),
        ("approve_changeset", lambda pk, who: approval.withdraw(pk, who)),
        ("approve_changeset", lambda pk, who: approval.reject(pk, who)),
        ("override_changeset_guard", lambda pk, who: approval.override(pk, who, "because")),
    ],
)
def test_each_step_needs_its_permission(permission: str, attempt: Any) -> None:
    changeset = make("create")
    user = get_user_model().objects.create(username="ada")
    others = Permission.objects.filter(content_type__app_label="data_sync").exclude(codename=permission)
    user.user_permissions.set(others)
    with pytest.raises(NotPermitted, match=permission):
        attempt(changeset.pk, actors.of_user(user))
    changeset.refresh_from_db()
    assert (changeset.state, changeset.revision) == (ChangesetState.PENDING, 0)
    assert not changeset.events.exists()


# What would happen


def test_the_consequences_count_what_is_accepted_only() -> None:
    changeset = make("create", "update", "delete", "delete")
    file = {"name": "a", "size": 7, "checksum": "sha256:" + "a" * 64}
    Change.objects.filter(changeset=changeset, number=2).update(
        before={}, after={}, files={"f": {"before": None, "after": file}}
    )
    Change.objects.filter(changeset=changeset, number=3).update(
        has_cascades=True, cascades=[{"model": "x.y", "pk": "1", "label": "Row", "effect": "delete", "column": "c"}]
    )
    decide(changeset, "accepted", 1, 2, 3)
    with CaptureQueriesContext(connection) as captured:
        would = consequences.consequences(changeset)
    assert len(captured) <= 6
    assert would.models == {"testapp.country": {"create": 1, "delete": 1}, "testapp.tag": {"update": 1}}
    assert [(one["label"], one["change"]) for one in would.cascades] == [("Row", 3)]
    assert (would.files, would.file_bytes, would.left_out) == (1, 7, 1)
    assert would.total(Operation.DELETE) == 1


def test_only_changes_with_files_are_looked_at_for_files(monkeypatch: pytest.MonkeyPatch) -> None:
    changeset = make("create", "update", "create")
    Change.objects.filter(changeset=changeset, number=2).update(files={"f": {"before": None, "after": None}})
    decide(changeset, "accepted")
    looked_at: list[int] = []
    monkeypatch.setattr(consequences, "wanted_files", lambda change: looked_at.append(change.number) or {})
    consequences.consequences(changeset)
    assert looked_at == [2]
