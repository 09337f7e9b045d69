"""Rows below a renamed one have new keys by that, and are no changes of their own: what looks for them has to know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType

from data_sync.core.errors import InvalidTransition
from data_sync.core.states import ChangesetState, Operation
from data_sync.models import Change, Changeset
from tests.environments import Environments

from .bringing import SIDES, applied, bring, operations, pending, problems, rows
from .models import (
    Book,
    Bookmark,
    Choir,
    Library,
    Loan,
    Mark,
    Node,
    Passage,
    Plaque,
    Remark,
    Sheet,
    Singer,
    Visit,
    Word,
)

NAMES = (("source", "new"), ("default", "old"))


def library(alias: str, name: str, *titles: str) -> tuple[Any, list[Any]]:
    """A library, with a book on each of its shelves, from 1."""
    row = rows(Library, alias).create(name=name, street="High Street")
    books = [rows(Book, alias).create(library=row, shelf=n, title=title) for n, title in enumerate(titles, 1)]
    return row, books


def kind_of(alias: str, model: str) -> int:
    kind: int = ContentType.objects.using(alias).get(app_label="hard", model=model).pk
    return kind


def agreed(environments: Environments) -> None:
    """Pulls two equal sides, so that what they have is agreed on."""
    assert not Changeset.objects.filter(pull=environments.pull()).exists()


def rename(changeset: Changeset, label: str = "hard.library") -> Change:
    return changeset.changes.get(model=label, operation=Operation.RENAME.value)


# References to them


def a_new_row(alias: str, book: Any) -> None:
    if alias == "source":
        rows(Loan, alias).create(code="loan", book=book)


def an_update(alias: str, book: Any) -> None:
    rows(Loan, alias).create(code="loan", book=book if alias == "source" else None)


def a_link(alias: str, book: Any) -> None:
    loan = rows(Loan, alias).create(code="loan")
    if alias == "source":
        loan.others.add(book)


def a_generic_one(alias: str, book: Any) -> None:
    about = {"content_type_id": kind_of(alias, "book"), "object_id": str(book.pk)} if alias == "source" else {}
    rows(Remark, alias).create(code="remark", **about)


def the_only_one(alias: str, book: Any) -> None:
    rows(Bookmark, alias).create(code=f"of {alias}", book=book)


@pytest.mark.parametrize("refer", [a_new_row, an_update, a_link, a_generic_one, the_only_one])
def test_a_reference_to_a_row_below_a_renamed_one_needs_the_rename(
    environments: Environments, refer: Callable[[str, Any], None]
) -> None:
    for alias, name in NAMES:
        _, [book] = library(alias, name, "one")
        refer(alias, book)
    changeset = pending(environments)
    assert ("hard.book", "new · 1") not in operations(changeset)
    referring = changeset.changes.exclude(model="hard.library").exclude(operation=Operation.DELETE.value).get()
    assert rename(changeset).number in referring.requires
    bring(environments)


def test_a_reference_to_a_row_that_changes_below_a_renamed_one_needs_the_rename_alone(
    environments: Environments,
) -> None:
    for alias, name in NAMES:
        _, [book] = library(alias, name, f"{name} title")
        a_new_row(alias, book)
    changeset = pending(environments)
    loan = changeset.changes.get(model="hard.loan")
    assert loan.requires == [rename(changeset).number]
    with environments.untouched(), pytest.raises(InvalidTransition, match="requires"):
        environments.accept(changeset, loan.number)
        environments.approve(changeset)
    environments.accept(changeset, loan.number, rename(changeset).number)
    done = environments.apply(environments.approve(changeset))
    assert done.state == ChangesetState.APPLIED, done.state_reason
    assert rows(Loan, "default").get().book.title == "old title"
    bring(environments)


def test_a_reference_to_what_is_nowhere_below_a_renamed_row_is_missing(environments: Environments) -> None:
    for alias, name in NAMES:
        library(alias, name, "one", *(["two"] if alias == "source" else []))
    a_new_row("source", rows(Book, "source").get(shelf=2))
    changeset = environments.changeset("hard.library", "hard.loan")
    assert problems(changeset) == {("hard.loan", "loan"): ["missing_reference"]}


# Unique values that they are part of


def test_the_delete_that_frees_a_value_is_required(environments: Environments) -> None:
    for alias, name in NAMES:
        row, [book] = library(alias, name, "one")
        the_only_one(alias, book)
        rows(Mark, alias).create(code=f"of {alias}", kind_id=kind_of(alias, "library"), row=row.pk)
    changeset = pending(environments)
    deletes = {change.model: change.number for change in changeset.changes.filter(operation=Operation.DELETE.value)}
    creates = changeset.changes.filter(operation=Operation.CREATE.value)
    assert {change.model: change.requires for change in creates} == {
        label: [rename(changeset).number, number] for label, number in deletes.items()
    }
    assert len(deletes) == 2
    bring(environments)


def test_rows_exchange_what_is_below_a_renamed_one(environments: Environments) -> None:
    for (alias, name), codes in zip(NAMES, ("abc", "bca"), strict=True):
        _, books = library(alias, name, "one", "two", "three")
        for code, book in zip(codes, books, strict=True):
            rows(Bookmark, alias).create(code=code, book=book)
    changeset = pending(environments)
    marks = {change.key_text: change for change in changeset.changes.filter(model="hard.bookmark")}
    assert marks["a"].requires == [rename(changeset).number, marks["b"].number]
    bring(environments)


# The renamed rows themselves


def test_three_levels_are_renamed_at_once(environments: Environments) -> None:
    """What they refer to is renamed, and not changed; so none of it is shown as a difference."""
    for alias, name in NAMES:
        row, [book] = library(alias, name, "one")
        rows(Book, alias).filter(pk=book.pk).update(shelf=len(name) + (alias == "source"))
        text = {"book": book, "text": "first"}
        first = rows(Passage, alias).create(number=1 + (alias == "source"), **text)
        second = rows(Passage, alias).create(book=book, number=7, text="second", follows=first)
        first.alike.set([second])
        second.alike.set([first])
        rows(Visit, alias).create(library=row)
    kept = [set(rows(model, "default").values_list("pk", flat=True)) for model in (Library, Book, Passage, Visit)]
    changeset = pending(environments)
    assert operations(changeset) == {
        ("hard.library", "new"): Operation.RENAME,
        ("hard.book", "new · 4"): Operation.RENAME,
        ("hard.passage", "new · 4 · 2"): Operation.RENAME,
    }
    changes = {change.model: change for change in changeset.changes.all()}
    assert [row["path"] for row in changes["hard.book"].diff] == [["shelf"]]
    assert [row["path"] for row in changes["hard.passage"].diff] == [["number"]]
    assert changes["hard.passage"].previous_key == ["old", 3, 1]
    assert changes["hard.passage"].before["book"] == ["new", 4]
    assert changes["hard.passage"].requires == [changes["hard.book"].number]
    assert changes["hard.book"].requires == [changes["hard.library"].number]
    bring(environments)
    assert kept == [
        set(rows(model, "default").values_list("pk", flat=True)) for model in (Library, Book, Passage, Visit)
    ]


def test_a_rename_that_another_one_explains_is_none(environments: Environments) -> None:
    """The choir is known to be the same by its soloist, whose key is made of the choir's."""
    for alias, name in NAMES:
        choir = rows(Choir, alias).create(name=name, motto="m")
        choir.soloist = rows(Singer, alias).create(choir=choir, name="s", voice="alto")
        choir.save()
        rows(Singer, alias).create(choir=choir, name="t", voice=f"{name} tenor")
    kept = set(rows(Singer, "default").values_list("pk", flat=True))
    changeset = pending(environments)
    assert operations(changeset) == {
        ("hard.choir", "new"): Operation.RENAME,
        ("hard.singer", "new · t"): Operation.UPDATE,
    }
    assert rename(changeset, "hard.choir").requires == []
    bring(environments)
    assert set(rows(Singer, "default").values_list("pk", flat=True)) == kept


