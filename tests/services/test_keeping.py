"""Keeping single fields of an update: what is written, sealed, required and remembered follows from it."""

from __future__ import annotations

import json

import pytest

from data_sync.core.errors import InvalidTransition, RequirementRejected
from data_sync.core.states import Decision, Operation
from data_sync.models import Change, Changeset
from data_sync.services import approval, review, undoing
from data_sync.services.document import changeset_document
from data_sync.services.rehearsal import rehearse
from tests.environments import Environments, applied, decide
from tests.testapp.models import Article, Category, Document, Product, Slot, Tag


def change_of(changeset: Changeset, model: type, key: str, operation: Operation = Operation.UPDATE) -> Change:
    return changeset.changes.get(model=model._meta.label_lower, key_text=key, operation=operation.value)


@pytest.fixture
def product(environments: Environments) -> Product:
    """A product whose name differs, whose category is new at the source, and whose tags differ."""
    environments.add(Tag, name="red")
    environments.add(Tag, name="blue")
    old = environments.add(Category, slug="old")
    new, _ = environments.add(Category, slug="new", only="source")
    there, here = environments.add(Product, sku="P", name=("Theirs", "Ours"), category=(new, old[1]))
    there.tags.set(Tag.objects.using("source").filter(name="red"))
    here.tags.set(Tag.objects.filter(name="blue"))
    return here


def test_what_is_kept_is_not_written_and_the_rest_is(environments: Environments, product: Product) -> None:
    changeset = environments.changeset()
    decide(environments, change_of(changeset, Product, "P"), keep=["name", "tags"], with_requirements=True)

    done = applied(environments, changeset)

    product.refresh_from_db()
    assert (product.name, product.category.slug, [tag.name for tag in product.tags.all()]) == ("Ours", "new", ["blue"])
    assert done.changes.get(model="testapp.product").outcome == "applied"


def test_a_create_that_only_a_kept_reference_needs_is_needed_no_more(
    environments: Environments, product: Product
) -> None:
    changeset = environments.changeset()
    update, create = change_of(changeset, Product, "P"), change_of(changeset, Category, "new", Operation.CREATE)
    decide(environments, create, "rejected")
    with pytest.raises(RequirementRejected):
        decide(environments, update)

    decide(environments, update, keep=["category"])
    applied(environments, changeset)

    product.refresh_from_db()
    assert (product.name, product.category.slug) == ("Theirs", "old")
    assert not Category.objects.filter(slug="new").exists()


def test_a_create_that_another_field_needs_as_well_is_still_needed(environments: Environments) -> None:
    environments.add(Category, slug="old")
    new, _ = environments.add(Product, sku="new", name="New", only="source")
    there, _ = environments.add(Product, sku="P", name=("Theirs", "Ours"))
    there.related.set([new])
    changeset = environments.changeset()
    decide(environments, change_of(changeset, Product, "new", Operation.CREATE), "rejected")

    with pytest.raises(RequirementRejected):
        decide(environments, change_of(changeset, Product, "P"), keep=["name"])


def test_what_was_kept_is_a_conflict_at_the_next_pull_and_no_decision_on_many_takes_it(
    environments: Environments,
) -> None:
    environments.add(Article, slug="a", title="Agreed")
    environments.pull()
    Article._base_manager.using("source").update(title="Theirs", deleted=True)
    Article._base_manager.update(title="Edited here")
    changeset = environments.changeset()
    decide(environments, changeset.changes.get(), acknowledge=True, keep=["title"])
    applied(environments, changeset)

    again = environments.changeset()
    done = review.decide(again.pk, review.Selection(), Decision.ACCEPTED, environments.actor, revision=None)

    (change,) = again.changes.all()
    assert [row["path"] for row in change.diff] == [["title"]]
    assert (change.is_conflict, done.count, done.skipped_conflicts) == (True, 0, 1)


