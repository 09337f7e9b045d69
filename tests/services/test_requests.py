"""Asking for an apply: who may, until when that counts, and what becomes of it when it is not done."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from data_sync.core.errors import InvalidTransition, NotPermitted, RevisionConflict
from data_sync.core.states import ChangesetState, Decision, Outcome
from data_sync.models import Change, Changeset
from data_sync.services import actors, apply, approval, outcomes, review
from tests import leasing
from tests.admin import making
from tests.testapp.models import Term

pytestmark = pytest.mark.django_db(transaction=True)

NEEDED = ("approve_changeset", "apply_changeset", "add_term")
COMMAND_LINE = actors.command_line()


def approved(*changes: Change) -> Changeset:
    changeset = making.changeset(changes or [making.create(1, decision="accepted")])
    return approval.approve(changeset.pk, COMMAND_LINE, revision=0)


def request_of(changeset: Changeset) -> tuple[Any, ...]:
    changeset.refresh_from_db()
    return (
        changeset.apply_requested_at,
        changeset.apply_requested_by,
        changeset.apply_actor,
        changeset.apply_unrestricted,
    )


NOBODY = (None, None, "", False)


# How long a request counts


def failed(monkeypatch: pytest.MonkeyPatch) -> Changeset:
    """A changeset that was asked for, and whose apply failed."""
    changeset = approved()

    def explode(*_: Any) -> None:
        raise ValueError("not now")

    apply.request_apply(changeset.pk, COMMAND_LINE)
    with monkeypatch.context() as patch:
        patch.setattr(apply, "write_rows", explode)
        assert apply.run_apply(changeset.pk).state == ChangesetState.FAILED
    return changeset


def test_a_request_ends_with_its_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert request_of(failed(monkeypatch)) == NOBODY


def test_an_approval_is_no_request_whatever_was_asked_for_before(monkeypatch: pytest.MonkeyPatch) -> None:
    changeset = failed(monkeypatch)
    Changeset.objects.update(apply_requested_at=timezone.now(), apply_actor="ada", apply_unrestricted=True)
    approval.approve(changeset.pk, COMMAND_LINE, revision=0)
    assert request_of(changeset) == NOBODY
    with pytest.raises(InvalidTransition, match="is approved and cannot be applied"):
        apply.run_apply(changeset.pk)
    assert not Term.objects.exists()


def test_a_withdrawn_approval_takes_the_request_with_it() -> None:
    changeset = approved()
    apply.request_apply(changeset.pk, COMMAND_LINE)
    approval.withdraw(changeset.pk, COMMAND_LINE)
    assert request_of(changeset) == NOBODY


# Who asked, and may they still


def strip(user: Any, codename: str) -> None:
    user.user_permissions.remove(Permission.objects.get(codename=codename))


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (lambda user: type(user).objects.update(is_active=False), "ada is not active"),
        (lambda user: strip(user, "apply_changeset"), "lacks the permission data_sync.apply_changeset"),
        (lambda user: strip(user, "add_term"), "lacks the permission testapp.add_term"),
        (lambda user: user.delete(), "ada is not a user here"),
    ],
)
def test_whoever_asked_must_still_be_allowed_when_the_work_begins(happens: Callable[[Any], Any], reason: str) -> None:
    user = making.user("ada", *NEEDED)
    changeset = approved()
    apply.request_apply(changeset.pk, actors.of_user(user))
    happens(user)

    done = apply.run_apply(changeset.pk)

    assert done.state == ChangesetState.FAILED
    assert reason in done.state_reason
    assert not Term.objects.exists()
    assert not done.changes.exclude(outcome=Outcome.SKIPPED.value).exists()
    assert done.events.last().actor == "ada"


def test_a_deleted_user_who_was_called_like_the_command_line_is_not_the_command_line() -> None:
    user = making.user(COMMAND_LINE.label, *NEEDED)
    changeset = approved()
    apply.request_apply(changeset.pk, actors.of_user(user))
    user.delete()
    assert apply.run_apply(changeset.pk).state == ChangesetState.FAILED
    assert not Term.objects.exists()


def test_the_command_line_and_users_who_may_do_apply() -> None:
    for number, actor in enumerate((COMMAND_LINE, actors.of_user(making.user("ada", *NEEDED))), start=1):
        changeset = approved(making.create(number, decision="accepted"))
        apply.request_apply(changeset.pk, actor)
        assert apply.run_apply(changeset.pk).state == ChangesetState.APPLIED
        assert changeset.events.last().actor == actor.label


@pytest.mark.parametrize(
    ("effect", "permission"),
    [("delete", "delete_comment"), ("null", "change_comment"), ("default", "change_comment"), ("unlink", "")],
)
def test_rows_that_deletes_take_along_need_their_own_permission(effect: str, permission: str) -> None:
    cascade = {"model": "testapp.comment", "pk": "1", "label": "", "effect": effect, "column": "product"}
    changeset = approved(making.delete(1, decision="accepted", cascades=[cascade]))
    user = making.user("ada", "apply_changeset", "delete_term")
    if permission:
        with pytest.raises(NotPermitted, match=f"testapp.{permission}"):
            apply.request_apply(changeset.pk, actors.of_user(user))
        assert request_of(changeset) == NOBODY
        user.user_permissions.add(Permission.objects.get(codename=permission))
    assert apply.request_apply(changeset.pk, actors.of_user(get_user_model().objects.get())).apply_actor == "ada"


def test_what_a_rejected_delete_would_take_along_needs_nothing() -> None:
    cascade = {"model": "testapp.comment", "pk": "1", "label": "", "effect": "delete", "column": "product"}
    changeset = approved(
        making.create(1, decision="accepted"), making.delete(2, decision="rejected", cascades=[cascade])
    )
    apply.request_apply(changeset.pk, actors.of_user(making.user("ada", *NEEDED)))


# Asking again


def test_an_apply_that_somebody_is_at_cannot_be_asked_for() -> None:
    changeset = approved()
    apply.request_apply(changeset.pk, COMMAND_LINE)
    assert apply._claim(changeset.pk)
    ada = actors.of_user(making.user("ada", *NEEDED))
    with pytest.raises(InvalidTransition, match="being applied by another worker"):
        apply.request_apply(changeset.pk, ada)
    changeset.refresh_from_db()
    assert (changeset.apply_actor, apply.is_abandoned(changeset)) == ("command line", False)
    leasing.expire()
    assert apply.is_abandoned(changeset)
    apply.request_apply(changeset.pk, ada)
    assert apply.run_apply(changeset.pk).apply_actor == "ada"


def test_a_request_that_nobody_came_to_is_abandoned_after_a_minute() -> None:
    changeset = approved()
    assert not apply.is_abandoned(changeset)
    apply.request_apply(changeset.pk, COMMAND_LINE)
    assert not apply.is_abandoned(changeset)
    Changeset.objects.update(apply_requested_at=timezone.now() - timedelta(seconds=61))
    assert apply.is_abandoned(changeset)


def test_a_request_can_be_for_the_approval_that_was_seen_only() -> None:
    changeset = approved()
    with pytest.raises(RevisionConflict, match="not the one you saw"):
        apply.request_apply(changeset.pk, COMMAND_LINE, revision=7)
    assert request_of(changeset) == NOBODY
    assert apply.request_apply(changeset.pk, COMMAND_LINE, revision=0).apply_actor == "command line"


# Both at once


def test_who_may_not_apply_has_not_approved_either() -> None:
    changeset = making.changeset([making.create(1, decision="accepted")])
    ada = actors.of_user(making.user("ada", "approve_changeset", "apply_changeset"))
    with pytest.raises(NotPermitted, match=r"testapp\.add_term"):
        apply.approve_and_request(changeset.pk, ada, revision=0)
    changeset.refresh_from_db()
    assert (changeset.state, changeset.events.count()) == (ChangesetState.PENDING, 0)


@pytest.mark.parametrize("is_both", [True, False])
def test_a_transaction_writes_before_it_reads(is_both: bool) -> None:
    """SQLite refuses the write lock, without waiting, to one that has read before somebody else wrote."""
    if connection.vendor != "sqlite":
        pytest.skip("others have locks by row")
    changeset = making.changeset([making.create(1, decision="accepted")])
    if not is_both:
        approval.approve(changeset.pk, COMMAND_LINE, revision=0)
    ada = actors.of_user(get_user_model().objects.get(pk=making.user("ada", *NEEDED).pk))
    with CaptureQueriesContext(connection) as captured:
        if is_both:
            apply.approve_and_request(changeset.pk, ada, revision=0)
        else:
            apply.request_apply(changeset.pk, ada)
    statements = [query["sql"].split()[0] for query in captured]
    inside = statements[statements.index("BEGIN") + 1 :]
    assert next(statement for statement in inside if statement != "SAVEPOINT") == "UPDATE"


# What an attempt leaves


def test_reasons_take_few_statements_and_stand_with_their_changes() -> None:
    changeset = making.changeset(making.create(number, decision="accepted") for number in range(1, 302))
    with CaptureQueriesContext(connection) as captured:
        outcomes.store_reasons(changeset, Outcome.STALE, {number: f"because of {number}" for number in range(1, 301)})
    assert len(captured) < 15
    stored = list(changeset.changes.order_by("number").values_list("outcome", "outcome_reason"))
    assert stored[:300] == [("stale", f"because of {number}") for number in range(1, 301)]
    assert stored[300] == ("skipped", "Nothing was written, because other changes could not be.")


@pytest.mark.parametrize("then", ["decide", "approve"])
def test_outcomes_of_a_failure_are_forgotten_with_what_follows(monkeypatch: pytest.MonkeyPatch, then: str) -> None:
    changeset = failed(monkeypatch)
    assert changeset.changes.exclude(outcome="").exists()
    if then == "decide":
        review.decide(changeset.pk, review.Selection(numbers=()), Decision.REJECTED, COMMAND_LINE, revision=None)
    else:
        approval.approve(changeset.pk, COMMAND_LINE, revision=0)
    assert list(changeset.changes.values_list("outcome", "outcome_reason")) == [("", "")]


def test_a_storage_that_does_not_remove_files_does_not_undo_what_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("read-only")

    monkeypatch.setattr(apply, "discard_promoted", refuse)
    changeset = approved()
    apply.request_apply(changeset.pk, COMMAND_LINE)
    assert apply.run_apply(changeset.pk).state == ChangesetState.APPLIED
    failed(monkeypatch)
