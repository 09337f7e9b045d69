"""However an approval without review ends, what nobody has decided is no decision afterwards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from data_sync import tasks
from data_sync.core.errors import ApprovalExpired, RevisionConflict
from data_sync.core.states import AutoApply, ChangesetState, Decision
from data_sync.models import Changeset
from data_sync.services import apply, approval, auto_apply, expiry, review
from data_sync.services.review import Selection
from tests import leasing
from tests.services.test_auto_apply import Scene, actions, codes, meaning, scene
from tests.testapp.models import Tag

__all__ = ["scene"]

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "source"])


def old(changeset: Changeset) -> None:
    Changeset.objects.filter(pk=changeset.pk).update(approved_at=timezone.now() - timedelta(hours=99))


def expire(scene: Scene, changeset: Changeset) -> None:
    old(changeset)
    assert "without the decisions that nobody made" in expiry.expire(changeset.pk)


def expire_claimed(scene: Scene, changeset: Changeset) -> None:
    assert apply._claim(changeset.pk)
    leasing.expire()
    old(changeset)
    with pytest.raises(ApprovalExpired):
        apply.run_apply(changeset.pk)


def withdraw(scene: Scene, changeset: Changeset) -> None:
    approval.withdraw(changeset.pk, scene.environments.actor)


WAYS: list[tuple[Callable[[Scene, Changeset], None], str, str]] = [
    (expire, "expired", "approval_expired"),
    (expire_claimed, "expired", "approval_expired"),
    (withdraw, "withdrawn", "withdrawn"),
]


@pytest.mark.parametrize(("way", "code", "action"), WAYS, ids=[way.__name__ for way, *_ in WAYS])
def test_what_nobody_accepted_is_undecided_again(
    scene: Scene, way: Callable[[Scene, Changeset], None], code: str, action: str
) -> None:
    scene.there()
    changeset = scene.stored()
    assert auto_apply.settle(changeset.pk)
    changeset.refresh_from_db()
    shown = changeset.revision
    way(scene, changeset)
    assert codes(changeset) == [code]
    assert (changeset.state, changeset.auto_state) == (ChangesetState.PENDING, AutoApply.LEFT)
    assert changeset.changes.get().decision == Decision.UNDECIDED
    assert actions(changeset) == ["pulled", "auto_approved", "approved", action, "left_for_review"]
    with pytest.raises(RevisionConflict):
        apply.approve_and_request(changeset.pk, scene.environments.actor, revision=shown)
    tasks.sweep()
    assert meaning() == "of 2025"


@pytest.mark.parametrize("approve", [approval.approve, apply.approve_and_request])
def test_who_approves_one_that_has_expired_approves_nothing_unseen(scene: Scene, approve: Callable[..., Any]) -> None:
    scene.there()
    changeset = scene.stored()
    assert auto_apply.settle(changeset.pk)
    old(changeset)
    changeset.refresh_from_db()
    with pytest.raises(RevisionConflict):
        approve(changeset.pk, scene.environments.actor, revision=changeset.revision)
    assert codes(changeset) == ["expired"], "which stays, so that the next look shows it"
    assert changeset.state == ChangesetState.PENDING


def test_who_decides_on_one_change_has_accepted_no_other(scene: Scene) -> None:
    scene.there()
    Tag.objects.using("source").create(name="new")
    changeset = scene.stored()
    assert auto_apply.settle(changeset.pk)
    no = changeset.changes.get(operation="create")
    review.decide(
        changeset.pk, Selection(numbers=(no.number,)), Decision.REJECTED, scene.environments.actor, revision=1
    )
    assert codes(changeset) == ["decided"]
    assert dict(changeset.changes.values_list("operation", "decision")) == {"create": "rejected", "update": "undecided"}