def test_a_field_that_nobody_edited_here_is_no_conflict_for_having_been_kept(environments: Environments) -> None:
    environments.add(Article, slug="a", title="Agreed")
    environments.pull()
    Article._base_manager.using("source").update(title="Theirs", deleted=True)
    changeset = environments.changeset()
    decide(environments, changeset.changes.get(), keep=["title"])
    applied(environments, changeset)

    (change,) = environments.changeset().changes.all()
    assert [row["path"] for row in change.diff] == [["title"]]
    assert (change.is_conflict, change.base_digest) == (False, change.before_digest.removeprefix("sha256:")[:32])

    Article._base_manager.update(title="Edited here")
    (change,) = environments.changeset().changes.all()
    assert change.is_conflict and change.base == {"slug": "a", "title": "Agreed", "deleted": True}


def test_a_rename_of_another_row_makes_no_conflict_of_what_was_kept(environments: Environments) -> None:
    environments.add(Tag, name="seed")
    environments.add(Category, slug="old", title="The same")
    environments.add(Article, slug="a", title="Agreed")
    environments.pull()
    Category.objects.using("source").update(slug="new")
    Article._base_manager.using("source").update(title="Theirs", deleted=True)
    changeset = environments.changeset()
    decide(environments, changeset.changes.get(operation="rename"))
    decide(environments, changeset.changes.get(operation="update"), keep=["title"])
    applied(environments, changeset)

    assert not environments.changeset().changes.get().is_conflict


@pytest.mark.parametrize("decision", ["undecided", "rejected"])
def test_what_is_kept_comes_over_whatever_was_decided(environments: Environments, decision: str) -> None:
    environments.add(Article, slug="a", title=("Theirs", "Ours"), deleted=(True, False))
    changeset = environments.changeset()
    decide(environments, changeset.changes.get(), "undecided", keep=["title"])
    decide(environments, changeset.changes.get(), decision)

    change = environments.changeset().changes.get()

    assert (change.decision, change.kept["fields"]) == (decision, ["title"])


def test_what_both_sides_had_agreed_on_stands_where_something_is_kept(
    environments: Environments, product: Product
) -> None:
    changeset = environments.changeset()
    decide(environments, change_of(changeset, Product, "P"), keep=["name"], with_requirements=True)
    applied(environments, changeset)

    (change,) = environments.changeset().changes.all()
    assert ([row["path"] for row in change.diff], change.base_digest) == ([["name"]], "")


def test_what_the_row_is_to_be_follows_from_the_row_as_it_was_seen_last(environments: Environments) -> None:
    environments.add(Article, slug="a", title=("Theirs", "Ours"), deleted=(True, False))
    changeset = environments.changeset()
    change = changeset.changes.get()
    decide(environments, change, keep=["title"])
    Article._base_manager.update(title="Edited")

    decide(environments, change, acknowledge=True)
    applied(environments, changeset)

    row = Article._base_manager.get()
    assert (row.title, row.deleted) == ("Edited", True)


def test_a_link_is_not_kept_to_a_row_whose_delete_is_accepted(environments: Environments) -> None:
    environments.add(Tag, name="red")
    environments.add(Tag, name="blue", only="default")
    there, here = environments.add(Product, sku="P", name=("Theirs", "Ours"))
    there.tags.set(Tag.objects.using("source").filter(name="red"))
    here.tags.set(Tag.objects.filter(name="blue"))
    changeset = environments.changeset()
    decide(environments, change_of(changeset, Product, "P"), keep=["tags"])

    with pytest.raises(InvalidTransition, match=r"testapp.tag \[\"blue\"\]\) requires .* which keeps tags"):
        decide(environments, change_of(changeset, Tag, "blue", Operation.DELETE))
    decide(environments, change_of(changeset, Product, "P"), keep=["name"])
    decide(environments, change_of(changeset, Tag, "blue", Operation.DELETE))
    applied(environments, changeset)
    assert [tag.name for tag in Product.objects.get().tags.all()] == ["red"]


def test_fields_are_kept_of_one_update_at_a_time(environments: Environments) -> None:
    for name in "ab":
        environments.add(Article, slug=name, title=("Theirs", "Ours"), deleted=(True, False))
    changeset = environments.changeset()
    selection = review.Selection(numbers=(1, 2))

    with pytest.raises(InvalidTransition, match="one update at a time"):
        review.decide(changeset.pk, selection, Decision.ACCEPTED, environments.actor, revision=None, keep=["title"])


