"""What a changeset says about each change: what it needs, what it takes along, why it cannot be applied."""

from __future__ import annotations

from typing import Any

import pytest

from data_sync.core.errors import InvalidTransition
from data_sync.models import Change, Changeset
from data_sync.services import review
from tests.environments import Environments
from tests.testapp.models import (
    Category,
    Comment,
    Copy,
    Country,
    Currency,
    Everything,
    Language,
    Player,
    Price,
    Product,
    Shelf,
    Stock,
    Tag,
    Team,
    Visit,
    Vote,
)


def by_key(changeset: Changeset) -> dict[tuple[str, str], Change]:
    return {(change.model.removeprefix("testapp."), change.key_text): change for change in changeset.changes.all()}


def cascades(change: Change) -> set[tuple[str, str, str]]:
    return {(one["model"].removeprefix("testapp."), one["label"], one["effect"]) for one in change.cascades}


def codes(change: Change) -> list[tuple[str, str]]:
    return [(problem["code"], problem["field"]) for problem in change.problems]


# What a change requires


def test_a_row_requires_the_new_rows_it_refers_to(environments: Environments) -> None:
    country = environments.add(Country, code="FR", only="source")
    language = environments.add(Language, country=country, code="fr", only="source")
    environments.add(Copy, language=language, key="k", value="", default="", only="source")
    tag = environments.add(Tag, name="new", only="source")
    environments.add(Product, sku="lamp", name="Lamp")
    Product.objects.using("source").get().tags.set([tag[0]])
    changes = by_key(environments.changeset())
    number = {key: change.number for key, change in changes.items()}
    assert changes["country", "FR"].requires == []
    assert changes["language", "FR · fr"].requires == [number["country", "FR"]]
    assert changes["copy", "FR · fr · k"].requires == [number["language", "FR · fr"]]
    assert changes["product", "lamp"].requires == [number["tag", "new"]]


def test_a_row_requires_nothing_that_is_here_already(environments: Environments) -> None:
    country = environments.add(Country, code="FR")
    environments.add(Language, country=country, code="fr", only="source")
    assert by_key(environments.changeset())["language", "FR · fr"].requires == []


def test_two_rows_that_refer_to_each_other_require_each_other(environments: Environments) -> None:
    team = environments.add(Team, name="reds", only="source")
    player = environments.add(Player, team=team, number=1, only="source")
    Team.objects.using("source").update(captain=player[0])
    changeset = environments.changeset()
    changes = by_key(changeset)
    team_change, player_change = changes["team", "reds"], changes["player", "reds · 1"]
    assert (team_change.requires, player_change.requires) == ([player_change.number], [team_change.number])
    environments.accept(changeset, team_change.number)
    with pytest.raises(InvalidTransition, match="requires"):
        environments.approve(changeset)


def test_a_row_that_refers_to_itself_requires_nothing(environments: Environments) -> None:
    lamp = environments.add(Product, sku="lamp", name="Lamp", only="source")
    lamp[0].related.add(lamp[0])
    assert by_key(environments.changeset())["product", "lamp"].requires == []
    environments.sync()
    environments.assert_equal()


def test_a_delete_requires_that_of_the_rows_that_refer_to_it(environments: Environments) -> None:
    country = environments.add(Country, code="FR", only="default")
    environments.add(Country, code="IT")
    italian = environments.add(Language, country=(None, country[1]), code="fr", only="default")
    changeset = environments.changeset("testapp.country", "testapp.language")
    changes = by_key(changeset)
    assert italian[1] is not None
    assert changes["country", "FR"].requires == [changes["language", "FR · fr"].number]
    assert changes["country", "FR"].cascades == []


# What a delete takes along


@pytest.fixture
def doomed(environments: Environments) -> Product:
    """A product that is only here, beside one that both sides have."""
    environments.add(Product, sku="stays", name="Stays")
    return environments.add(Product, sku="doomed", name="Doomed", only="default")[1]


def test_a_delete_shows_every_row_it_reaches_registered_or_not(environments: Environments, doomed: Product) -> None:
    comment = Comment.objects.create(product=doomed, text="Lovely")
    Vote.objects.create(comment=comment)
    Vote.objects.create(comment=comment)
    Visit.objects.create(product=doomed)
    Shelf.objects.create().products.add(doomed)
    Comment.objects.create(product=Product.objects.get(sku="stays"), text="About another")
    change = by_key(environments.changeset())["product", "doomed"]
    found = [(one["model"], one["effect"]) for one in change.cascades]
    assert sorted(found) == [
        ("testapp.comment", "delete"),
        ("testapp.shelf_products", "unlink"),
        ("testapp.visit", "null"),
        ("testapp.vote", "delete"),
        ("testapp.vote", "delete"),
    ]
    assert ("comment", "Lovely", "delete") in cascades(change)
    assert change.has_cascades and not change.has_problems


def test_a_rows_own_links_are_part_of_it_and_no_cascade(environments: Environments, doomed: Product) -> None:
    doomed.tags.add(environments.add(Tag, name="tag")[1])
    assert by_key(environments.changeset())["product", "doomed"].cascades == []


