"""Many-to-many: plain, to the same model, and by a through model that is registered."""

from __future__ import annotations

import pytest

from data_sync.core.states import Operation
from tests.environments import Environments

from .bringing import bring, operations, pending, problems, rows, words
from .models import Acquaintance, Actor, Album, Amount, Ingredient, Member, Pal, Recipe, Song

pytestmark = pytest.mark.usefixtures("both_ways_of_reading")

Grams = dict[str, dict[str, int]]


def recipes(alias: str, amounts: Grams) -> None:
    for name, its in amounts.items():
        recipe = rows(Recipe, alias).create(name=name)
        for ingredient, grams in its.items():
            one, _ = rows(Ingredient, alias).get_or_create(name=ingredient)
            rows(Amount, alias).create(recipe=recipe, ingredient=one, grams=grams)


def amounts(alias: str) -> set[tuple[str, str, int]]:
    return set(rows(Amount, alias).values_list("recipe__name", "ingredient__name", "grams"))


def test_through_rows_with_columns_of_their_own(environments: Environments) -> None:
    recipes("source", {"bread": {"flour": 500, "water": 350, "salt": 10}, "dough": {"flour": 300}})
    recipes("default", {"dough": {"flour": 250, "sugar": 20}, "soup": {"water": 900}})
    changeset = bring(environments)
    assert operations(changeset)["hard.amount", "dough · flour"] == Operation.UPDATE
    assert operations(changeset)["hard.amount", "dough · sugar"] == Operation.DELETE
    assert amounts("default") == {
        ("bread", "flour", 500),
        ("bread", "water", 350),
        ("bread", "salt", 10),
        ("dough", "flour", 300),
    }


def test_a_through_row_needs_both_of_its_ends(environments: Environments) -> None:
    recipes("source", {"bread": {"flour": 500}})
    changeset = pending(environments)
    numbers = {change.model: change.number for change in changeset.changes.all()}
    amount = changeset.changes.get(model="hard.amount")
    assert set(amount.requires) == {numbers["hard.recipe"], numbers["hard.ingredient"]}


def test_the_model_itself_does_not_change_with_its_through_rows(environments: Environments) -> None:
    recipes("source", {"bread": {"flour": 500}})
    recipes("default", {"bread": {"flour": 400}})
    changeset = bring(environments)
    assert operations(changeset) == {("hard.amount", "bread · flour"): Operation.UPDATE}


def test_a_plain_through_table_that_is_registered(environments: Environments) -> None:
    for alias, songs in (("source", ["one", "two"]), ("default", ["two", "three"])):
        album = rows(Album, alias).create(name="first")
        for name in ("one", "two", "three"):
            song = rows(Song, alias).create(name=name)
            if name in songs:
                album.songs.through._base_manager.using(alias).create(album=album, song=song)
    changeset = bring(environments)
    assert sorted(operations(changeset).values()) == [Operation.CREATE, Operation.DELETE]
    linked = Album.songs.through._base_manager.using("default").values_list("song__name", flat=True)
    assert set(linked) == {"one", "two"}


def test_through_rows_between_rows_of_one_model(environments: Environments) -> None:
    for alias, since in (("source", {"ab": 1, "bc": 2, "cc": 3}), ("default", {"ab": 9, "ba": 4, "cc": 3})):
        actors = {name: rows(Actor, alias).create(name=name) for name in "abc"}
        for (one, other), year in since.items():
            rows(Acquaintance, alias).create(one=actors[one], other=actors[other], since=year)
    changeset = bring(environments)
    assert operations(changeset) == {
        ("hard.acquaintance", "a · b"): Operation.UPDATE,
        ("hard.acquaintance", "b · c"): Operation.CREATE,
        ("hard.acquaintance", "b · a"): Operation.DELETE,
    }
    held = rows(Acquaintance, "default").values_list("one__name", "other__name", "since")
    assert set(held) == {("a", "b", 1), ("b", "c", 2), ("c", "c", 3)}


def members(alias: str, friends: dict[str, str], follows: dict[str, str]) -> None:
    made = {name: rows(Member, alias).create(name=name) for name in friends}
    for name, others in friends.items():
        made[name].friends.add(*(made[other] for other in others))
    for name, others in follows.items():
        made[name].follows.add(*(made[other] for other in others))


def followed(alias: str) -> set[tuple[str, str]]:
    through = Member.follows.through._base_manager.using(alias)
    return set(through.values_list("from_member__name", "to_member__name"))


def befriended(alias: str) -> set[tuple[str, str]]:
    through = Member.friends.through._base_manager.using(alias)
    return set(through.values_list("from_member__name", "to_member__name"))


def test_links_to_the_same_model_with_and_without_direction(environments: Environments) -> None:
    members("source", {"a": "bc", "b": "", "c": "", "d": "d"}, {"a": "b", "b": "ca", "c": "c", "d": ""})
    members("default", {"b": "c", "c": "", "e": "bc"}, {"b": "c", "c": "b", "e": "e"})
    bring(environments)
    assert followed("default") == {("a", "b"), ("b", "c"), ("b", "a"), ("c", "c")}
    assert befriended("default") == {("a", "b"), ("b", "a"), ("a", "c"), ("c", "a"), ("d", "d")}


def test_a_friendship_is_taken_over_on_both_sides_or_on_neither(environments: Environments) -> None:
    for alias in ("source", "default"):
        members(alias, {"a": "", "b": ""}, {})
    a, b = (rows(Member, "source").get(name=name) for name in "ab")
    a.friends.add(b)
    changeset = pending(environments)
    first, second = changeset.changes.order_by("number")
    assert not problems(changeset)
    assert (first.requires, second.requires) == ([second.number], [first.number])
    bring(environments)


def test_half_a_link_needs_the_delete_of_the_other_half(environments: Environments) -> None:
    _, here = environments.add(Member, name="a")
    here.friends.add(rows(Member, "default").create(name="gone"))
    changeset = pending(environments)
    numbers = dict(changeset.changes.values_list("operation", "number"))
    assert changeset.changes.get(operation=Operation.UPDATE).requires == [numbers[Operation.DELETE]]
    bring(environments)
    assert not here.friends.exists()


def test_half_a_link_to_a_row_that_stays_is_a_problem(environments: Environments) -> None:
    _, here = environments.add(Pal, name="a")
    here.pals.add(rows(Pal, "default").create(name="stays"))
    changeset = pending(environments)
    assert problems(changeset) == {("hard.pal", "a"): ["half_a_link"]}
    assert 'pals would lose hard.pal ["stays"]' in words(changeset, "half_a_link")
