"""A row whose key alone is new keeps its primary key, and what refers to it; a reviewer may have it replaced."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType

from data_sync.core.errors import InvalidTransition
from data_sync.core.states import Decision, Operation, RenameChoice
from data_sync.models import Changeset
from data_sync.services import pull, review
from tests.environments import Environments

from .bringing import applied, bring, operations, pending, rows
from .models import (
    Amount,
    Book,
    Bookmark,
    Ingredient,
    Library,
    Mark,
    Node,
    Pizzeria,
    Place,
    Profile,
    Recipe,
    Unit,
    Visit,
    Word,
)
from .models import Member as Person

NAMES = (("source", "new name"), ("default", "old name"))


def libraries(titles: tuple[str, ...] = ("one", "two", "three")) -> None:
    """The same library with the same books, under another name at the source; and one that keeps its."""
    for alias, name in NAMES:
        library = rows(Library, alias).create(name=name, street="High Street")
        for shelf, title in enumerate(titles):
            rows(Book, alias).create(library=library, shelf=shelf, title=title)
        other = rows(Library, alias).create(name="other")
        rows(Book, alias).create(library=other, shelf=1, title="elsewhere")


def test_a_renamed_row_keeps_its_primary_key_and_what_refers_to_it(environments: Environments) -> None:
    libraries()
    renamed = rows(Library, "default").get(name="old name").pk
    books = set(rows(Book, "default").values_list("pk", "library_id", "shelf"))
    visit = rows(Visit, "default").create(library_id=renamed).pk
    changeset = bring(environments)
    assert operations(changeset) == {("hard.library", "new name"): Operation.RENAME}
    assert rows(Library, "default").get(name="new name").pk == renamed
    assert set(rows(Book, "default").values_list("pk", "library_id", "shelf")) == books
    assert rows(Visit, "default").get().pk == visit


def test_children_that_change_as_well_are_updates_that_need_the_rename(environments: Environments) -> None:
    libraries()
    theirs = rows(Book, "source").filter(library__name="new name")
    theirs.filter(shelf=1).update(title="edited")
    theirs.get(shelf=2).delete()
    rows(Book, "source").create(library=rows(Library, "source").get(name="new name"), shelf=3, title="added")
    kept = rows(Book, "default").get(library__name="old name", shelf=1).pk
    changeset = pending(environments)
    rename = changeset.changes.get(operation=Operation.RENAME.value)
    assert rename.model == "hard.library"
    kinds = {change.operation: change.requires for change in changeset.changes.filter(model="hard.book")}
    assert kinds == {
        Operation.UPDATE: [rename.number],
        Operation.CREATE: [rename.number],
        Operation.DELETE: kinds[Operation.DELETE],
    }
    bring(environments)
    assert rows(Book, "default").get(title="edited").pk == kept


def test_a_child_is_renamed_below_a_renamed_parent(environments: Environments) -> None:
    libraries(("one", "two"))
    rows(Book, "source").filter(library__name="new name", title="two").update(shelf=9)
    kept = rows(Book, "default").get(title="two").pk
    changeset = bring(environments)
    assert operations(changeset) == {
        ("hard.library", "new name"): Operation.RENAME,
        ("hard.book", "new name · 9"): Operation.RENAME,
    }
    moved = rows(Book, "default").get(title="two")
    assert (moved.pk, moved.shelf) == (kept, 9)


def test_an_inner_row_of_a_tree_is_renamed(environments: Environments) -> None:
    for alias, name in NAMES:
        root = rows(Node, alias).create(slug="root")
        inner = rows(Node, alias).create(slug=name, parent=root, title="inner")
        for number in range(3):
            rows(Node, alias).create(slug=f"leaf{number}", parent=inner)
    changeset = bring(environments)
    assert operations(changeset) == {("hard.node", "new name"): Operation.RENAME}


def test_a_renamed_row_that_is_a_target_of_every_kind(environments: Environments) -> None:
    """Generic, many-to-many to itself, a primary key that is a reference, through rows."""
    for alias, name in NAMES:
        kind = ContentType.objects.using(alias).get(app_label="hard", model="node")
        node = rows(Node, alias).create(slug=name, title="n")
        rows(Mark, alias).create(code="m", kind_id=kind.pk, row=node.pk)
        friend = rows(Person, alias).create(name="friend")
        person = rows(Person, alias).create(name=name)
        person.friends.add(friend)
        rows(Profile, alias).create(member=person, text="t")
        recipe = rows(Recipe, alias).create(name="bread")
        rows(Amount, alias).create(recipe=recipe, ingredient=rows(Ingredient, alias).create(name=name), grams=5)
    bring(environments)


def test_a_row_that_others_refer_to_by_another_column_is_renamed(environments: Environments) -> None:
    for alias, name in NAMES:
        rows(Unit, alias).create(name=name, symbol="x")
    kept = rows(Unit, "default").get().pk
    changeset = bring(environments)
    assert list(operations(changeset).values()) == [Operation.RENAME]
    assert rows(Unit, "default").get().pk == kept


def test_two_rows_that_could_be_the_renamed_one_are_not_guessed_at(environments: Environments) -> None:
    for alias, names in (("source", ["c"]), ("default", ["a", "b"])):
        for name in names:
            rows(Library, alias).create(name=name, street="High Street")
    changeset = bring(environments)
    assert Operation.RENAME not in operations(changeset).values()


def test_two_rows_exchange_their_keys(environments: Environments) -> None:
    """Each key is on both sides, so these are updates: nothing tells a rename from an edit."""
    for alias, meanings in (("source", "xy"), ("default", "yx")):
        for text, meaning in zip("ab", meanings, strict=True):
            rows(Word, alias).create(text=text, meaning=meaning)
    changeset = bring(environments)
    assert list(operations(changeset).values()) == [Operation.UPDATE] * 2


def test_a_chain_of_renames_each_to_the_next_one_s_old_key(environments: Environments) -> None:
    for alias, texts in (("source", "bcd"), ("default", "abc")):
        for text, meaning in zip(texts, "xyz", strict=True):
            rows(Word, alias).create(text=text, meaning=meaning)
    bring(environments)
    assert dict(rows(Word, "default").values_list("text", "meaning")) == {"b": "x", "c": "y", "d": "z"}


def test_a_renamed_row_of_three_tables(environments: Environments) -> None:
    for alias, name in NAMES:
        rows(Pizzeria, alias).create(slug=name.replace(" ", "-"), name="R", stars=1, oven="wood")
    kept = rows(Place, "default").get().pk
    changeset = bring(environments)
    assert operations(changeset) == {("hard.place", "new-name"): Operation.RENAME}
    assert rows(Pizzeria, "default").get().pk == kept


def everything(environments: Environments, changeset: Changeset, **options: Any) -> Changeset:
    selection = review.Selection(numbers=tuple(changeset.changes.values_list("number", flat=True)))
    review.decide(changeset.pk, selection, Decision.ACCEPTED, environments.actor, revision=None, **options)
    return environments.apply(environments.approve(changeset))


def test_a_rename_that_others_refer_to_cannot_be_replaced(environments: Environments) -> None:
    """Its books are on both sides, and would go with it."""
    libraries()
    changeset = pending(environments)
    with environments.untouched(), pytest.raises(InvalidTransition, match="refer to the row"):
        everything(environments, changeset, rename_choice=RenameChoice.REPLACE)


def test_the_choice_to_replace_a_row_does_not_outlive_that_another_refers_to_it(environments: Environments) -> None:
    """That one moves away, but only once the row would have been replaced."""
    for alias, shelf in (("source", 2), ("default", 1)):
        library = rows(Library, alias).create(name="l")
        rows(Book, alias).create(library=library, shelf=shelf, title="one")
    changeset = pending(environments)
    rename = review.Selection(numbers=(1,))
    options = {"revision": None, "rename_choice": RenameChoice.REPLACE}
    review.decide(changeset.pk, rename, Decision.ACCEPTED, environments.actor, **options)
    rows(Bookmark, "source").create(code="b", book=None)
    rows(Bookmark, "default").create(code="b", book=rows(Book, "default").get())
    change = pending(environments).changes.get(operation=Operation.RENAME.value)
    assert (change.decision, change.rename_choice) == (Decision.UNDECIDED, RenameChoice.RENAME)
    assert [cascade["model"] for cascade in change.cascades] == ["hard.bookmark"]


def test_no_renames_are_looked_for_where_nobody_wants_them(environments: Environments) -> None:
    libraries()
    asked = pull.request_pull(environments.source, [], environments.actor, find_renames=False)
    changeset = Changeset.objects.get(pull=pull.run_pull(asked.pk))
    assert Operation.RENAME not in operations(changeset).values()
    applied(environments, changeset)
    environments.assert_equal()
