"""What becomes of rows that refer to a deleted one, by each `on_delete`: synced rows and rows only the target has."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import models

from data_sync.core.errors import InvalidTransition
from data_sync.core.states import Operation
from tests.environments import Environments

from .bringing import SIDES, bring, operations, pending, problems, rows
from .models import (
    LocalNothing,
    LocalProtect,
    LocalRestrict,
    LocalSetDefault,
    LocalSetNull,
    OnCascade,
    OnNothing,
    OnProtect,
    OnRestrict,
    OnSetDefault,
    OnSetNull,
    OnSetValue,
    Owner,
    nobody,
)

REQUIRED = (OnCascade, OnProtect, OnNothing)
NULLABLE = (OnSetNull, OnSetDefault, OnSetValue)


def owners(alias: str, *names: str) -> dict[str, Owner]:
    return {name: rows(Owner, alias).create(name=name) for name in names}


@pytest.mark.parametrize("model", REQUIRED + NULLABLE)
def test_rows_go_together_with_what_they_refer_to(environments: Environments, model: Any) -> None:
    owner = owners("default", "gone")["gone"]
    rows(model, "default").create(name="its", owner=owner)
    owners("source", "stays")
    owners("default", "stays")
    changeset = bring(environments)
    assert set(operations(changeset).values()) == {Operation.DELETE}
    assert not rows(model, "default").exists()


@pytest.mark.parametrize("model", REQUIRED + NULLABLE)
def test_rows_move_to_another_one_and_stay(environments: Environments, model: Any) -> None:
    rows(model, "default").create(name="its", owner=owners("default", "gone", "stays")["gone"])
    rows(model, "source").create(name="its", owner=owners("source", "stays")["stays"])
    kept = rows(model, "default").get().pk
    changeset = bring(environments)
    assert sorted(operations(changeset).values()) == [Operation.DELETE, Operation.UPDATE]
    assert rows(model, "default").get().pk == kept


@pytest.mark.parametrize("model", NULLABLE)
def test_rows_let_go_and_stay(environments: Environments, model: Any) -> None:
    rows(model, "default").create(name="its", owner=owners("default", "gone", "stays")["gone"])
    owners("source", "stays")
    rows(model, "source").create(name="its", owner=None)
    bring(environments)
    assert rows(model, "default").get().owner_id is None


@pytest.mark.parametrize("model", REQUIRED)
def test_the_delete_needs_the_row_to_move_first(environments: Environments, model: Any) -> None:
    rows(model, "default").create(name="its", owner=owners("default", "gone", "stays")["gone"])
    rows(model, "source").create(name="its", owner=owners("source", "stays")["stays"])
    changeset = pending(environments)
    moved, gone = changeset.changes.order_by("number")
    assert gone.requires == [moved.number]
    environments.accept(changeset, gone.number)
    with environments.untouched(), pytest.raises(InvalidTransition, match=r"(?s)\bgone\b.*\bits\b"):
        environments.approve(changeset)


def restricted(alias: str, owner: Owner) -> None:
    parent = rows(OnCascade, alias).create(name="parent", owner=owner)
    rows(OnRestrict, alias).create(name="child", parent=parent, owner=owner)


def test_what_is_restricted_goes_where_all_of_it_goes(environments: Environments) -> None:
    restricted("default", owners("default", "gone", "stays")["gone"])
    owners("source", "stays")
    bring(environments)
    assert not rows(OnCascade, "default").exists() and not rows(OnRestrict, "default").exists()


def test_what_is_restricted_goes_when_what_restricts_it_moves(environments: Environments) -> None:
    for alias in SIDES:
        restricted(alias, owners(alias, "owner")["owner"])
    other = rows(OnCascade, "source").create(name="other", owner=rows(Owner, "source").get())
    rows(OnRestrict, "source").update(parent=other)
    rows(OnCascade, "source").get(name="parent").delete()
    bring(environments)
    assert rows(OnRestrict, "default").get().parent.name == "other"


def local(model: Any, **values: Any) -> models.Model:
    """A row of a model that is not registered."""
    return rows(model, "default").create(**values)


@pytest.mark.parametrize("model", [LocalProtect, LocalNothing])
def test_a_local_row_that_must_stay_forbids_the_delete_before_approval(environments: Environments, model: Any) -> None:
    local(model, owner=owners("default", "gone", "stays")["gone"])
    owners("source", "stays")
    changeset = pending(environments)
    assert problems(changeset) == {("hard.owner", "gone"): ["protected"]}
    (problem,) = changeset.changes.get().problems
    assert model._meta.label_lower in problem["message"] and problem["field"] == "owner"


def test_a_local_row_that_restricts_forbids_the_delete_even_if_it_would_go_along(environments: Environments) -> None:
    """The parent has to go before its owner, and the local row goes only with the owner."""
    mine = owners("default", "gone", "stays")
    parent = rows(OnCascade, "default").create(name="parent", owner=mine["gone"])
    held = local(LocalRestrict, parent=parent, owner=mine["stays"])
    owners("source", "stays")
    assert problems(pending(environments))["hard.oncascade", "parent"] == ["protected"]
    LocalRestrict.objects.filter(pk=held.pk).update(owner=mine["gone"])
    assert problems(pending(environments))["hard.oncascade", "parent"] == ["protected"]
    held.delete()
    bring(environments)


def test_a_local_row_lets_go_and_the_review_shows_it(environments: Environments) -> None:
    one = local(LocalSetNull, owner=owners("default", "gone", "stays")["gone"])
    owners("source", "stays")
    changeset = bring(environments)
    (cascade,) = changeset.changes.get().cascades
    assert (cascade["model"], cascade["pk"], cascade["column"]) == ("hard.localsetnull", str(one.pk), "owner")
    assert rows(LocalSetNull, "default").get().owner_id is None


def test_a_local_row_gets_its_default_and_the_review_shows_it(environments: Environments) -> None:
    for alias in SIDES:
        rows(Owner, alias).create(pk=1, name="the first")
    gone = rows(Owner, "default").create(pk=77, name="gone")
    one = local(LocalSetDefault, owner=gone)
    changeset = bring(environments)
    (cascade,) = changeset.changes.get().cascades
    assert (cascade["model"], cascade["pk"], cascade["column"]) == ("hard.localsetdefault", str(one.pk), "owner")
    assert rows(LocalSetDefault, "default").get().owner_id == 1


def test_the_default_of_a_column_that_gets_another_value_forbids_nothing(
    environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row that it has by default is deleted too."""
    monkeypatch.setattr(LocalSetDefault._meta.get_field("owner").remote_field, "on_delete", models.SET(nobody))
    rows(Owner, "default").create(pk=1, name="the first")
    mine = {name: rows(Owner, "default").create(pk=pk, name=name) for pk, name in ((77, "gone"), (78, "nobody"))}
    owners("source", "nobody")
    local(LocalSetDefault, owner=mine["gone"])
    changeset = bring(environments)
    (cascade,) = changeset.changes.get(has_cascades=True).cascades
    assert (cascade["effect"], cascade["column"]) == ("set", "owner")
    assert rows(LocalSetDefault, "default").get().owner == mine["nobody"]


def test_a_default_that_is_not_there_forbids_the_delete_before_approval(environments: Environments) -> None:
    """The column's default is the primary key of a row that this database does not have."""
    rows(Owner, "default").create(pk=77, name="gone")
    rows(Owner, "default").create(pk=78, name="stays")
    local(LocalSetDefault, owner_id=77)
    rows(Owner, "source").create(pk=78, name="stays")
    assert problems(pending(environments)) == {("hard.owner", "gone"): ["protected"]}
