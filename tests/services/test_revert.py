"""Reverts: the inverse of what was applied, made, reviewed and applied like any other changeset."""

from __future__ import annotations

import sqlite3
from typing import Any
from unittest import mock

import pytest
from django.apps import apps
from django.db import connection

from data_sync.core.errors import DataSyncError, InvalidTransition
from data_sync.core.states import ChangesetState, Decision, PullState, RenameChoice
from data_sync.models import Change, Changeset, DataPull, KeptRow
from data_sync.orm import remains
from data_sync.services import pull, revert, review
from data_sync.services.kept_rows import kept_digest
from data_sync.services.seals import current_content_seal
from tests.environments import Environments, applied, decide
from tests.hard import models as hard
from tests.testapp.models import (
    Category,
    Comment,
    Copy,
    Country,
    Customer,
    Document,
    Folder,
    Language,
    Player,
    Product,
    Shelf,
    Tag,
    Team,
    Term,
    Visit,
    Vote,
)

pytestmark = pytest.mark.django_db(transaction=True)


def revert_pull(environments: Environments, changeset: Changeset, *numbers: int) -> DataPull:
    asked = revert.request_revert(changeset, numbers or None, environments.actor)
    return pull.run_pull(asked.pk)


def revert_of(environments: Environments, changeset: Changeset, *numbers: int) -> Changeset:
    done = revert_pull(environments, changeset, *numbers)
    assert done.state == PullState.DONE, done.error
    return Changeset.objects.get(pull=done)


def accept_all(environments: Environments, changeset: Changeset) -> None:
    """Conflicts too."""
    for change in changeset.changes.all():
        assert not change.has_problems, change.problems
    review.decide(
        changeset.pk,
        review.Selection(numbers=tuple(changeset.changes.values_list("number", flat=True))),
        Decision.ACCEPTED,
        environments.actor,
        revision=None,
        acknowledge=True,
    )


def reverted(environments: Environments, changeset: Changeset, *numbers: int) -> Changeset:
    """All steps of a revert."""
    made = environments.let_through(revert_of(environments, changeset, *numbers))
    accept_all(environments, made)
    done = applied(environments, made)
    changeset.refresh_from_db()
    return done


def tables(environments: Environments) -> Any:
    """All rows; of plain many-to-many tables the links, whose own keys nobody refers to."""
    links = {model._meta.db_table for model in apps.get_models(include_auto_created=True) if model._meta.auto_created}
    return {
        name: sorted(row[1:] for row in rows) if name in links else rows for name, rows in environments.tables().items()
    }


def test_each_operation_is_undone(environments: Environments) -> None:
    environments.add(Tag, name="stays")
    environments.add(Tag, name="new", only="source")
    environments.add(Tag, name="old", only="default")
    environments.add(Category, slug="one", title=("there", "here"))
    environments.add(Category, slug=("renamed", "before"), title="the same")
    before = tables(environments)
    changeset = environments.sync()
    assert {"create", "update", "delete", "rename"} == set(changeset.changes.values_list("operation", flat=True))
    made = reverted(environments, changeset)
    assert tables(environments) == before
    assert (changeset.state, made.kind, made.reverts, made.source) == ("reverted", "revert", changeset, None)
    assert changeset.reverted_at is not None
    assert set(changeset.changes.values_list("reverted_by", flat=True)) == {made.pk}
    assert changeset.events.get(action="reverted").detail == {"by": made.pk, "changes": 4}
    assert current_content_seal(made) == made.content_seal
    # Both sides last agreed on what was applied: all of it is now a change from here.
    again = environments.changeset()
    assert set(again.changes.filter(is_conflict=True).values_list("operation", flat=True)) == {"create", "update"}


def test_what_a_delete_took_along_comes_back(environments: Environments) -> None:
    tag = environments.add(Tag, name="t", only="default")[1]
    category = environments.add(Category, slug="c", only="default")[1]
    product = environments.add(Product, sku="p", name="P", category=category, only="default")[1]
    product.tags.add(tag)
    for number in range(3):
        comment = Comment.objects.create(product=product, text=f"n{number}")
        Vote.objects.create(comment=comment)
    Visit.objects.create(product=product)
    Shelf.objects.create().products.add(product)
    environments.add(Tag, name="else")
    before = tables(environments)
    changeset = environments.sync()
    assert not Comment.objects.exists() and not Product.objects.exists()
    made = revert_of(environments, changeset)
    product_change = made.changes.get(model="testapp.product")
    along = [(one["model"], one["effect"], one["column"]) for one in product_change.restores]
    assert along == [
        ("testapp.product", "create", ""),
        *[("testapp.comment", "create", "product")] * 3,
        ("testapp.visit", "set", "product"),
        ("testapp.shelf_products", "create", "product"),
        *[("testapp.vote", "create", "comment")] * 3,
    ]
    assert KeptRow.objects.filter(changeset=changeset, model="testapp.vote").count() == 3
    accept_all(environments, environments.let_through(made))
    applied(environments, made)
    assert tables(environments) == before