def test_what_is_kept_stands_in_the_seal_the_export_and_the_history(
    environments: Environments, product: Product
) -> None:
    changeset = environments.changeset()
    update = change_of(changeset, Product, "P")
    decide(environments, update, with_requirements=True)
    whole = environments.approve(changeset).approval_seal
    decide(environments, update, keep=["tags", "name"])
    kept = environments.approve(changeset).approval_seal

    assert whole != kept
    document = json.loads("".join(changeset_document(changeset, environments.actor)))
    (described,) = [one for one in document["changes"] if one["number"] == update.number]
    assert described["kept_fields"] == ["name", "tags"] and described["after"]["name"] == "Theirs"
    assert [event["detail"].get("kept") for event in document["events"] if event["action"] == "decided"] == [
        None,
        ["name", "tags"],
    ]
    Change.objects.filter(pk=update.pk).update(kept={})
    assert environments.apply(changeset).state == "failed"
    product.refresh_from_db()
    assert product.name == "Ours"


def test_what_holds_on_to_something_hinders_only_what_needs_that(environments: Environments) -> None:
    """A delete that was accepted with many others needs a link let go; an unrelated change does not care."""
    _, here = environments.add(Product, sku="P", name=("Theirs", "Ours"))
    environments.add(Category, slug="stays")
    _, gone = environments.add(Category, slug="gone", only="default")
    Product.objects.filter(pk=here.pk).update(category=gone)
    environments.add(Article, slug="a", title=("Theirs", "Ours"))
    changeset = environments.changeset()
    update = change_of(changeset, Product, "P")
    decide(environments, update, keep=["category"])
    review.decide(
        changeset.pk,
        review.Selection(operation=Operation.DELETE),
        Decision.ACCEPTED,
        environments.actor,
        revision=None,
    )

    decide(environments, changeset.changes.get(model="testapp.article"))

    with pytest.raises(InvalidTransition, match="keeps category as it is here"):
        environments.approve(changeset)
    with pytest.raises(InvalidTransition, match="keeps category as it is here"):
        decide(environments, changeset.changes.get(operation=Operation.DELETE.value))


def test_a_decision_keeps_what_was_kept_until_it_says_otherwise(environments: Environments, product: Product) -> None:
    changeset = environments.changeset()
    update = change_of(changeset, Product, "P")
    decide(environments, update, keep=["name"], with_requirements=True)
    decide(environments, update, "rejected", keep=["name", "tags", "category"])
    review.decide(
        changeset.pk, review.Selection(decision="rejected"), Decision.ACCEPTED, environments.actor, revision=None
    )
    changeset.refresh_from_db()
    undoing.undo(changeset.pk, environments.actor, revision=changeset.revision)
    decide(environments, update, "undecided")
    update.refresh_from_db()
    assert update.kept["fields"] == ["name"]

    decide(environments, update, "undecided", keep=[])
    update.refresh_from_db()
    assert update.kept == {}


def test_a_file_can_be_kept(environments: Environments) -> None:
    environments.put("covers/a.png", b"theirs", only="source")
    environments.put("covers/a.png", b"ours", only="default")
    environments.add(Document, name="a", title=("Theirs", "Ours"), cover="covers/a.png")
    changeset = environments.changeset()
    before = environments.files()
    decide(environments, changeset.changes.get(), keep=["cover"])
    applied(environments, changeset)

    document = Document.objects.get()
    assert (document.title, document.cover.name) == ("Theirs", "covers/a.png")
    assert environments.files() == before


def test_a_file_that_is_not_here_stays_away(environments: Environments) -> None:
    environments.put("covers/a.png", b"theirs", only="source")
    environments.add(Document, name="a", title=("Theirs", "Ours"), cover=("covers/a.png", ""))
    changeset = environments.changeset()
    decide(environments, changeset.changes.get(), keep=["cover"])
    applied(environments, changeset)

    document = Document.objects.get()
    assert (document.title, document.cover.name or "", environments.files()) == ("Theirs", "", {})


