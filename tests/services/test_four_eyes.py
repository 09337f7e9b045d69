"""Four eyes: who may approve what somebody asked for, by service, by command and in the admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from data_sync.core.errors import NotPermitted
from data_sync.core.states import ChangesetState, Decision
from data_sync.models import Changeset
from data_sync.services import actors, apply, approval, review
from tests.admin import making
from tests.management.conftest import Run, run
from tests.testapp.models import Term

__all__ = ["run"]

pytestmark = pytest.mark.django_db(transaction=True)

REFUSED = "Four eyes are required: somebody other than {}, who asked for the pull"
REVIEWER = ("view_changeset", "approve_changeset")

# Who asked for the pull, who approves, and whether that makes two.
TABLE = [
    ("ada", "bob", True),
    ("ada", "ada", False),
    ("ada", "command line", False),
    ("ada", "superuser", True),
    ("superuser", "superuser", False),
    ("superuser", "ada", True),
    ("command line", "ada", True),
    ("command line", "command line", False),
    ("deleted", "ada", True),
    ("deleted", "deleted and made again", False),
    ("ada, who decided and overrode", "bob", True),
    ("ada", "bob, who decided and overrode", True),
    ("ada, who renamed the account", "ada, who renamed the account", False),
]


def person(who: str) -> Any:
    name = who.partition(",")[0]
    if name == "command line":
        return None
    found = get_user_model().objects.filter(username=name).first()
    if found is None:
        found = making.user(name, *(("*",) if name == "superuser" else REVIEWER))
    return found


def scene(asking: str, approving: str) -> tuple[Changeset, actors.Actor]:
    """A changeset that `asking` pulled, ready to be approved, and who is to approve it."""
    requester = person(asking)
    decider = "decided" in approving or "decided" in asking
    changeset = making.changeset(
        [making.create(1, decision="undecided" if decider else "accepted")],
        requested_by=requester,
        actor=requester.username if requester else "command line",
        state="blocked" if decider else "pending",
        guards=[{"code": "x", "model": "", "message": "It is a lot."}] if decider else [],
    )
    if asking == "deleted":
        requester.delete()
    if "renamed" in asking:
        get_user_model().objects.update(username="countess")
    name = {"deleted and made again": "deleted"}.get(approving, "countess" if "renamed" in approving else approving)
    approver = person(name)
    if decider:
        who = person(next(one for one in (asking, approving) if "decided" in one))
        who.user_permissions.add(making.Permission.objects.get(codename="override_changeset_guard"))
        fresh = actors.of_user(get_user_model().objects.get(pk=who.pk))
        approval.override(changeset.pk, fresh, "It is meant.")
        review.decide(changeset.pk, review.Selection(numbers=(1,)), Decision.ACCEPTED, fresh, revision=0)
    changeset.refresh_from_db()
    return changeset, actors.command_line() if approver is None else actors.of_user(approver)


@pytest.mark.parametrize("by", ["service", "command", "admin"])
@pytest.mark.parametrize(("asking", "approving", "are_two"), TABLE)
def test_who_asked_for_a_pull_does_not_approve_it(
    settings: Any, client: Client, run: Run, by: str, asking: str, approving: str, are_two: bool
) -> None:
    settings.DATA_SYNC_FOUR_EYES = True
    changeset, approver = scene(asking, approving)
    reason = REFUSED.format(changeset.actor)
    match by:
        case "service" if are_two:
            approval.approve(changeset.pk, approver, revision=changeset.revision)
        case "service":
            with pytest.raises(NotPermitted, match=reason):
                approval.approve(changeset.pk, approver, revision=changeset.revision)
        case "command":
            whose = [] if approver.user is None else ["--as", approver.label]
            ran = run("approve", changeset.pk, *whose)
            assert (ran.code, reason in ran.err) == (0 if are_two else 1, not are_two)
        case "admin" if approver.user is not None:
            client.force_login(approver.user)
            page = client.get(reverse("admin:data_sync_changeset_confirm", args=(changeset.pk,)))
            is_offered = 'name="do" value="approve"' in page.content.decode()
            told = "somebody other than who asked for the pull has to approve" in page.content.decode()
            assert (is_offered, told) == (are_two, not are_two)
            given = {"do": "approve", "revision": str(changeset.revision)}
            answer = client.post(reverse("admin:data_sync_changeset_approve", args=(changeset.pk,)), given)
            assert answer.status_code == (302 if are_two else 403)
        case _:
            pytest.skip("the command line has no browser")
    changeset.refresh_from_db()
    assert changeset.state == (ChangesetState.APPROVED if are_two else ChangesetState.PENDING)


def test_who_acts_without_review_is_who_asked_for_the_pull_also_by_an_account_made_again(settings: Any) -> None:
    settings.DATA_SYNC_FOUR_EYES = True
    changeset, approver = scene("deleted", "deleted and made again")
    by_itself = actors.Actor(label=f"auto-apply for {approver.label}", user=approver.user)
    assert approval.needs_others(changeset, by_itself)
    assert not approval.needs_others(changeset, actors.Actor(label="auto-apply for bob", user=person("bob")))


@pytest.mark.parametrize("who", ["ada", "bob", "command line"])
def test_two_have_looked_so_anybody_who_may_can_apply(settings: Any, who: str) -> None:
    settings.DATA_SYNC_FOUR_EYES = True
    for name in ("ada", "bob"):
        making.user(name, *REVIEWER, "apply_changeset", "add_term")
    changeset, approver = scene("ada", "bob")
    approval.approve(changeset.pk, approver, revision=0)
    user = person(who)
    apply.request_apply(changeset.pk, actors.command_line() if user is None else actors.of_user(user))
    assert apply.run_apply(changeset.pk).state == ChangesetState.APPLIED
    assert Term.objects.count() == 1


def test_without_the_setting_one_person_may_do_it_all() -> None:
    changeset, approver = scene("ada", "ada")
    assert approval.approve(changeset.pk, approver, revision=0).approval_actor == "ada"