def test_cycles_and_rows_that_refer_to_themselves(environments: Environments) -> None:
    if connection.vendor != "mysql":  # Where a ring of required references cannot be deleted.
        folder = Folder(path="/", parent_id=77, pk=77)
        folder.save(force_insert=True)
        Folder.objects.create(path="/a", parent=folder)
    team = environments.add(Team, name="t", only="default")[1]
    team.captain = Player.objects.create(team=team, number=1)
    team.save()
    node = hard.Node.objects.create(slug="n")
    hard.Node.objects.create(slug="m", parent=node)
    environments.add(Tag, name="else")
    before = tables(environments)
    changeset = environments.sync("testapp.team", "testapp.folder", "hard.node", "testapp.tag")
    assert not Player.objects.exists() and not Folder.objects.exists()
    reverted(environments, changeset)
    assert tables(environments) == before


def test_rows_of_several_tables_and_other_primary_keys(environments: Environments) -> None:
    restaurant = hard.Restaurant.objects.create(slug="r", name="R", stars=2)
    hard.Pizzeria.objects.create(slug="p", name="P", stars=1, oven="wood", rival=restaurant)
    hard.Event.objects.create(title="E")
    hard.Car.objects.create(plate="c", wheels=4, doors=3)
    before = tables(environments)
    changeset = environments.sync()
    reverted(environments, changeset)
    assert tables(environments) == before


def test_a_taken_primary_key_is_replaced_wherever_it_is_referred_to(environments: Environments) -> None:
    product = environments.add(Product, sku="p", name="P", only="default")[1]
    comment = Comment.objects.create(product=product, text="c")
    Vote.objects.create(comment=comment)
    visit = Visit.objects.create(product=product)
    changeset = environments.sync()
    other = Product.objects.create(pk=product.pk, sku="other")
    Comment.objects.create(pk=comment.pk, product=other, text="other")
    reverted(environments, changeset)
    again = Product.objects.get(sku="p")
    assert again.pk != product.pk
    assert Vote.objects.get().comment.text == "c" and Vote.objects.get().comment.product == again
    visit.refresh_from_db()
    assert visit.product == again


def test_what_is_in_no_record_comes_back(environments: Environments) -> None:
    country = environments.add(Country, code="FR", only="default")[1]
    language = Language.objects.create(country=country, code="fr")
    Copy.objects.create(language=language, key="k", value="v", default="only here", thumbnail="")
    before = tables(environments)
    changeset = environments.sync()
    reverted(environments, changeset)
    assert tables(environments) == before


def test_later_edits_of_other_fields_stay_and_are_no_less_a_conflict(environments: Environments) -> None:
    _, row = environments.add(Product, sku="p", name=("there", "here"))
    changeset = environments.sync()
    category = Category.objects.create(slug="c")
    Product.objects.filter(pk=row.pk).update(category=category)
    made = revert_of(environments, changeset)
    change = made.changes.get()
    assert change.conflict["kind"] == "changed" and change.base["name"] == "there"
    assert [one["path"] for one in change.diff] == [["name"]]
    with pytest.raises(InvalidTransition):
        environments.accept(made, change.number)
    accept_all(environments, made)
    applied(environments, made)
    row.refresh_from_db()
    assert (row.name, row.category) == ("here", category)


def test_rows_that_are_gone_or_are_there_again_are_conflicts(environments: Environments) -> None:
    environments.add(Tag, name="new", only="source")
    environments.add(Category, slug="old", title="old", only="default")
    _, edited = environments.add(Product, sku="p", name=("there", "here"))
    changeset = environments.sync()
    Category.objects.create(slug="old", title="again")
    edited.delete()
    Tag.objects.all().delete()
    made = revert_of(environments, changeset)
    found = {change.model: (change.operation, change.conflict.get("kind")) for change in made.changes.all()}
    assert found == {"testapp.category": ("update", "changed"), "testapp.product": ("create", "removed")}
    accept_all(environments, made)
    applied(environments, made)
    changeset.refresh_from_db()
    assert changeset.state == "reverted"
    assert (Category.objects.get().title, Product.objects.get().name) == ("old", "here")