def test_a_renamed_row_that_was_edited_since_is_stale(environments: Environments) -> None:
    for alias, name in NAMES:
        _, [book] = library(alias, name, "one")
        if alias == "source":
            rows(Book, alias).filter(pk=book.pk).update(shelf=2)
    changeset = pending(environments)
    environments.accept_all(changeset)
    environments.approve(changeset)
    rows(Book, "default").update(title="edited")
    with environments.untouched():
        done = environments.apply(changeset)
    assert done.state == ChangesetState.STALE
    assert changeset.changes.get(model="hard.book").outcome_reason.endswith("since the pull: title. Pull again.")


# Rows that are not here, or out of scope


def test_a_row_deleted_here_below_one_renamed_there_is_a_conflict(environments: Environments) -> None:
    for alias in SIDES:
        library(alias, "old", "one", "two")
        library(alias, "kept", "one", "two")
    agreed(environments)
    rows(Library, "source").filter(name="old").update(name="new")
    rows(Book, "default").get(library__name="old", shelf=2).delete()
    for _ in range(2):  # What was agreed on is known as long as the rename has not been applied.
        changeset = pending(environments)
        assert operations(changeset)[("hard.book", "new · 2")] == Operation.CREATE
        book = changeset.changes.get(model="hard.book")
        assert book.conflict["kind"] == "removed"
        assert book.base_digest


def test_who_edited_a_row_below_one_renamed_there_is_named_at_each_pull(environments: Environments) -> None:
    for alias in SIDES:
        library(alias, "old", "one")
    agreed(environments)
    rows(Library, "source").update(name="new")
    rows(Book, "source").update(title="theirs")
    rows(Book, "default").update(title="ours")
    user = get_user_model().objects.create(username="ada")
    kind = kind_of("default", "book")
    pk = str(rows(Book, "default").get().pk)
    LogEntry.objects.create(user=user, content_type_id=kind, object_id=pk, action_flag=CHANGE, change_message="")
    for _ in range(2):
        conflict = pending(environments).changes.get(model="hard.book").conflict
        assert (conflict["kind"], conflict["by"]) == ("changed", "ada")