def test_links_that_others_have_to_a_deleted_row_are_shown(environments: Environments) -> None:
    tag = environments.add(Tag, name="doomed", only="default")
    environments.add(Tag, name="stays")
    shown = environments.add(Product, sku="lamp", name="Lamp")
    shown[1].tags.add(tag[1])
    changeset = environments.changeset("testapp.tag")
    change = by_key(changeset)["tag", "doomed"]
    assert [one["effect"] for one in change.cascades] == ["unlink"]


def test_a_protected_row_cannot_be_deleted_and_says_by_what(environments: Environments, doomed: Product) -> None:
    Stock.objects.create(product=doomed)
    changeset = environments.changeset()
    change = by_key(changeset)["product", "doomed"]
    assert codes(change) == [("protected", "product")]
    assert "1 row of testapp.stock" in change.problems[0]["message"]
    with pytest.raises(InvalidTransition, match="forbids the delete"):
        environments.accept(changeset, change.number)


def test_protection_by_a_row_that_goes_too_is_no_obstacle(environments: Environments) -> None:
    euro = environments.add(Currency, number=978, code="EUR", only="default")
    yen = environments.add(Currency, number=392, code="JPY")
    lamp = environments.add(Product, sku="lamp", name="Lamp")
    environments.add(Price, product=lamp, currency=euro, amount=1, only="default")
    environments.add(Price, product=lamp, currency=yen, amount=1)
    changeset = environments.changeset()
    assert by_key(changeset)["currency", "978"].problems == []
    environments.sync()
    environments.assert_equal()


def test_a_tree_that_goes_lists_no_row_twice(environments: Environments) -> None:
    root = environments.add(Category, slug="root", only="default")
    environments.add(Category, slug="leaf", parent=root, only="default")
    environments.add(Category, slug="stays")
    changes = by_key(environments.changeset())
    assert changes["category", "root"].cascades == changes["category", "leaf"].cascades == []
    assert changes["category", "root"].requires == [changes["category", "leaf"].number]


# Why a change cannot be applied


def test_a_reference_to_a_row_that_neither_side_offers(environments: Environments) -> None:
    country = environments.add(Country, code="FR", only="source")
    environments.add(Language, country=country, code="fr", only="source")
    changeset = environments.changeset("testapp.language")
    change = by_key(changeset)["language", "FR · fr"]
    assert codes(change) == [("missing_reference", "country")]
    assert '["FR"]' in change.problems[0]["message"]


def test_a_link_to_a_row_that_neither_side_offers(environments: Environments) -> None:
    lamp = environments.add(Product, sku="lamp", name="Lamp")
    lamp[0].tags.add(environments.add(Tag, name="new", only="source")[0])
    change = by_key(environments.changeset("testapp.product"))["product", "lamp"]
    assert codes(change) == [("missing_reference", "tags")]


def test_a_reference_to_a_row_outside_of_the_pull_that_is_here(environments: Environments) -> None:
    country = environments.add(Country, code="FR")
    environments.add(Language, country=country, code="fr", only="source")
    assert by_key(environments.changeset("testapp.language"))["language", "FR · fr"].problems == []


def test_what_has_a_problem_cannot_be_accepted_in_bulk(environments: Environments) -> None:
    country = environments.add(Country, code="FR", only="source")
    for code in ("fr", "br"):
        environments.add(Language, country=country, code=code, only="source")
    changeset = environments.changeset("testapp.language")
    decided = review.decide(
        changeset.pk, review.Selection(), review.Decision.ACCEPTED, environments.actor, revision=None
    )
    assert (decided.count, decided.skipped_problems) == (0, 2)


# What differs


@pytest.mark.parametrize(
    ("before", "after", "paths"),
    [
        ({"a": 1}, {"a": 2}, [["json", "a"]]),
        ({"a": {"b": [1, 2, 3]}}, {"a": {"b": [1, 3]}}, [["json", "a", "b", 1]]),
        ({"a": 1}, {"a": True}, [["json", "a"]]),
        ({}, {"new": None}, [["json", "new"]]),
    ],
)
def test_a_diff_leads_to_what_differs(environments: Environments, before: Any, after: Any, paths: list[Any]) -> None:
    environments.add(Everything, name="row", json=(after, before))
    change = environments.changeset().changes.get()
    assert [row["path"] for row in change.diff] == paths


def test_a_change_has_a_diff_or_a_changed_file(environments: Environments) -> None:
    language = environments.add(Language, country=environments.add(Country, code="FR"), code="fr")
    environments.put("a.png", b"here", only="default")
    environments.put("a.png", b"there", only="source")
    environments.add(Copy, language=language, key="file", value="", default="", thumbnail="a.png")
    environments.add(Copy, language=language, key="text", value=("new", "old"), default="")
    environments.add(Copy, language=language, key="new", value="", default="", only="source")
    for change in environments.changeset().changes.all():
        files = any(sides["before"] != sides["after"] for sides in change.files.values())
        assert change.diff or files, change
        assert change.before_digest != change.after_digest