def test_parts_and_then_the_rest(environments: Environments) -> None:
    environments.add(Tag, name="a", only="source")
    environments.add(Tag, name="b", only="source")
    environments.add(Category, slug="c", only="default")
    before = tables(environments)
    changeset = environments.sync()
    first = changeset.changes.get(key_text="a").number
    made = reverted(environments, changeset, first)
    assert changeset.state == ChangesetState.APPLIED
    assert changeset.events.get(action="partly_reverted").detail == {"by": made.pk, "changes": 1}
    with pytest.raises(DataSyncError, match=f"reverted already: #{first}"):
        revert.request_revert(changeset, [first], environments.actor)
    rest = reverted(environments, changeset)
    assert rest.changes.count() == 2
    assert (tables(environments), changeset.state) == (before, "reverted")
    with pytest.raises(InvalidTransition, match="is reverted and cannot be reverted"):
        revert.request_revert(changeset, None, environments.actor)


def test_a_revert_is_reverted(environments: Environments) -> None:
    product = environments.add(Product, sku="p", name="P", only="default")[1]
    Comment.objects.create(product=product)
    environments.add(Tag, name="new", only="source")
    environments.add(Category, slug=("renamed", "before"), title="the same")
    changeset = environments.sync()
    after = tables(environments)
    made = reverted(environments, changeset)
    again = reverted(environments, made)
    assert (tables(environments), made.state, again.reverts) == (after, "reverted", made)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite is built with such a limit")
def test_more_changes_can_be_chosen_than_a_statement_takes_values(environments: Environments) -> None:
    Tag.objects.using("source").bulk_create(Tag(name=f"{number}") for number in range(900))
    changeset = environments.sync()
    connection.ensure_connection()
    known = connection.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 850)
    try:
        made = revert_of(environments, changeset, *range(1, 891))
        again = revert_of(environments, changeset, *range(1, 891))
    finally:
        connection.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, known)
    made.refresh_from_db()
    assert (made.deletes, again.deletes, made.state) == (890, 890, "superseded")


def test_where_nothing_differs_there_is_no_changeset(environments: Environments) -> None:
    environments.add(Tag, name="new", only="source")
    changeset = environments.sync()
    Tag.objects.all().delete()
    done = revert_pull(environments, changeset)
    assert (done.state, Changeset.objects.filter(pull=done).exists()) == ("done", False)


def renamed_library(environments: Environments) -> tuple[Changeset, Any]:
    """A library has got another name, and of its books some are new, gone and changed. Also gives what was before."""
    library = environments.add(hard.Library, name=("new", "old"), street="Main")
    environments.add(hard.Book, library=library, shelf=1, title="stays")
    environments.add(hard.Book, library=library, shelf=2, title=("theirs", "ours"))
    environments.add(hard.Book, library=library, shelf=3, title="added", only="source")
    gone = environments.add(hard.Book, library=library, shelf=4, title="gone", only="default")[1]
    hard.Bookmark.objects.create(code="b", book=gone)
    before = tables(environments)
    changeset = environments.sync("hard.library", "hard.book")
    assert list(changeset.changes.filter(operation="rename").values_list("model", flat=True)) == ["hard.library"]
    return changeset, before


@pytest.mark.parametrize("first", ["", "rename", "others"])
def test_renames_with_what_lies_below(environments: Environments, first: str) -> None:
    def books() -> Any:
        rows = hard.Book.objects.order_by("shelf").values_list("library__name", "shelf", "title")
        return list(rows), list(hard.Bookmark.objects.values_list())

    changeset, before = renamed_library(environments)
    renames = changeset.changes.filter(operation="rename").values_list("number", flat=True)
    others = changeset.changes.exclude(operation="rename").values_list("number", flat=True)
    if first == "rename":
        reverted(environments, changeset, *renames)
        assert books() == ([("old", 1, "stays"), ("old", 2, "theirs"), ("old", 3, "added")], [])
    elif first == "others":
        reverted(environments, changeset, *others)
        titles = ["stays", "ours", "gone"]
        assert [row[2] for row in books()[0]] == titles and {row[0] for row in books()[0]} == {"new"}
    reverted(environments, changeset)
    assert (tables(environments), changeset.state) == (before, "reverted")


def test_a_row_whose_former_key_is_another_rows_by_now_is_left_alone_and_named(environments: Environments) -> None:
    environments.add(Category, slug=("renamed", "before"), title="the same")
    changeset = environments.sync()
    other = Category.objects.create(slug="before", title="another")
    before = tables(environments)
    done = revert_pull(environments, changeset)
    assert not Changeset.objects.filter(pull=done).exists() and tables(environments) == before
    assert "another row's" in done.report["staying"][0]["difference"] and done.report["nothing"] == []
    other.delete()
    reverted(environments, changeset)
    assert (Category.objects.get().slug, changeset.state) == ("before", "reverted")


