"""What was approved without review is written only while its source is trusted, whoever has it applied and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from data_sync import tasks
from data_sync.core.errors import ApprovalVoid, InvalidTransition
from data_sync.core.states import AutoApply, ChangesetState
from data_sync.models import Changeset, Trust
from data_sync.services import apply, auto_apply, auto_standing, sources, trust
from tests import leasing
from tests.services.test_auto_apply import Scene, actions, assert_left, codes, meaning, person, scene

__all__ = ["scene"]

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "source"])


def end_trust(scene: Scene, settings: Any) -> None:
    trust.switch_off(scene.source, scene.environments.actor, "compromised")


def switch_all_off(scene: Scene, settings: Any) -> None:
    settings.DATA_SYNC_AUTO_APPLY = False


def trust_anew(scene: Scene, settings: Any) -> None:
    scene.trust(models=["testapp.tag"])


def remove(scene: Scene, settings: Any) -> None:
    sources.remove_source(scene.source, scene.environments.actor)


ENDS: list[tuple[Callable[[Scene, Any], None], str]] = [
    (end_trust, "not_trusted"),
    (switch_all_off, "switched_off"),
    (trust_anew, "limits_changed"),
    (remove, "not_trusted"),
]
ends = pytest.mark.parametrize(("end", "code"), ENDS, ids=[end.__name__ for end, _ in ENDS])


def approved(scene: Scene) -> Changeset:
    """Approved without review; nobody has begun to apply it."""
    scene.there()
    changeset = scene.stored()
    assert auto_apply.settle(changeset.pk)
    return changeset


def assert_taken_back(changeset: Changeset, code: str) -> None:
    """It waits for review as if nobody had accepted anything, and nothing of it is written."""
    assert codes(changeset) == [code]
    assert (changeset.state, changeset.auto_state) == (ChangesetState.PENDING, AutoApply.LEFT)
    kept = (changeset.approval_seal, changeset.approved_at, changeset.apply_requested_at, changeset.undoable)
    assert kept == ("", None, None, {})
    change = changeset.changes.get()
    assert (change.decision, change.decided_revision, change.carried_from) == ("undecided", None, None)
    assert changeset.revision == 2, "no page that showed it as accepted can have it approved"
    assert actions(changeset) == ["pulled", "auto_approved", "approved", "left_for_review"]
    assert meaning() == "of 2025"


@ends
def test_a_person_who_has_it_applied_finds_it_taken_back(
    scene: Scene, settings: Any, end: Callable[[Scene, Any], None], code: str
) -> None:
    changeset = approved(scene)
    end(scene, settings)
    applier = person("applier", "view_changeset", "apply_changeset", "change_term")
    with pytest.raises(ApprovalVoid, match="was made without review and does not hold any more"):
        apply.request_apply(changeset.pk, applier)
    assert_taken_back(changeset, code)


@ends
def test_a_request_of_a_person_is_not_applied_where_trust_ends_before_the_worker_comes(
    scene: Scene, settings: Any, end: Callable[[Scene, Any], None], code: str
) -> None:
    changeset = approved(scene)
    apply.request_apply(changeset.pk, person("applier", "view_changeset", "apply_changeset", "change_term"))
    end(scene, settings)
    tasks.run("apply", changeset.pk)
    assert_taken_back(changeset, code)


@ends
def test_an_attempt_that_was_killed_is_not_begun_anew(
    scene: Scene, settings: Any, end: Callable[[Scene, Any], None], code: str
) -> None:
    changeset = approved(scene)
    assert apply._claim(changeset.pk)
    leasing.expire()
    end(scene, settings)
    tasks.run("apply", changeset.pk)
    assert_taken_back(changeset, code)
    with pytest.raises(InvalidTransition, match="is pending"):
        apply.run_apply(changeset.pk)


def test_trust_that_ends_while_files_are_copied_is_obeyed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    changeset = approved(scene)
    promote = apply.promote_files

    def promote_and_end(*given: Any) -> Any:
        end_trust(scene, None)
        return promote(*given)

    monkeypatch.setattr(apply, "promote_files", promote_and_end)
    with pytest.raises(ApprovalVoid, match="The source is not trusted"):
        apply.run_apply(changeset.pk)
    assert_taken_back(changeset, "not_trusted")


def test_a_worker_that_was_overtaken_takes_nothing_back(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    changeset = approved(scene)
    Changeset.objects.filter(pk=changeset.pk).update(state=ChangesetState.APPLYING.value, token="another's")
    against = [{"code": "not_trusted", "message": "No."}]
    assert auto_standing.taken_back(changeset.pk, against, state=ChangesetState.APPLYING.value, token="mine") == ""
    changeset.refresh_from_db()
    assert (changeset.state, changeset.auto_state) == (ChangesetState.APPLYING, AutoApply.APPROVED)


@pytest.mark.parametrize("is_killed", [False, True])
def test_while_the_source_is_trusted_anybody_who_may_has_it_applied(scene: Scene, is_killed: bool) -> None:
    changeset = approved(scene)
    apply.request_apply(changeset.pk, person("applier", "view_changeset", "apply_changeset", "change_term"))
    if is_killed:
        assert apply._claim(changeset.pk)
        leasing.expire()
    tasks.run("apply", changeset.pk)
    changeset.refresh_from_db()
    assert (changeset.state, changeset.auto_state, meaning()) == (ChangesetState.APPLIED, AutoApply.APPROVED, "of 2026")


def test_a_person_who_reviews_what_was_taken_back_makes_the_approval_theirs(scene: Scene, settings: Any) -> None:
    changeset = approved(scene)
    switch_all_off(scene, settings)
    tasks.run("apply", changeset.pk)
    scene.environments.accept_all(changeset)
    scene.environments.apply(scene.environments.approve(changeset))
    changeset.refresh_from_db()
    assert (changeset.state, meaning()) == (ChangesetState.APPLIED, "of 2026")


def test_a_killed_attempt_at_what_a_person_approved_rests_on_no_trust(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.there()
    with monkeypatch.context() as broken:
        broken.setattr(apply, "write_rows", lambda *_: 1 / 0)
        changeset = scene.pull()
    apply.approve_and_request(changeset.pk, scene.environments.actor, revision=changeset.revision)
    changeset.refresh_from_db()
    assert changeset.auto_state == AutoApply.LEFT
    assert apply._claim(changeset.pk)
    leasing.expire()
    end_trust(scene, None)
    tasks.run("apply", changeset.pk)
    changeset.refresh_from_db()
    assert (changeset.state, meaning()) == (ChangesetState.APPLIED, "of 2026")


# Due, and not yet decided


def test_what_was_pulled_before_trust_was_given_is_left(scene: Scene) -> None:
    """As from the old URL of a source whose new one is trusted since."""
    scene.there("from the old URL")
    changeset = scene.stored()
    Trust.objects.update(is_on=False)
    scene.trust()
    tasks.run("apply", changeset.pk)
    assert_left(changeset, "limits_changed")
    assert meaning() == "of 2025"


def test_what_nobody_has_clicked_for_is_left_where_a_click_is_needed_by_now(scene: Scene) -> None:
    scene.there()
    changeset = scene.stored()
    Trust.objects.update(unattended=False)
    tasks.run("apply", changeset.pk)
    assert_left(changeset, "one_click")
    assert meaning() == "of 2025"


def test_the_end_of_trust_leaves_what_is_due_for_review_at_once(scene: Scene) -> None:
    scene.there("from the old URL")
    changeset = scene.stored()
    sources.change_source(
        scene.source, scene.environments.actor, url="http://127.0.0.1:1/new", key="env:DATA_SYNC_KEY_N"
    )
    assert_left(changeset, "not_trusted")
    assert "changed the source's URL" in changeset.auto_reasons[0]["message"]
    scene.trust()
    tasks.run("apply", changeset.pk)
    assert_left(changeset, "not_trusted")
    assert meaning() == "of 2025"


def test_who_lacks_a_permission_ends_no_trust_that_another_gave_since(scene: Scene) -> None:
    old = scene.trust(person("anna"))
    scene.trust(person("bob"))
    auto_apply._end(old, "anna lacks a permission by now.")
    standing = trust.standing(scene.source)
    assert standing is not None and standing.actor == "bob"
    auto_apply._end(standing, "bob lacks a permission by now.")
    assert trust.standing(scene.source) is None
