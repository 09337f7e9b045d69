"""Deletes beside writes that hold on to what they would take, and deletes by the hundred."""

from __future__ import annotations

from collections.abc import Iterator
from string import ascii_lowercase
from typing import Any, Protocol

import pytest
from django.db import connection, models
from django.test.utils import CaptureQueriesContext

from data_sync import registry
from data_sync.core.states import ChangesetState, Operation
from data_sync.models import Change, Changeset
from data_sync.services import sources
from data_sync.services.comparison import Comparison, Numbered, Sides
from tests.direct import Direct
from tests.environments import Environments
from tests.hard.bringing import SIDES, applied, pending, put, rows
from tests.hard.models import Book, Library, Loan, OnSetDefault, Owner
from tests.hard.models import Visit as LibraryVisit
from tests.testapp.models import Category, Copy, Country, Currency, Folder, Language, Price, Product, Tag


class Leaves(Protocol):
    def __call__(self, model: type[models.Model], **which: str) -> None: ...


@pytest.fixture
def leaves(environments: Environments, monkeypatch: pytest.MonkeyPatch) -> Iterator[Leaves]:
    """Has rows of a model leave its scope at the source, which goes on referring to them."""
    monkeypatch.setattr(sources, "open_source", lambda source: Direct())
    before: list[registry.Registration] = []

    def leave(model: type[models.Model], **which: str) -> None:
        registration = registry.registration_of(model)
        assert registration is not None
        before.append(registration)
        registry.unregister(model)

        def scope(rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
            return rows.exclude(**which) if rows.db == "source" else rows

        registry.register(model, natural_key=registration.key, queryset=scope)

    yield leave
    for registration in before:
        registry.unregister(registration.model)
        registry.register(registration.model, natural_key=registration.key)


def change_of(changeset: Changeset, operation: Operation, label: str) -> Change:
    return changeset.changes.get(operation=operation.value, model=label)


def held(changeset: Changeset, label: str, by: Change) -> str:
    """The problem of the only delete of a model: it names the other change."""
    delete = change_of(changeset, Operation.DELETE, label)
    [problem] = delete.problems
    assert problem["code"] == "protected"
    assert f"#{by.number} ({by.model} {by.key_text})" in problem["message"]
    assert "reject this delete" in problem["message"]
    assert not by.problems
    return problem["message"]


def apply_the_others(environments: Environments, changeset: Changeset) -> None:
    """What has a problem is not accepted; the rest is as right without it."""
    environments.accept_all(changeset)
    done = environments.apply(environments.approve(changeset))
    assert done.state == ChangesetState.APPLIED, done.state_reason


# Writes that hold on to what would go


@pytest.mark.parametrize("renamed", [False, True])
def test_a_delete_must_not_null_a_reference_that_a_write_keeps(
    environments: Environments, leaves: Leaves, renamed: bool
) -> None:
    for alias in SIDES:
        rows(Category, alias).create(slug="stays")
        category = rows(Category, alias).create(slug="c")
        names = {"sku": alias, "name": "One and only"} if renamed else {"sku": "p", "name": alias}
        rows(Product, alias).create(category=category, **names)
    leaves(Category, slug="c")
    changeset = pending(environments, "testapp.category", "testapp.product")
    operation = Operation.RENAME if renamed else Operation.UPDATE
    message = held(changeset, "testapp.category", change_of(changeset, operation, "testapp.product"))
    assert "keeps category" in message
    apply_the_others(environments, changeset)
    assert Product.objects.get().category == Category.objects.get(slug="c")


def test_one_problem_names_the_first_of_many_changes(environments: Environments, leaves: Leaves) -> None:
    for alias in SIDES:
        category = rows(Category, alias).create(slug="c")
        for number in range(3):
            rows(Product, alias).create(sku=f"{number}", name=alias, category=category)
    leaves(Category, slug="c")
    changeset = pending(environments, "testapp.category", "testapp.product")
    message = held(changeset, "testapp.category", changeset.changes.get(key_text="0"))
    assert "(and 2 more)" in message


def test_a_reference_that_a_write_gives_up_holds_nothing(environments: Environments, leaves: Leaves) -> None:
    for alias in SIDES:
        category = rows(Category, alias).create(slug="c")
        tag = rows(Tag, alias).create(name="t")
        product = rows(Product, alias).create(sku="p", name=alias, category=category if alias == "default" else None)
        if alias == "default":
            product.tags.add(tag)
    leaves(Category, slug="c")
    leaves(Tag, name="t")
    applied(environments, pending(environments, "testapp.category", "testapp.product", "testapp.tag"))
    assert Product.objects.get().category is None
    assert not Product.objects.get().tags.exists()


def test_a_delete_must_not_take_along_a_row_that_a_write_updates(environments: Environments, leaves: Leaves) -> None:
    for alias in SIDES:
        product = rows(Product, alias).create(sku="p")
        currency = rows(Currency, alias).create(number=978, code="EUR")
        rows(Price, alias).create(product=product, currency=currency, amount=len(alias))
    leaves(Product, sku="p")
    changeset = pending(environments, "testapp.product", "testapp.currency", "testapp.price")
    message = held(changeset, "testapp.product", change_of(changeset, Operation.UPDATE, "testapp.price"))
    assert "writes a row of testapp.price" in message
    apply_the_others(environments, changeset)
    assert Price.objects.get().amount == len("source")


@pytest.mark.parametrize("operation", [Operation.UPDATE, Operation.CREATE])
def test_a_delete_must_not_take_along_what_a_write_needs(
    environments: Environments, leaves: Leaves, operation: Operation
) -> None:
    """The language is no change; it would go with its country."""
    for alias in SIDES:
        country = rows(Country, alias).create(code="FR")
        language = rows(Language, alias).create(country=country, code="fr")
        if alias == "source" or operation == Operation.UPDATE:
            rows(Copy, alias).create(language=language, key="k", value=alias, default="")
    leaves(Country, code="FR")
    changeset = pending(environments, "testapp.country", "testapp.language", "testapp.copy")
    held(changeset, "testapp.country", change_of(changeset, operation, "testapp.copy"))


def test_a_row_that_a_write_is_about_to_refer_to_must_not_be_deleted(
    environments: Environments, leaves: Leaves
) -> None:
    for alias in SIDES:
        category = rows(Category, alias).create(slug="c")
        rows(Product, alias).create(sku="p", category=category if alias == "source" else None)
    leaves(Category, slug="c")
    changeset = pending(environments, "testapp.category", "testapp.product")
    update = change_of(changeset, Operation.UPDATE, "testapp.product")
    assert "refers to it" in held(changeset, "testapp.category", update)
    apply_the_others(environments, changeset)
    assert Product.objects.get().category == Category.objects.get(slug="c")


def test_a_delete_must_not_unlink_a_row_that_a_write_links(environments: Environments, leaves: Leaves) -> None:
    for alias in SIDES:
        other = rows(Product, alias).create(sku="other")
        rows(Product, alias).create(sku="p", name=alias).related.add(other)
    leaves(Product, sku="other")
    changeset = pending(environments, "testapp.product")
    message = held(changeset, "testapp.product", change_of(changeset, Operation.UPDATE, "testapp.product"))
    assert "keeps related" in message
    apply_the_others(environments, changeset)
    assert Product.objects.get(sku="p").related.get().sku == "other"


def test_a_delete_must_not_unlink_a_row_that_a_write_links_under_its_new_key(
    environments: Environments, leaves: Leaves
) -> None:
    """The rename of its library gives the book that leaves the scope another key."""
    for alias in SIDES:
        library = rows(Library, alias).create(name=f"of {alias}", street="High Street")
        goes, stays = (rows(Book, alias).create(library=library, shelf=n, title=f"{n}") for n in (1, 2))
        rows(Loan, alias).create(code="loan", book=stays if alias == "source" else None).others.add(goes)
    leaves(Book, title="1")
    changeset = pending(environments, "hard.library", "hard.book", "hard.loan")
    assert change_of(changeset, Operation.RENAME, "hard.library")
    message = held(changeset, "hard.book", change_of(changeset, Operation.UPDATE, "hard.loan"))
    assert "keeps others" in message
    apply_the_others(environments, changeset)
    assert Loan.objects.get().others.get().title == "1"


# Deletes by the hundred


def test_deletes_of_one_batch_take_as_many_queries_as_one(environments: Environments) -> None:
    queries = []
    for count in (2, 40):
        for number in range(count):
            library = rows(Library, "default").create(name=f"{count}-{number}", street=f"{count}-{number}")
            LibraryVisit.objects.create(library=library)
        with CaptureQueriesContext(connection) as captured:
            changeset = environments.changeset("hard.library")
        assert all(one.cascades[0]["label"] for one in changeset.changes.all())
        labels = 'SELECT "hard_visit"."id", "hard_visit"."library_id"'.replace('"', connection.ops.quote_name("x")[0])
        queries.append(sum(labels in query["sql"] for query in captured))
    assert queries == [1, 1]


def test_a_default_that_is_deleted_in_another_batch_forbids_the_delete(environments: Environments) -> None:
    """What a reference would get by default goes itself, hundreds of deletes before."""
    owners = [Owner(pk=1, name="a"), *(Owner(pk=number, name=f"b{number:04}") for number in range(2, 450))]
    rows(Owner, "default").bulk_create([*owners, Owner(pk=500, name="z")])
    rows(OnSetDefault, "default").create(name="refers", owner_id=500)
    rows(OnSetDefault, "source").create(name="refers", owner=None)
    changeset = environments.changeset("hard.owner")
    [problem] = changeset.changes.get(key_text="z").problems
    assert (problem["code"], problem["field"]) == ("protected", "owner")
    assert not changeset.changes.get(key_text="b0002").problems


def test_deletes_in_other_batches_are_changes_of_their_own(environments: Environments) -> None:
    """Two models with more rows than a batch has: each country requires the delete of its language."""
    codes = [first + second for first in ascii_lowercase[:17] for second in ascii_lowercase]
    countries = rows(Country, "default").bulk_create(Country(code=code) for code in codes)
    rows(Language, "default").bulk_create(Language(country=country, code="fr") for country in countries)
    changeset = environments.changeset("testapp.country", "testapp.language")
    of_country = {
        code: number
        for number, code in changeset.changes.filter(model="testapp.language").values_list("number", "key_text")
    }
    for change in changeset.changes.filter(model="testapp.country"):
        assert change.requires == [of_country[f"{change.key_text} · fr"]]
        assert not change.cascades


# New rows that refer to each other


def chain(count: int, *, backwards: bool) -> list[Folder]:
    names = [f"{number:04}" for number in range(count)]
    if backwards:
        names.reverse()
    return [Folder(pk=place, path=name, parent_id=max(place - 1, 1)) for place, name in enumerate(names, 1)]


@pytest.mark.parametrize("backwards", [False, True])
def test_each_row_of_a_long_chain_is_read_a_few_times(
    environments: Environments, monkeypatch: pytest.MonkeyPatch, backwards: bool
) -> None:
    put("source", *chain(60, backwards=backwards))
    reads = []
    sides_of = Comparison.sides_of

    def counted(self: Comparison, entry: Numbered) -> Sides:
        reads.append(entry.number)
        return sides_of(self, entry)

    monkeypatch.setattr(Comparison, "sides_of", counted)
    changeset = environments.changeset("testapp.folder")
    assert not any(change.problems for change in changeset.changes.all())
    assert max(map(reads.count, set(reads))) <= 3


def test_only_rows_on_a_circle_need_themselves(environments: Environments) -> None:
    parents = {"a": "d", "b": "c", "c": "b", "d": "b", "own": "own", "under": "own"}
    pks = {path: pk for pk, path in enumerate(parents, 1)}
    put("source", *(Folder(pk=pks[path], path=path, parent_id=pks[up]) for path, up in parents.items()))
    changes: Any = environments.changeset("testapp.folder").changes.all()
    assert {change.key_text for change in changes if change.problems} == {"b", "c"}
