"""A row that only its key tells from a deleted one is offered as that row, and those below it follow."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from data_sync.core.errors import InvalidTransition
from data_sync.core.states import ChangesetState, Decision, RenameChoice
from data_sync.models import Change, Changeset
from data_sync.services import pull, review
from tests.environments import Environments
from tests.registering import registered
from tests.testapp.models import Category, Comment, Detail, Everything, Page, Product, Tag


def found(changeset: Changeset) -> list[tuple[str, str, str]]:
    return [
        (change.model.removeprefix("testapp."), change.key_text, change.operation)
        for change in changeset.changes.order_by("number")
    ]


def lamp(environments: Environments, **values: Any) -> tuple[Any, Any]:
    return environments.add(Product, sku=("light", "lamp"), name="Lamp", **values)


def test_a_delete_and_a_create_that_differ_in_the_key_alone_are_one_rename(environments: Environments) -> None:
    lamp(environments)
    changeset = environments.changeset()
    (change,) = changeset.changes.all()
    assert (change.operation, change.key, change.previous_key) == ("rename", ["light"], ["lamp"])
    assert (changeset.renames, changeset.creates, changeset.deletes) == (1, 0, 0)
    assert [row["path"] for row in change.diff] == [["sku"]]


def test_a_renamed_row_keeps_its_primary_key_and_what_refers_to_it(environments: Environments) -> None:
    _, here = lamp(environments)
    comment = Comment.objects.create(product=here, text="local")
    environments.sync()
    comment.refresh_from_db()
    assert (comment.product_id, comment.product.sku) == (here.pk, "light")
    environments.assert_equal()
    assert environments.pull().compared and Changeset.objects.count() == 1


def test_a_rename_rejected_leaves_the_row_as_it_is(environments: Environments) -> None:
    lamp(environments)
    environments.add(Tag, name="new", only="source")
    changeset = environments.changeset()
    environments.accept(changeset, changeset.changes.get(model="testapp.tag").number)
    environments.apply(environments.approve(changeset))
    assert Product.objects.get().sku == "lamp"


def test_the_reviewer_may_have_the_row_deleted_and_made_anew(environments: Environments) -> None:
    _, here = lamp(environments)
    changeset = environments.changeset()
    replace(environments, changeset, changeset.changes.get())
    applied = environments.apply(environments.approve(changeset))
    assert applied.state == ChangesetState.APPLIED, applied.state_reason
    assert Product.objects.get().pk != here.pk
    environments.assert_equal()


def test_a_replacement_that_would_take_rows_along_says_so(environments: Environments) -> None:
    _, here = lamp(environments)
    Comment.objects.create(product=here, text="local")
    (change,) = environments.changeset().changes.all()
    assert [(row["model"], row["effect"]) for row in change.cascades] == [("testapp.comment", "delete")]


def test_a_row_that_others_refer_to_cannot_be_replaced(environments: Environments) -> None:
    """They would go along, and nothing would bring them back."""
    _, here = lamp(environments)
    Comment.objects.create(product=here, text="local")
    changeset = environments.changeset()
    with pytest.raises(InvalidTransition, match=r"testapp\.product.*refer to the row"):
        replace(environments, changeset, changeset.changes.get())
    assert changeset.changes.get().decision == Decision.UNDECIDED


def test_a_row_whose_children_were_compared_under_its_new_key_cannot_be_replaced(tree: Environments) -> None:
    changeset = tree.changeset()
    with pytest.raises(InvalidTransition, match=r"testapp\.category"):
        replace(tree, changeset, changeset.changes.get(operation="rename"))


def test_a_replacement_is_not_approved_where_others_refer_to_the_row_since_it_was_chosen(
    environments: Environments,
) -> None:
    lamps = lamp(environments)
    changeset = environments.changeset()
    replace(environments, changeset, changeset.changes.get())
    environments.add(Detail, product=lamps, text="new", only="source")
    again = environments.changeset()
    assert again.changes.get(operation="rename").rename_choice == RenameChoice.REPLACE
    environments.accept(again, *again.changes.values_list("number", flat=True))
    with pytest.raises(InvalidTransition, match=r"testapp\.product.*refer to the row"):
        environments.approve(again)


def replace(environments: Environments, changeset: Changeset, change: Change) -> None:
    review.decide(
        changeset.pk,
        review.Selection(numbers=(change.number,)),
        Decision.ACCEPTED,
        environments.actor,
        revision=None,
        rename_choice=RenameChoice.REPLACE,
    )


def test_two_candidates_are_no_rename(environments: Environments) -> None:
    environments.add(Product, sku=("a", "b"), name="Lamp")
    environments.add(Product, sku=("c", "d"), name="Lamp")
    assert {operation for _, _, operation in found(environments.changeset())} == {"create", "delete"}


def test_a_row_that_differs_in_more_is_no_rename(environments: Environments) -> None:
    environments.add(Product, sku=("light", "lamp"), name=("Light", "Lamp"))
    assert [operation for *_, operation in found(environments.changeset())] == ["create", "delete"]


def test_a_row_that_is_nothing_but_its_key_is_no_rename(environments: Environments) -> None:
    environments.add(Tag, name=("new", "old"))
    environments.add(Tag, name="other")
    assert [operation for *_, operation in found(environments.changeset())] == ["create", "delete"]


def test_rows_that_are_alike_in_defaults_alone_are_no_rename(environments: Environments) -> None:
    environments.add(Category, slug=("hats", "shoes"))
    environments.add(Category, slug="other")
    assert [operation for *_, operation in found(environments.changeset())] == ["create", "delete"]


@pytest.mark.parametrize(
    ("name", "default", "value"),
    [
        ("amount", 1, Decimal(1)),
        ("amount", 1.5, Decimal("1.5")),
        ("amount", "1.5", Decimal("1.5")),
        ("moment", "2026-01-31T00:00:00Z", datetime(2026, 1, 31, tzinfo=UTC)),
        ("date", "2026-01-31", date(2026, 1, 31)),
        ("duration", "00:00:05", timedelta(seconds=5)),
        ("number", "0.5", 0.5),
        ("json", {"a": 1}, {"a": 1}),
    ],
)
def test_defaults_may_be_written_in_any_form_that_the_field_knows(
    environments: Environments, monkeypatch: pytest.MonkeyPatch, name: str, default: Any, value: Any
) -> None:
    for alias, key in (("source", "new"), ("default", "old")):
        Everything.objects.using(alias).create(name=key, **{name: value})
        Everything.objects.using(alias).create(name="other")
    monkeypatch.setattr(Everything._meta.get_field(name), "default", default)
    assert [operation for *_, operation in found(environments.changeset())] == ["create", "delete"]


def test_a_default_that_its_field_does_not_know_makes_no_pull_fail(
    environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    for alias, key in (("source", "new"), ("default", "old")):
        Everything.objects.using(alias).create(name=key, duration=timedelta(1))
        Everything.objects.using(alias).create(name="other")
    monkeypatch.setattr(Everything._meta.get_field("duration"), "default", 0)
    assert [operation for *_, operation in found(environments.changeset())] == ["rename"]


def test_a_row_renamed_here_is_not_renamed_back_but_is_a_conflict(environments: Environments) -> None:
    environments.add(Product, sku="lamp", name="Lamp")
    environments.pull()
    Product.objects.update(sku="light")
    changeset = environments.changeset()
    assert found(changeset) == [("product", "lamp", "create"), ("product", "light", "delete")]
    assert changeset.changes.get(key_text="lamp").conflict["kind"] == "removed"


def test_a_row_that_left_the_scope_is_not_renamed(environments: Environments) -> None:
    environments.add(Page, slug="a", title="Title")
    environments.add(Page, slug="stays", title="Other")
    environments.pull()
    Page.objects.using("source").filter(slug="a").update(published=False)
    environments.add(Page, slug="b", title="Title", only="source")
    changeset = environments.changeset()
    assert found(changeset) == [("page", "b", "create"), ("page", "a", "delete")]
    assert changeset.changes.get(key_text="a").left_scope


def test_a_row_that_left_the_scope_of_the_source_alone_is_not_renamed(environments: Environments) -> None:
    environments.add(Page, slug="a", title="Title")
    environments.add(Page, slug="stays", title="Other")
    Page.objects.using("source").filter(slug="a").update(published=False)
    environments.add(Page, slug="b", title="Title", only="source")
    with registered(Page, queryset=None):
        assert found(environments.changeset()) == [("page", "b", "create"), ("page", "a", "delete")]


def test_rows_below_a_renamed_row_of_their_own_model_follow(environments: Environments) -> None:
    root = environments.add(Category, slug=("top", "root"), title="Root")
    inner = environments.add(Category, slug="inner", title="Inner", parent=root)
    environments.add(Category, slug="leaf", title="Leaf", parent=inner)
    assert found(environments.changeset()) == [("category", "top", "rename")]


def test_a_renamed_row_below_a_renamed_row_is_renamed_too(environments: Environments) -> None:
    root = environments.add(Category, slug=("top", "root"), title="Root")
    environments.add(Category, slug=("within", "inner"), title="Inner", parent=root)
    assert {operation for *_, operation in found(environments.changeset())} == {"rename"}
    environments.sync()
    environments.assert_equal()


def test_renames_are_left_alone_where_nobody_asks_for_them(environments: Environments) -> None:
    lamp(environments)
    environments.add(Product, sku="other", name="Other")
    requested = pull.request_pull(environments.source, [], environments.actor, find_renames=False)
    changeset = Changeset.objects.get(pull=pull.run_pull(requested.pk))
    assert [operation for *_, operation in found(changeset)] == ["create", "delete"]


# What refers to a renamed row


@pytest.fixture
def tree(environments: Environments) -> Environments:
    """A category that is renamed at the source, with one below it and a product in it."""
    parent = environments.add(Category, slug=("furniture", "chairs"), title="Furniture")
    environments.add(Category, slug="sofas", title="Sofas", parent=parent)
    environments.add(Product, sku="sofa", name=("New sofa", "Sofa"), category=parent)
    environments.add(Product, sku="stool", name="Stool", category=parent)
    return environments


def test_what_refers_to_a_renamed_row_is_compared_with_its_new_key(tree: Environments) -> None:
    changeset = tree.changeset()
    operations = {(model, key): operation for model, key, operation in found(changeset)}
    assert operations[("product", "sofa")] == "update"
    assert ("product", "stool") not in operations
    sofa = changeset.changes.get(key_text="sofa")
    assert [row["path"] for row in sofa.diff] == [["name"]]
    assert sofa.requires == [changeset.changes.get(operation="rename").number]
    assert sofa.is_conflict is False


def test_what_refers_to_a_renamed_row_is_applied_with_it(tree: Environments) -> None:
    pks = dict(Product.objects.values_list("sku", "pk"))
    tree.sync()
    assert dict(Product.objects.values_list("sku", "pk")) == pks
    tree.assert_equal()
    assert tree.pull().report["models"] and Changeset.objects.count() == 1


def test_a_key_that_has_the_renamed_key_in_it_follows(environments: Environments) -> None:
    from tests.testapp.models import Player, Team

    team = environments.add(Team, name=("Blues", "Reds"))
    environments.add(Player, team=team, number=7)
    captain = environments.add(Player, team=team, number=9)
    for alias, row in zip(("source", "default"), captain, strict=True):
        Team.objects.using(alias).update(captain=row)
    changeset = environments.changeset()
    # The captain is a player of the team itself: the team differs in more than its key.
    assert Change.objects.filter(changeset=changeset).exists()
    applied = environments.apply(environments.approve(_all(environments, changeset)))
    assert applied.state == ChangesetState.APPLIED, applied.state_reason
    environments.assert_equal()


def _all(environments: Environments, changeset: Changeset) -> Changeset:
    environments.accept_all(changeset)
    return changeset
