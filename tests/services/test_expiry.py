"""How long an approval holds, and what voids it before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from data_sync import tasks
from data_sync.core.errors import ApprovalExpired, InvalidTransition
from data_sync.core.states import ChangesetState, Decision, RenameChoice
from data_sync.models import Change, Changeset
from data_sync.services import actors, apply, approval, expiry, remarks, review, undoing
from data_sync.services.review import Selection
from tests import leasing
from tests.admin import making
from tests.testapp.models import Term

pytestmark = pytest.mark.django_db(transaction=True)

COMMAND_LINE = actors.command_line()
NEEDED = ("approve_changeset", "apply_changeset", "add_term")


def approved(*changes: Change, actor: actors.Actor = COMMAND_LINE) -> Changeset:
    changeset = making.changeset(changes or [making.create(1, decision="accepted")])
    return approval.approve(changeset.pk, actor, revision=0)


def age(changeset: Changeset, **values: float) -> None:
    """Moves an approval into the past."""
    Changeset.objects.filter(pk=changeset.pk).update(approved_at=timezone.now() - timedelta(**values))
    changeset.refresh_from_db()


def assert_void(changeset: Changeset) -> None:
    changeset.refresh_from_db()
    assert changeset.state == ChangesetState.PENDING
    kept = (changeset.approval_seal, changeset.approved_at, changeset.approved_by, changeset.approval_actor)
    assert kept == ("", None, None, "")
    assert (changeset.apply_requested_at, changeset.apply_actor) == (None, "")


def deliver(changeset: Changeset) -> None:
    with pytest.raises(ApprovalExpired, match="expired: it held for 72 hours"):
        apply.run_apply(changeset.pk)


def ask(changeset: Changeset) -> None:
    with pytest.raises(ApprovalExpired, match=f"changeset {changeset.pk} by command line has expired"):
        apply.request_apply(changeset.pk, COMMAND_LINE)


def sweep(changeset: Changeset) -> None:
    (swept,) = tasks.sweep()
    assert (swept.kind, swept.pk, swept.delivery) == ("apply", changeset.pk, tasks.Delivery.EXPIRED)
    assert "approved anew" in swept.reason
    assert tasks.sweep() == []


@pytest.mark.parametrize("find", [ask, deliver, sweep])
@pytest.mark.parametrize("is_requested", [False, True])
def test_an_approval_that_is_too_old_is_void_whoever_finds_it(find: Callable[..., None], is_requested: bool) -> None:
    changeset = approved()
    if is_requested:
        apply.request_apply(changeset.pk, COMMAND_LINE)
    age(changeset, hours=73)
    find(changeset)
    assert_void(changeset)
    assert not Term.objects.exists()
    (event,) = changeset.events.filter(action="approval_expired")
    assert (event.actor, event.user, event.detail["approved_by"]) == ("data_sync", None, "command line")
    assert changeset.changes.get().decision == Decision.ACCEPTED, "what was decided stays"
    again = approval.approve(changeset.pk, COMMAND_LINE, revision=0)
    apply.request_apply(again.pk, COMMAND_LINE)
    assert apply.run_apply(again.pk).state == ChangesetState.APPLIED


def test_an_approval_in_its_time_is_applied_and_swept_over() -> None:
    changeset = approved()
    age(changeset, hours=71)
    assert tasks.sweep() == []
    apply.request_apply(changeset.pk, COMMAND_LINE)
    assert apply.run_apply(changeset.pk).state == ChangesetState.APPLIED


@pytest.mark.parametrize(("hours", "holds"), [(None, True), (0.5, False), (2, True)])
def test_how_long_is_a_setting(settings: Any, hours: float | None, holds: bool) -> None:
    changeset = approved()
    age(changeset, hours=1)
    settings.DATA_SYNC_APPROVAL_HOURS = hours
    until = None if hours is None else changeset.approved_at + timedelta(hours=hours)  # type: ignore[operator]
    assert (expiry.has_expired(changeset), expiry.holds_until(changeset)) == (not holds, until)
    assert bool(expiry.expire(changeset.pk)) is not holds


def test_an_apply_that_was_claimed_in_time_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    changeset = approved()
    apply.request_apply(changeset.pk, COMMAND_LINE)
    promote = apply.promote_files

    def promote_for_long(*given: Any) -> Any:
        age(changeset, hours=99)
        assert expiry.expire_all(10) == []
        return promote(*given)

    monkeypatch.setattr(apply, "promote_files", promote_for_long)
    assert apply.run_apply(changeset.pk).state == ChangesetState.APPLIED


def test_one_that_was_killed_is_not_begun_anew_too_late() -> None:
    changeset = approved()
    apply.request_apply(changeset.pk, COMMAND_LINE)
    assert apply._claim(changeset.pk)
    age(changeset, hours=99)
    leasing.expire()
    deliver(changeset)
    assert_void(changeset)
    assert not Term.objects.exists()
    again = approval.approve(changeset.pk, COMMAND_LINE, revision=0)
    apply.request_apply(again.pk, COMMAND_LINE)
    assert apply.run_apply(again.pk).state == ChangesetState.APPLIED


def test_who_was_overtaken_voids_nothing() -> None:
    changeset = approved()
    apply.request_apply(changeset.pk, COMMAND_LINE)
    assert apply._claim(changeset.pk)
    age(changeset, hours=99)
    assert expiry.expire(changeset.pk, token="another's") == ""
    changeset.refresh_from_db()
    assert changeset.state == ChangesetState.APPLYING


def test_one_that_lost_its_worker_and_is_asked_for_again_too_late_is_void() -> None:
    changeset = approved()
    apply.request_apply(changeset.pk, COMMAND_LINE)
    assert apply._claim(changeset.pk)
    age(changeset, hours=99)
    leasing.expire()
    ask(changeset)
    assert_void(changeset)


def test_an_expired_approval_is_given_anew_without_waiting_for_a_sweep() -> None:
    changeset = approved()
    age(changeset, hours=99)
    again = approval.approve(changeset.pk, COMMAND_LINE, revision=0)
    assert (again.state, expiry.has_expired(again)) == (ChangesetState.APPROVED, False)
    assert list(again.events.values_list("action", flat=True)) == ["approved", "approval_expired", "approved"]


def test_who_approved_anew_in_between_is_not_voided(monkeypatch: pytest.MonkeyPatch) -> None:
    changeset = approved()
    age(changeset, hours=99)
    atomic = expiry.transaction.atomic

    def meanwhile() -> Any:
        monkeypatch.undo()
        age(changeset, hours=98)  # An approval of another moment, which is as old for the sake of the test.
        return atomic()

    monkeypatch.setattr(expiry.transaction, "atomic", meanwhile)
    assert expiry.expire(changeset.pk) == ""
    changeset.refresh_from_db()
    assert (changeset.state, changeset.events.count()) == (ChangesetState.APPROVED, 1)


# What voids it besides


def change_of(kind: str) -> Change:
    match kind:
        case "rename":
            return making.rename(1, decision="accepted")
        case "conflict":
            return making.conflict(1)
        case _:
            return making.update(1, decision="accepted")


def decided(changeset: Changeset, decision: Decision, **options: Any) -> None:
    review.decide(changeset.pk, Selection(numbers=(1,)), decision, COMMAND_LINE, revision=None, **options)


def decided_all(changeset: Changeset) -> None:
    review.decide(changeset.pk, Selection(decision="accepted"), Decision.REJECTED, COMMAND_LINE, revision=None)


VOIDING: dict[str, Callable[[Changeset], object]] = {
    "accept": lambda one: decided(one, Decision.ACCEPTED),
    "reject": lambda one: decided(one, Decision.REJECTED),
    "undecided": lambda one: decided(one, Decision.UNDECIDED),
    "many at once": decided_all,
    "keep no field": lambda one: decided(one, Decision.ACCEPTED, keep=[]),
    "acknowledge": lambda one: decided(one, Decision.ACCEPTED, acknowledge=True),
    "withdraw": lambda one: approval.withdraw(one.pk, COMMAND_LINE),
    "undo": lambda one: undoing.undo(one.pk, COMMAND_LINE, revision=one.revision),
}


@pytest.mark.usefixtures("rows_that_fit")
@pytest.mark.parametrize("how", VOIDING)
def test_every_later_decision_voids_an_approval(how: str) -> None:
    changeset = making.changeset([change_of("update")])
    if how == "undo":
        review.decide(changeset.pk, Selection(decision="accepted"), Decision.UNDECIDED, COMMAND_LINE, revision=None)
        review.decide(changeset.pk, Selection(), Decision.ACCEPTED, COMMAND_LINE, revision=None)
    changeset.refresh_from_db()
    changeset = approval.approve(changeset.pk, COMMAND_LINE, revision=changeset.revision)
    apply.request_apply(changeset.pk, COMMAND_LINE)
    VOIDING[how](changeset)
    assert_void(changeset)
    with pytest.raises(InvalidTransition, match="is pending and cannot be applied"):
        apply.run_apply(changeset.pk)


@pytest.mark.usefixtures("rows_that_fit")
@pytest.mark.parametrize("choice", list(RenameChoice))
def test_how_a_rename_is_written_voids_an_approval_too(choice: RenameChoice) -> None:
    changeset = approved(change_of("rename"))
    decided(changeset, Decision.ACCEPTED, rename_choice=choice)
    assert_void(changeset)


def test_looking_and_commenting_leave_an_approval_as_it_is() -> None:
    ada = actors.of_user(making.user("ada", "view_changeset"))
    changeset = approved()
    change = changeset.changes.get()
    remarks.set_viewed(change, ada, is_viewed=True)
    remarks.comment(change, "Fine.", ada)
    changeset.refresh_from_db()
    assert changeset.state == ChangesetState.APPROVED
    apply.request_apply(changeset.pk, COMMAND_LINE)
    assert apply.run_apply(changeset.pk).state == ChangesetState.APPLIED


# Whose approval counts


@pytest.mark.parametrize("when", ["before it is asked for", "before it begins"])
@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (lambda user: type(user).objects.filter(pk=user.pk).update(is_active=False), "eve is not active any more"),
        (lambda user: user.delete(), "eve is not active any more"),
        (
            lambda user: user.user_permissions.remove(Permission.objects.get(codename="approve_changeset")),
            "eve lacks the permission data_sync.approve_changeset",
        ),
    ],
)
def test_an_approval_counts_as_long_as_its_approver_may_approve(
    when: str, happens: Callable[[Any], Any], reason: str
) -> None:
    eve = making.user("eve", "approve_changeset")
    changeset = approved(actor=actors.of_user(eve))
    if when == "before it begins":
        apply.request_apply(changeset.pk, COMMAND_LINE)
    happens(eve)
    if when == "before it begins":
        done = apply.run_apply(changeset.pk)
        assert done.state == ChangesetState.FAILED and reason in done.state_reason
    else:
        with pytest.raises(InvalidTransition, match=reason):
            apply.request_apply(changeset.pk, COMMAND_LINE)
    assert not Term.objects.exists()
    changeset.refresh_from_db()
    if changeset.state == ChangesetState.APPROVED:
        approval.withdraw(changeset.pk, COMMAND_LINE)
    approval.approve(changeset.pk, COMMAND_LINE, revision=0)
    apply.request_apply(changeset.pk, COMMAND_LINE)
    assert apply.run_apply(changeset.pk).state == ChangesetState.APPLIED