@pytest.mark.parametrize("rejected", ["", "create", "delete"])
def test_a_rename_that_replaced_its_row_is_undone_with_what_no_record_tells_of(
    environments: Environments, rejected: str
) -> None:
    language = environments.add(Language, country=environments.add(Country, code="FR"), code="fr")
    environments.add(Copy, language=language, key=("new", "old"), value="v", default=("there", "only here"))
    before = tables(environments)
    changeset = environments.let_through(environments.changeset())
    decide(environments, changeset.changes.get(), rename_choice=RenameChoice.REPLACE)
    changeset = applied(environments, changeset)
    made = environments.let_through(revert_of(environments, changeset))
    assert not made.changes.filter(is_conflict=True).exists()
    assert sorted(made.changes.values_list("operation", "undoes")) == [("create", 1), ("delete", 1)]
    accept_all(environments, made)
    if rejected:
        decide(environments, made.changes.get(operation=rejected), "rejected")
    applied(environments, made)
    changeset.refresh_from_db()
    assert (tables(environments) == before, changeset.state == "reverted") == (not rejected, not rejected)


def test_files_come_from_where_they_still_lie(environments: Environments) -> None:
    environments.put("a.txt", b"new", only="source")
    environments.put("a.txt", b"old", only="default")
    environments.put("b.txt", b"gone", only="default")
    environments.put("c.txt", b"lost", only="default")
    environments.add(Document, name="a", attachment="a.txt")
    environments.add(Document, name="b", attachment="b.txt", only="default")
    environments.add(Document, name="c", attachment="c.txt", only="default")
    changeset = environments.sync()
    (environments.media / "c.txt").unlink()
    made = environments.let_through(revert_of(environments, changeset))
    lost = made.changes.get(key_text="c")
    assert [one["code"] for one in lost.problems] == ["missing_file"]
    environments.accept_all(made)
    review.decide(made.pk, review.Selection(), Decision.ACCEPTED, environments.actor, revision=None)
    applied(environments, made)
    changeset.refresh_from_db()
    contents = {}
    for row in Document.objects.all():
        with row.attachment.open() as stored:
            contents[row.name] = stored.read()
    assert (contents, changeset.state) == ({"a": b"old", "b": b"gone"}, "applied")


def test_sensitive_rows_are_not_kept_and_refuse_the_revert(environments: Environments) -> None:
    owner = environments.add(hard.Owner, name="o", only="default")[1]
    environments.add(Tag, name="new", only="source")
    with mock.patch("data_sync.orm.remains.is_withheld", lambda model, names: model is hard.LocalSetNull):
        hard.LocalSetNull.objects.create(owner=owner)
        changeset = environments.sync()
    assert list(KeptRow.objects.filter(values=None).values_list("model", "digest")) == [("hard.localsetnull", "")]
    made = environments.let_through(revert_of(environments, changeset))
    problem = made.changes.get(model="hard.owner").problems[0]
    assert problem["code"] == "sensitive" and "hard.localsetnull" in problem["message"]


@pytest.mark.parametrize("forged", ["values", "effect", "all"])
def test_what_was_kept_is_what_was_shown(environments: Environments, forged: str) -> None:
    product = environments.add(Product, sku="p", name="P", only="default")[1]
    Comment.objects.create(product=product, text="c")
    changeset = environments.sync()
    made = environments.let_through(revert_of(environments, changeset))
    row = KeptRow.objects.get(model="testapp.comment")
    assert row.digest == kept_digest(bytes(changeset.leaf_key), row) != kept_digest(b"", row)
    if forged == "effect":
        row.effect = "unlink"
    else:
        row.values["text"] = "forged"
    if forged == "all":
        row.digest = kept_digest(bytes(changeset.leaf_key), row)
    row.save()
    accept_all(environments, made)
    done = environments.apply(environments.approve(made))
    assert done.state == "failed" and "altered" in done.state_reason
    assert not Product.objects.exists() and not Comment.objects.exists()


def test_rows_of_a_model_that_is_not_installed_any_more_are_named(environments: Environments) -> None:
    product = environments.add(Product, sku="p", name="P", only="default")[1]
    Comment.objects.create(product=product)
    changeset = environments.sync()
    KeptRow.objects.filter(model="testapp.comment").update(model="testapp.gone")
    problem = revert_of(environments, changeset).changes.get().problems[0]
    assert problem["code"] == "no_model" and "testapp.gone" in problem["message"]