def test_a_row_deleted_here_is_not_what_another_is_renamed_to(environments: Environments) -> None:
    for alias in SIDES:
        library(alias, "old", "one", "two")
    agreed(environments)
    rows(Library, "source").update(name="new")
    rows(Book, "default").get(shelf=2).delete()
    rows(Book, "default").create(library=rows(Library, "default").get(), shelf=5, title="two")
    changeset = pending(environments)
    assert operations(changeset) == {
        ("hard.library", "new"): Operation.RENAME,
        ("hard.book", "new · 2"): Operation.CREATE,
        ("hard.book", "old · 5"): Operation.DELETE,
    }
    assert changeset.changes.get(operation=Operation.CREATE.value).conflict["kind"] == "removed"


def test_a_row_that_left_the_scope_below_a_renamed_one_says_so(environments: Environments) -> None:
    for alias, name in NAMES:
        row, _ = library(alias, name)
        rows(Sheet, alias).create(library=row, name="stays", text="s")
        rows(Sheet, alias).create(library=row, name="left", text="l", live=alias == "default")
        rows(Sheet, alias).create(library=row, name=f"{alias} only", text="l")
    rows(Sheet, "default").filter(name="default only").delete()
    changeset = pending(environments)
    assert operations(changeset) == {
        ("hard.library", "new"): Operation.RENAME,
        # Alike, but no rename: the source still has the other row.
        ("hard.sheet", "new · source only"): Operation.CREATE,
        ("hard.sheet", "old · left"): Operation.DELETE,
    }
    assert changeset.changes.get(operation=Operation.DELETE.value).left_scope


@pytest.mark.parametrize("is_renamed", [False, True])
def test_a_row_out_of_scope_here_below_a_renamed_one_is_in_the_way(
    environments: Environments, is_renamed: bool
) -> None:
    for alias, name in NAMES:
        row, _ = library(alias, name)
        rows(Sheet, alias).create(library=row, name="hidden", text="x", live=alias == "source")
    if is_renamed:
        rows(Sheet, "default").create(library=rows(Library, "default").get(), name="other", text="x")
    changeset = pending(environments)
    operation = Operation.RENAME if is_renamed else Operation.CREATE
    assert operations(changeset)[("hard.sheet", "new · hidden")] == operation
    assert "hidden_row" in problems(changeset)["hard.sheet", "new · hidden"]


def test_a_row_added_here_below_a_renamed_one_makes_its_create_stale(environments: Environments) -> None:
    for alias, name in NAMES:
        library(alias, name, "one", *(["two"] if alias == "source" else []))
    changeset = pending(environments)
    environments.accept_all(changeset)
    environments.approve(changeset)
    rows(Book, "default").create(library=rows(Library, "default").get(), shelf=2, title="mine")
    with environments.untouched():
        done = environments.apply(changeset)
    assert done.state == ChangesetState.STALE
    assert "added here since the pull" in changeset.changes.get(model="hard.book").outcome_reason


def test_rows_that_are_never_deleted_follow_a_renamed_one(environments: Environments) -> None:
    for alias, name in NAMES:
        row, _ = library(alias, name)
        for wall in (1, 2):
            rows(Plaque, alias).create(library=row, wall=wall, text="same" if wall == 1 else name)
    rows(Plaque, "default").create(library=rows(Library, "default").get(), wall=3, text="only here")
    kept = set(rows(Plaque, "default").values_list("pk", flat=True))
    changeset = bring(environments)
    assert operations(changeset) == {
        ("hard.library", "new"): Operation.RENAME,
        ("hard.plaque", "new · 2"): Operation.UPDATE,
    }
    assert set(rows(Plaque, "default").values_list("pk", flat=True)) == kept


# What is pulled without what lies between


def test_rows_are_followed_through_models_that_are_not_pulled(environments: Environments) -> None:
    for alias, name in NAMES:
        _, [book] = library(alias, name, "one")
        rows(Loan, alias).create(code="same", book=book)
        rows(Loan, alias).create(code="edited", book=book if alias == "source" else None)
        about = {"content_type_id": kind_of(alias, "book"), "object_id": str(book.pk)}
        rows(Remark, alias).create(code="same", **about)
    labels = ("hard.library", "hard.loan", "hard.remark")
    changeset = applied(environments, pending(environments, *labels))
    assert operations(changeset) == {
        ("hard.library", "new"): Operation.RENAME,
        ("hard.loan", "edited"): Operation.UPDATE,
    }
    environments.assert_equal()


def test_a_deep_tree_of_renames_is_found_whatever_else_differs(environments: Environments) -> None:
    for alias, name in NAMES:
        parent = None
        for level in range(12):
            parent = rows(Node, alias).create(slug=f"{name}{level}", title=f"title {level}", parent=parent)
        rows(Word, alias).bulk_create([Word(text=f"word {number}", meaning=name) for number in range(50)])
    changeset = bring(environments)
    assert (changeset.renames, changeset.updates, changeset.creates, changeset.deletes) == (12, 50, 0, 0)
