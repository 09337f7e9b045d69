"""Rows that are edited after the pull: shown, asked about, and written over only as they were seen."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from data_sync.core.errors import InvalidTransition, NotAcknowledged
from data_sync.core.states import Decision
from data_sync.models import Changeset
from data_sync.services import review, undoing
from data_sync.services.document import changeset_document
from data_sync.services.moved import moved_rows
from tests.environments import Environments, applied, decide
from tests.testapp.models import Article, Category, Country, Document, Page, Product, Redirect, Tag


@pytest.fixture
def changeset(environments: Environments) -> Changeset:
    """An update of a title; `deleted` is the same on both sides."""
    environments.add(Article, slug="a", title=("Theirs", "Ours"))
    return environments.changeset()


def edit(**values: Any) -> None:
    Article._base_manager.update(**values)


def test_what_was_edited_since_the_pull_is_found_and_what_was_not_is_not(
    environments: Environments, changeset: Changeset
) -> None:
    assert moved_rows(changeset, changeset.changes.all()) == {}
    edit(title="Edited", deleted=True)

    (moved,) = moved_rows(changeset, changeset.changes.all()).values()

    assert moved.names == ("deleted", "title") and moved.record is not None
    assert moved.record.fields["title"] == "Edited"


def test_a_row_that_is_already_as_it_is_to_be_has_not_moved(environments: Environments, changeset: Changeset) -> None:
    edit(title="Theirs")

    (moved,) = moved_rows(changeset, changeset.changes.all()).values()
    assert (moved.kind, moved.digest) == ("done", "")
    decide(environments, changeset.changes.get())
    applied(environments, changeset)


def test_it_is_not_accepted_unseen_and_then_all_of_it_is_written_over(
    environments: Environments, changeset: Changeset
) -> None:
    change = changeset.changes.get()
    edit(title="Edited", deleted=True)
    with pytest.raises(NotAcknowledged, match="changed here since the pull: deleted, title") as refused:
        decide(environments, change)
    with pytest.raises(NotAcknowledged):
        decide(environments, change, acknowledge=True, seen="")  # What a page shows that was made before.

    decide(environments, change, acknowledge=True, seen=refused.value.digest)
    applied(environments, changeset)

    row = Article._base_manager.get()
    assert (row.title, row.deleted) == ("Theirs", False)
    environments.assert_equal()


def test_another_edit_has_to_be_seen_anew(environments: Environments, changeset: Changeset) -> None:
    change = changeset.changes.get()
    edit(title="Edited")
    decide(environments, change, acknowledge=True)
    seen = changeset.changes.get().acknowledged_digest
    edit(title="Edited again")

    with pytest.raises(NotAcknowledged):
        decide(environments, change, acknowledge=True, seen=seen)
    with pytest.raises(NotAcknowledged):
        environments.approve(changeset)


def test_a_row_that_is_edited_back_needs_no_acknowledgement(environments: Environments, changeset: Changeset) -> None:
    change = changeset.changes.get()
    edit(deleted=True)
    decide(environments, change, acknowledge=True)
    edit(deleted=False)

    decide(environments, change)

    change.refresh_from_db()
    assert (change.acknowledged_digest, change.seen) == ("", {})
    applied(environments, changeset)


def test_an_acknowledgement_outlives_a_rejection_that_is_undone(
    environments: Environments, changeset: Changeset
) -> None:
    edit(deleted=True)
    decide(environments, changeset.changes.get(), acknowledge=True)
    review.decide(
        changeset.pk, review.Selection(decision="accepted"), Decision.REJECTED, environments.actor, revision=None
    )
    changeset.refresh_from_db()
    undoing.undo(changeset.pk, environments.actor, revision=changeset.revision)

    applied(environments, changeset)
    assert not Article._base_manager.get().deleted


def test_what_is_kept_of_it_is_as_it_is_now(environments: Environments) -> None:
    environments.add(Article, slug="a", title=("Theirs", "Ours"), deleted=(True, False))
    changeset = environments.changeset()
    edit(title="Edited")

    decide(environments, changeset.changes.get(), acknowledge=True, keep=["title"])
    applied(environments, changeset)

    row = Article._base_manager.get()
    assert (row.title, row.deleted) == ("Edited", True)


def test_a_delete_of_an_edited_row_is_asked_about_too(environments: Environments) -> None:
    environments.add(Article, slug="stays")
    environments.add(Article, slug="a", only="default")
    changeset = environments.changeset()
    change = changeset.changes.get()
    Article._base_manager.filter(slug="a").update(title="Edited")
    with pytest.raises(NotAcknowledged, match="title"):
        decide(environments, change)

    decide(environments, change, acknowledge=True)
    applied(environments, changeset)

    assert [row.slug for row in Article._base_manager.all()] == ["stays"]


def test_a_row_that_is_gone_is_told(environments: Environments, changeset: Changeset) -> None:
    Article._base_manager.all().delete()

    (moved,) = moved_rows(changeset, changeset.changes.all()).values()
    assert (moved.record, moved.reason) == (None, "is gone here since the pull")
    with pytest.raises(InvalidTransition, match=r"is gone here since the pull\. Pull again"):
        decide(environments, changeset.changes.get(), acknowledge=True)


def test_links_and_references_count(environments: Environments) -> None:
    environments.add(Tag, name="red")
    environments.add(Category, slug="a")
    _, product = environments.add(Product, sku="P", name=("Theirs", "Ours"))
    changeset = environments.changeset()
    product.tags.set(Tag.objects.all())
    Product.objects.update(category=Category.objects.get())

    (moved,) = moved_rows(changeset, changeset.changes.all()).values()
    assert moved.names == ("category", "tags")
    decide(environments, changeset.changes.get(), acknowledge=True)
    applied(environments, changeset)
    environments.assert_equal()


def test_a_rename_that_the_row_refers_to_is_no_edit(environments: Environments) -> None:
    there, here = environments.add(Category, slug="old", title="The same")
    environments.add(Category, slug="child", parent=(there, here), title=("Theirs", "Ours"))
    Category.objects.using("source").filter(slug="old").update(slug="new")
    changeset = environments.changeset()
    assert changeset.renames == 1

    assert moved_rows(changeset, changeset.changes.all()) == {}
    Category.objects.filter(slug="child").update(title="Edited")
    assert {moved.names for moved in moved_rows(changeset, changeset.changes.all()).values()} == {("title",)}


def test_no_storage_is_asked(environments: Environments, monkeypatch: pytest.MonkeyPatch) -> None:
    environments.put("covers/a.png", b"theirs", only="source")
    environments.put("covers/a.png", b"ours", only="default")
    environments.add(Document, name="a", title=("Theirs", "Ours"), cover="covers/a.png")
    changeset = environments.changeset()
    Document.objects.update(title="Edited")
    monkeypatch.setattr("data_sync.orm.files.Checksums._ask", lambda *_: pytest.fail("asked"))

    (moved,) = moved_rows(changeset, changeset.changes.all()).values()
    assert moved.names == ("title",)


def test_an_approval_takes_a_conflict_whose_row_was_edited_once_more(environments: Environments) -> None:
    environments.add(Article, slug="a", title="Agreed")
    environments.pull()
    Article._base_manager.using("source").update(title="Theirs")
    edit(title="Ours")
    changeset = environments.changeset()
    change = changeset.changes.get()
    assert change.is_conflict
    edit(title="Ours, edited")

    decide(environments, change, acknowledge=True)
    applied(environments, changeset)

    assert Article._base_manager.get().title == "Theirs"


def test_a_row_that_has_another_key_now_is_another_row(environments: Environments) -> None:
    for name in "ab":
        environments.add(Article, slug=name, title=("Theirs", "Ours"))
    environments.add(Article, slug="c", only="default")
    changeset = environments.changeset()
    for name in "ac":
        Article._base_manager.filter(slug=name).update(slug=f"now-{name}")

    for change in changeset.changes.exclude(key_text="b"):
        with pytest.raises(InvalidTransition, match=r"was given another natural key here since the pull, .*now-"):
            decide(environments, change, acknowledge=True)
    decide(environments, changeset.changes.get(key_text="b"))


def test_a_row_that_cannot_be_read_hides_no_other(environments: Environments) -> None:
    country = environments.add(Country, code="FR")
    environments.add(Redirect, path="/a", country=country)
    environments.add(Redirect, path="/b", country=country)
    other = environments.add(Country, code="DE")
    Redirect.objects.using("source").update(country=other[0])
    changeset = environments.changeset()
    Redirect.objects.filter(path="/a").update(country=999_999)

    (moved,) = moved_rows(changeset, changeset.changes.all()).values()

    assert moved.record is None and "cannot be read any more" in moved.reason
    with pytest.raises(InvalidTransition, match="cannot be read any more"):
        decide(environments, changeset.changes.get(key_text="/a"), acknowledge=True)
    decide(environments, changeset.changes.get(key_text="/a"), "rejected")
    decide(environments, changeset.changes.get(key_text="/b"))
    applied(environments, changeset)


def test_many_edited_rows_are_acknowledged_in_few_statements(environments: Environments) -> None:
    def statements(size: int) -> int:
        Article._base_manager.all().delete()
        Article._base_manager.using("source").all().delete()
        for number in range(size):
            environments.add(Article, slug=f"a{number}", title=("Theirs", "Ours"))
        changeset = environments.changeset()
        edit(title="Edited")
        numbers = tuple(changeset.changes.values_list("number", flat=True))
        with CaptureQueriesContext(connection) as captured:
            review.decide(
                changeset.pk,
                review.Selection(numbers=numbers),
                Decision.ACCEPTED,
                environments.actor,
                revision=None,
                acknowledge=True,
            )
        assert set(changeset.changes.values_list("decision", flat=True)) == {"accepted"}
        assert not changeset.changes.filter(acknowledged_digest="").exists()
        return len(captured)

    assert statements(2) == statements(30)


def test_an_acknowledged_edit_is_in_the_export(environments: Environments, changeset: Changeset) -> None:
    edit(title="Edited")
    decide(environments, changeset.changes.get(), acknowledge=True)

    document = json.loads("".join(changeset_document(changeset, environments.actor)))

    assert document["changes"][0]["seen_fields"]["title"] == "Edited"


# What nobody has looked at row by row


def test_nothing_is_approved_whose_row_was_edited_unseen(environments: Environments) -> None:
    for slug in "abc":
        environments.add(Article, slug=slug, title=("Theirs", "Ours"))
    changeset = environments.changeset()
    Article._base_manager.filter(slug__in="bc").update(title="Edited")
    review.decide(changeset.pk, review.Selection(), Decision.ACCEPTED, environments.actor, revision=None)

    with pytest.raises(NotAcknowledged, match=r'\["b"\].* was changed here since the pull: title') as refused:
        environments.approve(changeset)

    for slug in "bc":
        decide(environments, changeset.changes.get(key_text=slug), acknowledge=True)
    assert refused.value.number == changeset.changes.get(key_text="b").number
    applied(environments, changeset)
    environments.assert_equal()


def test_what_belongs_to_a_change_is_not_accepted_unseen_with_it(environments: Environments) -> None:
    there, here = environments.add(Category, slug="old")
    new, _ = environments.add(Category, slug="new", only="source", parent=there)
    environments.add(Category, slug="child", parent=(new, here))
    changeset = environments.changeset()
    create, child = (changeset.changes.get(key_text=key) for key in ("new", "child"))
    assert child.requires == [create.number]
    Category.objects.create(slug="new")
    decide(environments, create, "rejected")

    with pytest.raises(InvalidTransition, match="has been added here since the pull"):
        decide(environments, child, with_requirements=True)


def test_a_row_that_has_been_added_here_since_cannot_be_added(environments: Environments) -> None:
    environments.add(Tag, name="same", only="source")
    environments.add(Article, slug="a", only="source", title="Theirs")
    changeset = environments.changeset()
    article, tag = changeset.changes.get(model="testapp.article"), changeset.changes.get(model="testapp.tag")
    Tag.objects.create(name="same")
    Article._base_manager.create(slug="a", title="Ours")

    moved = moved_rows(changeset, [article, tag])

    assert {number: one.kind for number, one in moved.items()} == {article.number: "added", tag.number: "done"}
    with pytest.raises(InvalidTransition, match="has been added here since the pull"):
        decide(environments, article)
    decide(environments, tag)
    applied(environments, changeset)


def test_a_field_that_was_edited_since_can_be_kept_before_anything_is_decided(
    environments: Environments, changeset: Changeset
) -> None:
    change = changeset.changes.get()
    edit(deleted=True)
    with pytest.raises(NotAcknowledged):
        decide(environments, change, "undecided", keep=["deleted"])

    decide(environments, change, "undecided", keep=["deleted"], acknowledge=True)
    decide(environments, change, acknowledge=True)
    applied(environments, changeset)

    row = Article._base_manager.get()
    assert (row.title, row.deleted) == ("Theirs", True)


def test_an_undone_acceptance_leaves_nothing_acknowledged(environments: Environments) -> None:
    for slug in "ab":
        environments.add(Article, slug=slug, title=("Theirs", "Ours"))
    changeset = environments.changeset()
    edit(deleted=True)
    both = review.Selection(numbers=(1, 2))
    review.decide(changeset.pk, both, Decision.ACCEPTED, environments.actor, revision=None, acknowledge=True)
    changeset.refresh_from_db()
    undoing.undo(changeset.pk, environments.actor, revision=changeset.revision)
    review.decide(changeset.pk, review.Selection(), Decision.ACCEPTED, environments.actor, revision=None)

    assert set(changeset.changes.values_list("acknowledged_digest", flat=True)) == {""}
    with pytest.raises(NotAcknowledged):
        environments.approve(changeset)


# Nothing is approved that an apply would refuse


def refused_or_applied(environments: Environments, changeset: Changeset) -> str:
    try:
        environments.approve(changeset)
    except InvalidTransition:
        return "refused"
    return environments.apply(changeset).state


@pytest.mark.parametrize(
    ("now", "came_to"), [({"title": "Theirs", "deleted": True}, "refused"), ({"deleted": True}, "applied")]
)
def test_what_is_kept_counts_for_what_is_done(environments: Environments, now: dict[str, Any], came_to: str) -> None:
    environments.add(Article, slug="a", title=("Theirs", "Ours"), deleted=(True, False))
    changeset = environments.changeset()
    decide(environments, changeset.changes.get(), keep=["title"])
    edit(**now)

    (moved,) = moved_rows(changeset, changeset.changes.all()).values()
    assert moved.kind == ("done" if came_to == "applied" else "edited")
    assert refused_or_applied(environments, changeset) == came_to


def test_a_row_whose_file_is_still_to_come_is_not_done(environments: Environments) -> None:
    environments.put("covers/a.png", b"theirs", only="source")
    environments.put("covers/a.png", b"ours", only="default")
    environments.add(Document, name="a", title=("Theirs", "Ours"), cover="covers/a.png")
    changeset = environments.changeset()
    Document.objects.update(title="Theirs")

    (moved,) = moved_rows(changeset, changeset.changes.all()).values()
    assert moved.kind == "edited"
    decide(environments, changeset.changes.get(), acknowledge=True)
    assert refused_or_applied(environments, changeset) == "applied"


def test_a_row_that_was_added_without_its_file_is_not_done(environments: Environments) -> None:
    environments.put("covers/a.png", b"theirs", only="source")
    environments.add(Document, name="a", title="T", cover="covers/a.png", only="source")
    changeset = environments.changeset()
    Document.objects.create(name="a", title="T")

    (moved,) = moved_rows(changeset, changeset.changes.all()).values()
    assert moved.kind == "added"


def test_a_row_that_left_the_scope_is_told_and_not_asked_about(environments: Environments) -> None:
    environments.add(Page, slug="a", title=("Theirs", "Ours"))
    changeset = environments.changeset()
    Page.objects.update(published=False)

    (moved,) = moved_rows(changeset, changeset.changes.all()).values()
    assert (moved.kind, moved.digest) == ("left", "")
    with pytest.raises(InvalidTransition, match="has left the registration's queryset"):
        decide(environments, changeset.changes.get(), acknowledge=True)


def test_a_key_that_another_row_has_taken_is_found_at_the_approval(environments: Environments) -> None:
    environments.add(Category, slug="old", title="The same")
    Category.objects.using("source").update(slug="new")
    changeset = environments.changeset()
    Category.objects.create(slug="new")
    decide(environments, changeset.changes.get())

    with pytest.raises(NotAcknowledged, match="is now the key of another row"):
        environments.approve(changeset)


def test_an_edit_that_refers_to_a_row_whose_rename_is_rejected_can_be_written_over(environments: Environments) -> None:
    environments.add(Category, slug="old", title="The same")
    environments.add(Product, sku="P", name=("Theirs", "Ours"))
    Category.objects.using("source").update(slug="new")
    changeset = environments.changeset()
    Product.objects.update(category=Category.objects.get())
    decide(environments, changeset.changes.get(operation="rename"), "rejected")

    decide(environments, changeset.changes.get(operation="update"), acknowledge=True)

    assert refused_or_applied(environments, changeset) == "applied"
    assert Product.objects.get().category is None