def test_a_rehearsal_tries_what_would_be_written(environments: Environments, product: Product) -> None:
    changeset = environments.changeset()
    decide(environments, change_of(changeset, Product, "P"), keep=["name"], with_requirements=True)
    with environments.untouched():
        done = rehearse(changeset.pk, environments.actor)
    assert (done.errors, done.refusals, done.written) == ({}, [], 2)


# What cannot be kept


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["name", "category", "tags"], "would keep everything"),
        (["sku"], "sku cannot be kept .* only category, name, tags differ"),
        (["name", "nothing"], "nothing cannot be kept"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    environments: Environments, product: Product, names: list[str], reason: str
) -> None:
    changeset = environments.changeset()
    update = change_of(changeset, Product, "P")
    with pytest.raises(InvalidTransition, match=reason):
        decide(environments, update, keep=names, with_requirements=True)
    update.refresh_from_db()
    assert (update.decision, update.kept) == ("undecided", {})


def test_nothing_of_a_create_or_delete_can_be_kept(environments: Environments) -> None:
    environments.add(Tag, name="new", only="source")
    environments.add(Tag, name="old", only="default")
    for change in environments.changeset().changes.all():
        with pytest.raises(InvalidTransition, match="is not an update"):
            decide(environments, change, keep=["name"])


def test_a_reference_is_not_kept_to_a_row_whose_delete_is_accepted(environments: Environments) -> None:
    new, _ = environments.add(Category, slug="new")
    _, old = environments.add(Category, slug="old", only="default")
    environments.add(Product, sku="P", name=("Theirs", "Ours"), category=(new, old))
    changeset = environments.changeset()
    delete, update = change_of(changeset, Category, "old", Operation.DELETE), change_of(changeset, Product, "P")
    assert update.number in delete.requires
    decide(environments, delete, with_requirements=True)

    with pytest.raises(InvalidTransition, match=r"keeps category as it is here"):
        decide(environments, update, keep=["category"])
    decide(environments, update, keep=["name"])
    applied(environments, changeset)
    assert not Category.objects.filter(slug="old").exists()


def test_a_unique_value_is_not_kept_that_another_row_is_to_have(environments: Environments) -> None:
    environments.add(Slot, name="a", place=(2, 1))
    environments.add(Slot, name="b", place=(1, 2))
    changeset = environments.changeset()
    first, second = (change_of(changeset, Slot, name) for name in "ab")
    assert second.number in first.requires

    with pytest.raises(InvalidTransition, match="would keep everything"):
        decide(environments, second, keep=["place"])


def test_an_approval_looks_once_more(environments: Environments, product: Product) -> None:
    environments.add(Category, slug="gone", only="default")
    Product.objects.update(category=Category.objects.get(slug="gone"))
    changeset = environments.changeset()
    update = change_of(changeset, Product, "P")
    delete = change_of(changeset, Category, "gone", Operation.DELETE)
    decide(environments, update, keep=["category"], with_requirements=True)
    Change.objects.filter(pk=delete.pk).update(decision="accepted", requires=[update.number])
    changeset.refresh_from_db()
    Changeset.objects.filter(pk=changeset.pk).update(content_seal=approval.current_content_seal(changeset))

    with pytest.raises(InvalidTransition, match="keeps category as it is here"):
        environments.approve(changeset)


# A later pull


def test_what_was_kept_is_kept_in_the_next_changeset(environments: Environments, product: Product) -> None:
    changeset = environments.changeset()
    create = change_of(changeset, Category, "new", Operation.CREATE)
    decide(environments, create, "rejected")
    decide(environments, change_of(changeset, Product, "P"), keep=["category", "name"])
    environments.add(Tag, name="another", only="source")  # Which moves the numbers on.

    again = environments.changeset()

    update = change_of(again, Product, "P")
    assert (update.decision, update.kept["fields"]) == ("accepted", ["category", "name"])
    assert update.kept["waives"] == [change_of(again, Category, "new", Operation.CREATE).number]
    applied(environments, again)
    product.refresh_from_db()
    assert (product.name, product.category.slug) == ("Ours", "old")
