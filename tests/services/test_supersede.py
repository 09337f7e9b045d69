"""A later complete pull closes what it covers, and what was decided there on the same changes still stands."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from data_sync.core.states import RenameChoice
from data_sync.models import Change, Changeset, DataPull, DataSource
from data_sync.services import approval, undoing
from data_sync.services.supersede import supersede
from tests.reviewing import ACTOR, HERE, LABELS, decide, decided, make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rows_that_fit")]


@pytest.fixture
def source() -> DataSource:
    return DataSource.objects.create(name="Staging", url="https://staging.example.org")


def pulled(source: DataSource, changeset: Changeset | None, labels: list[str] = LABELS) -> None:
    """What a pull does in the end, which has found `changeset`."""
    pull = DataPull.objects.create(source=source, source_name="Staging", state="comparing", actor="mira")
    with transaction.atomic():
        supersede(pull, labels, changeset)


def alter(changeset: Changeset, number: int, **values: Any) -> None:
    Change.objects.filter(changeset=changeset, number=number).update(**values)


def state(changeset: Changeset) -> tuple[str, str]:
    changeset.refresh_from_db()
    return changeset.state, changeset.state_reason


# What is closed


@pytest.mark.parametrize("open_state", ["pending", "blocked", "approved"])
def test_an_open_changeset_of_the_same_models_is_superseded(source: DataSource, open_state: str) -> None:
    old = make("create", source=source, state=open_state)
    new = make("create", source=source)
    pulled(source, new)
    assert state(old) == ("superseded", f"Superseded by changeset {new.pk}.")
    assert state(new) == ("pending", "")
    assert [event.action for event in old.events.all()] == ["superseded"]


def test_a_pull_that_finds_no_difference_supersedes_too(source: DataSource) -> None:
    old = make("create", source=source)
    pulled(source, None)
    assert state(old)[0] == "superseded" and "no difference" in state(old)[1]


@pytest.mark.parametrize("values", [{"state": "applied"}, {"state": "rejected"}, {"model_labels": ["testapp.page"]}])
def test_what_is_closed_or_was_not_covered_stays(source: DataSource, values: dict[str, Any]) -> None:
    old = make("create", **{"source": source, **values})
    pulled(source, make("create", source=source))
    assert state(old)[0] == values.get("state", "pending")


def test_changesets_of_another_source_stay(source: DataSource) -> None:
    other = make("create", source=DataSource.objects.create(name="Other", url="https://other.example.org"))
    decide(other, "accepted")
    new = make("create", source=source)
    pulled(source, new)
    assert state(other)[0] == "pending"
    assert decided(new) == []


# What is carried over


def test_decisions_on_the_same_changes_stand(source: DataSource) -> None:
    old = make("create", "update", "delete", "update", source=source)
    decide(old, "accepted", 1, 2)
    decide(old, "rejected", 3)
    new = make("create", "update", "delete", "update", source=source)
    pulled(source, new)
    assert (decided(new), decided(new, "rejected"), decided(new, "undecided")) == ([1, 2], [3], [4])
    event = new.events.get()
    assert (event.action, event.actor) == ("carried_over", "mira")
    assert event.detail == {"from": [old.pk], "counts": {"accepted": 2, "rejected": 1}}
    assert approval.approve(new.pk, ACTOR, revision=0).state == "approved"


@pytest.mark.parametrize(
    "values",
    [
        {"key_digest": "f" * 32},
        {"model": "testapp.page"},
        {"operation": "rename"},
        {"before_digest": "sha256:" + "c" * 64},
        {"after_digest": "sha256:" + "c" * 64},
        {"cascades": [{"model": "x.y", "pk": "1", "label": "Row", "effect": "delete", "column": "c"}]},
        {"left_scope": True},
        {"has_problems": True},
        {"is_conflict": True},
    ],
)
def test_a_change_that_is_another_is_decided_anew(source: DataSource, values: dict[str, Any]) -> None:
    old = make("update", "update", source=source)
    decide(old, "accepted")
    new = make("update", "update", source=source)
    alter(new, 1, **values)
    pulled(source, new)
    assert decided(new) == [2]


def test_a_rejection_stands_whatever_forbids_accepting(source: DataSource) -> None:
    old, new = make("update", source=source), make("update!", source=source)
    decide(old, "rejected")
    pulled(source, new)
    assert decided(new, "rejected") == [1]


def test_numbers_do_not_matter(source: DataSource) -> None:
    old = make("create", "create", "create", source=source)
    decide(old, "accepted", 3)
    new = make("create", "create", source=source)
    third = old.changes.get(number=3)
    alter(new, 1, model=third.model, key_digest=third.key_digest, after_digest=third.after_digest)
    pulled(source, new)
    assert decided(new) == [1]


def test_acknowledgements_and_choices_of_renames_come_along(source: DataSource) -> None:
    old = make("update?", "create?", "rename", source=source)
    decide(old, "accepted", options={"acknowledge": True, "rename_choice": RenameChoice.REPLACE})
    new = make("update?", "create?", "rename", source=source)
    pulled(source, new)
    rows = new.changes.order_by("number").values_list("decision", "acknowledged_digest", "rename_choice")
    assert list(rows) == [("accepted", HERE, "rename"), ("accepted", "absent", "rename"), ("accepted", "", "replace")]
    assert approval.approve(new.pk, ACTOR, revision=0).state == "approved"


def test_an_acknowledgement_of_what_is_no_conflict_any_more_goes(source: DataSource) -> None:
    old, new = make("update?", source=source), make("update", source=source)
    decide(old, "accepted", options={"acknowledge": True})
    pulled(source, new)
    assert list(new.changes.values_list("decision", "acknowledged_digest")) == [("accepted", "")]


@pytest.mark.parametrize("given_up", ["stale", "failed"])
def test_what_an_apply_has_given_up_is_carried_over_and_stays(source: DataSource, given_up: str) -> None:
    old = make("update", "update", source=source)
    decide(old, "accepted", 2)
    Changeset.objects.filter(pk=old.pk).update(state=given_up)
    new = make("update", "update", source=source)
    pulled(source, new)
    assert (state(old)[0], decided(new)) == (given_up, [2])


def test_the_latest_decision_stands(source: DataSource) -> None:
    """A changeset that was given up long ago says nothing any more: a later one had its decisions."""
    stale = make("update", "update", source=source)
    decide(stale, "accepted")
    Changeset.objects.filter(pk=stale.pk).update(state="stale")
    second = make("update", "update", source=source)
    pulled(source, second)
    decide(second, "rejected", 1)
    decide(second, "undecided", 2)
    third = make("update", "update", source=source)
    pulled(source, third)
    assert (decided(third), decided(third, "rejected"), decided(third, "undecided")) == ([], [1], [2])


def test_of_two_open_changesets_the_later_one_counts(source: DataSource) -> None:
    """As after a pull of all models and then one of a few of them."""
    first = make("update", "update", source=source)
    later = make("update", "update", source=source)
    decide(first, "accepted")
    decide(later, "rejected", 1)
    new = make("update", "update", source=source)
    pulled(source, new)
    assert (decided(new), decided(new, "rejected")) == ([2], [1])


def test_nothing_stands_that_was_decided_before_a_changeset_of_the_same_models_was_closed(source: DataSource) -> None:
    stale = make("update", "update", source=source)
    decide(stale, "accepted")
    Changeset.objects.filter(pk=stale.pk).update(state="stale")
    applied = make("update", source=source, model_labels=["testapp.country"])
    decide(applied, "rejected", 1)
    Changeset.objects.filter(pk=applied.pk).update(state="applied")
    new = make("update", "update", source=source)

    pulled(source, new)

    assert (decided(new), decided(new, "undecided")) == ([2], [1])
    assert [change.carried_from for change in new.changes.order_by("number")] == [None, stale.pk]


def test_nothing_stands_that_was_decided_before_both_sides_were_found_equal(source: DataSource) -> None:
    stale = make("update", "update", source=source)
    decide(stale, "accepted")
    Changeset.objects.filter(pk=stale.pk).update(state="stale")
    models = [{"label": "testapp.country", "compared": 5}, {"label": "testapp.tag", "compared": 5, "update": 1}]
    DataPull.objects.create(source=source, source_name="Staging", state="done", actor="mira", report={"models": models})
    new = make("update", "update", source=source)

    pulled(source, new)

    assert (decided(new), decided(new, "undecided")) == ([2], [1])


def test_undone_decisions_are_carried_over_again(source: DataSource) -> None:
    old = make("update", "update", source=source)
    decide(old, "accepted")
    new = make("update", "update", source=source)
    pulled(source, new)
    decide(new, "rejected", decision="accepted")
    new.refresh_from_db()

    undoing.undo(new.pk, ACTOR, revision=new.revision)

    assert {(change.decision, change.carried_from) for change in new.changes.all()} == {("accepted", old.pk)}


def test_a_changeset_that_is_approved_at_this_moment_is_retired_too(
    source: DataSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = make("update", source=source)
    seen = [Changeset.objects.get(pk=old.pk)]
    Changeset.objects.filter(pk=old.pk).update(state="approved")
    monkeypatch.setattr("data_sync.services.supersede._open", lambda pull, changeset: seen)

    pulled(source, make("update", source=source))

    assert state(old)[0] == "superseded"


def test_statements_grow_with_batches(source: DataSource) -> None:
    def statements(count: int) -> int:
        Changeset.objects.update(state="rejected")
        old = make(*["create"] * count, source=source)
        decide(old, "accepted")
        new = make(*["create"] * count, source=source)
        with CaptureQueriesContext(connection) as captured:
            pulled(source, new)
        assert len(decided(new)) == count
        return len(captured)

    few = statements(5)
    assert statements(499) == few
    assert statements(1_400) == few + 2 * 3


def test_decisions_are_carried_over_in_parts_where_they_are_many(
    source: DataSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_sync.services.carrying.AT_ONCE", 3)
    monkeypatch.setattr("data_sync.services.carrying.RANGE", 2)
    old, new = (make(*["create"] * 11, source=source) for _ in range(2))
    decide(old, "accepted", *range(1, 8))
    decide(old, "rejected", 11)
    pulled(source, new)
    assert (decided(new), decided(new, "rejected")) == ([1, 2, 3, 4, 5, 6, 7], [11])
    assert new.events.get().detail["counts"] == {"accepted": 7, "rejected": 1}


def test_what_was_seen_of_an_edited_row_acknowledges_no_later_conflict(source: DataSource) -> None:
    old = make("update", source=source)
    decide(old, "accepted", 1)
    alter(old, 1, acknowledged_digest="sha256:" + "e" * 64, seen={"digest": "sha256:" + "e" * 64, "fields": {}})
    new = make("update", source=source)
    alter(new, 1, is_conflict=True, conflict={"kind": "changed", "by": "", "at": ""})
    pulled(source, new)
    assert (decided(new), decided(new, "undecided")) == ([], [1])


def test_a_rejection_stands_whether_or_not_its_fields_could_be_kept(source: DataSource) -> None:
    old = make("update", source=source)
    decide(old, "rejected", 1)
    alter(old, 1, kept={"fields": ["gone"], "waives": [], "holds": False})
    new = make("update", source=source)
    alter(new, 1, before={"code": "K1"}, after={"code": "K2"})
    pulled(source, new)
    assert decided(new, "rejected") == [1]