def test_a_column_that_was_added_since_gets_its_default(environments: Environments) -> None:
    product = environments.add(Product, sku="p", name="P", only="default")[1]
    Comment.objects.create(product=product, text="c")
    known = remains.own_columns
    with mock.patch.object(remains, "own_columns", lambda model: [one for one in known(model) if one.name != "text"]):
        changeset = environments.sync()
    reverted(environments, changeset)
    assert Comment.objects.get().text == ""


def test_a_reference_to_what_another_change_took_is_not_lost(environments: Environments) -> None:
    """Nothing would know of it once the one change is undone."""
    seat = hard.Seat.objects.create(name="s", place=1)
    desk = hard.Desk.objects.create(name="d", sitter=environments.add(hard.Member, name="m")[1])
    hard.Sticker.objects.create(seat=seat, desk=desk)
    before = tables(environments)
    changeset = environments.sync("hard.seat", "hard.desk", "hard.member")
    one = changeset.changes.get(model="hard.seat").number
    made = environments.let_through(revert_of(environments, changeset, one))
    accept_all(environments, made)
    done = environments.apply(environments.approve(made))
    assert done.state == "failed" and "refers by desk to a row of hard.desk" in done.state_reason
    reverted(environments, changeset)
    assert tables(environments) == before


def test_redacted_values_come_back_unseen(environments: Environments) -> None:
    environments.add(Customer, name="a", city=("x", "y"), account=("new", "old"))
    environments.add(Customer, name="b", city="z", account="secret of b", only="default")
    before = tables(environments)
    changeset = environments.sync()
    made = revert_of(environments, changeset)
    assert not made.changes.filter(is_conflict=True).exists()
    accept_all(environments, environments.let_through(made))
    applied(environments, made)
    assert tables(environments) == before


def test_one_revert_at_a_time_and_a_later_one_takes_its_place(environments: Environments) -> None:
    environments.add(Tag, name="a", only="source")
    environments.add(Tag, name="b", only="source")
    changeset = environments.sync()
    asked = revert.request_revert(changeset, None, environments.actor)
    with pytest.raises(InvalidTransition, match=f"Pull {asked.pk}"):
        revert.request_revert(changeset, None, environments.actor)
    first = Changeset.objects.get(pull=pull.run_pull(asked.pk))
    part = revert_of(environments, changeset, 1)
    first.refresh_from_db()
    assert first.state in ("pending", "blocked")
    environments.accept(environments.let_through(part), 1)
    second = revert_of(environments, changeset)
    for one in (first, part):
        one.refresh_from_db()
        assert one.state == "superseded"
    assert second.changes.filter(decision="accepted").count() == 1
    environments.add(Tag, name="c", only="source")
    environments.pull()
    second.refresh_from_db()
    assert second.state in ("pending", "blocked")


def test_a_model_that_is_another_by_now_is_refused_by_name(environments: Environments) -> None:
    environments.add(Tag, name="a", only="source")
    changeset = environments.sync()
    change = changeset.changes.get()
    Change.objects.filter(pk=change.pk).update(after=change.after | {"colour": "red"})
    done = revert_pull(environments, changeset)
    assert done.state == "failed" and "testapp.tag has got other fields" in done.error and "colour" in done.error


def test_rows_registered_to_stay_are_left_alone(environments: Environments) -> None:
    environments.add(Term, word="w", only="source")
    environments.add(Tag, name="a", only="source")
    changeset = environments.sync()
    reverted(environments, changeset)
    assert Term.objects.exists() and not Tag.objects.exists()
    assert changeset.state == "applied"


def test_rows_that_were_renamed_since_are_left_alone_and_named(environments: Environments) -> None:
    there, _ = environments.add(Category, slug="first", title="The same", only="source")
    changeset = environments.sync()
    there.slug = "second"
    there.save()
    renaming = environments.sync()
    assert renaming.changes.get().operation == "rename"
    done = revert_pull(environments, changeset)
    assert done.state == "done" and not Changeset.objects.filter(pull=done).exists()
    assert "was renamed since" in done.report["staying"][0]["difference"] and done.report["nothing"] == []
    reverted(environments, renaming)
    row = Category.objects.get()
    row.delete()
    done = revert_pull(environments, changeset)
    assert (done.report["staying"], done.report["nothing"]) == ([], [1])
    row.save()
    reverted(environments, changeset)
    assert not Category.objects.exists() and changeset.state == "reverted"
