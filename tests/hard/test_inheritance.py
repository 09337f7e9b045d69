"""Multi-table inheritance: parents registered all the way, not at all, or here and there."""

from __future__ import annotations

import pytest

from data_sync.core.states import Operation
from tests.environments import Environments

from .bringing import bring, operations, pending, problems, rows
from .models import (
    Car,
    Guide,
    Item,
    Museum,
    Offer,
    Phone,
    Pizzeria,
    Place,
    ProxyItem,
    Restaurant,
    Room,
    Smartphone,
    Taxi,
    Tower,
)

pytestmark = pytest.mark.usefixtures("both_ways_on_sqlite")

LEVELS = ("hard.place", "hard.restaurant", "hard.pizzeria")


def test_three_registered_levels_arrive_as_three_rows(environments: Environments) -> None:
    made = rows(Pizzeria, "source").create(slug="roma", name="Roma", stars=2, oven="wood")
    made.near.add(rows(Place, "source").create(slug="park", name="Park"))
    changeset = bring(environments)
    kinds = operations(changeset)
    assert {label for label, key in kinds if key == "roma"} == set(LEVELS)
    arrived = rows(Pizzeria, "default").get()
    assert (arrived.slug, arrived.name, arrived.stars, arrived.oven) == ("roma", "Roma", 2, "wood")
    assert [place.slug for place in arrived.near.all()] == ["park"]


def test_each_level_changes_by_itself(environments: Environments) -> None:
    for alias in ("source", "default"):
        rows(Pizzeria, alias).create(slug="roma", name="Roma", stars=2, oven="wood")
        rows(Pizzeria, alias).create(slug="pisa", name="Pisa", stars=1, oven="gas")
    kept = dict(rows(Pizzeria, "default").values_list("slug", "pk"))
    rows(Place, "source").filter(slug="roma").update(name="Bella Roma")
    rows(Restaurant, "source").filter(slug="pisa").update(stars=3)
    rows(Pizzeria, "source").filter(slug="pisa").update(oven="stone", rival=rows(Place, "source").get(slug="roma"))
    changeset = bring(environments)
    assert operations(changeset) == {
        ("hard.place", "roma"): Operation.UPDATE,
        ("hard.restaurant", "pisa"): Operation.UPDATE,
        ("hard.pizzeria", "pisa"): Operation.UPDATE,
    }
    assert dict(rows(Pizzeria, "default").values_list("slug", "pk")) == kept


def test_what_was_a_place_becomes_a_pizzeria_and_back(environments: Environments) -> None:
    rows(Pizzeria, "source").create(slug="roma", name="Roma", oven="wood")
    rows(Place, "source").create(slug="pisa", name="Pisa")
    rows(Place, "default").create(slug="roma", name="Roma")
    rows(Pizzeria, "default").create(slug="pisa", name="Pisa", oven="gas")
    kept = dict(rows(Place, "default").values_list("slug", "pk"))
    changeset = bring(environments)
    assert operations(changeset) == {
        ("hard.restaurant", "roma"): Operation.CREATE,
        ("hard.pizzeria", "roma"): Operation.CREATE,
        ("hard.pizzeria", "pisa"): Operation.DELETE,
        ("hard.restaurant", "pisa"): Operation.DELETE,
    }
    assert dict(rows(Place, "default").values_list("slug", "pk")) == kept


def test_a_whole_row_goes_level_by_level(environments: Environments) -> None:
    for alias in ("source", "default"):
        rows(Pizzeria, alias).create(slug="roma")
        rows(Pizzeria, alias).create(slug="pisa")
    rows(Place, "source").get(slug="roma").delete()
    changeset = bring(environments)
    assert operations(changeset) == {(label, "roma"): Operation.DELETE for label in LEVELS}
    assert rows(Restaurant, "default").get().slug == rows(Pizzeria, "default").get().slug == "pisa"


def test_a_level_needs_the_one_above_it(environments: Environments) -> None:
    rows(Pizzeria, "source").create(slug="roma")
    changeset = pending(environments)
    numbers = {change.model: change.number for change in changeset.changes.all()}
    needs = {change.model: change.requires for change in changeset.changes.all()}
    assert needs == {
        "hard.place": [],
        "hard.restaurant": [numbers["hard.place"]],
        "hard.pizzeria": [numbers["hard.restaurant"]],
    }


def cars(alias: str, plates: dict[str, tuple[int, int]]) -> None:
    for plate, (wheels, doors) in plates.items():
        car = rows(Car, alias).create(plate=plate, wheels=wheels, doors=doors)
        car.parked.add(rows(Room, alias).get_or_create(name=f"garage of {plate}")[0])


def test_fields_of_a_parent_that_is_not_registered_belong_to_the_child(environments: Environments) -> None:
    cars("source", {"NEW 1": (3, 2), "SAME": (4, 5), "EDIT": (6, 3)})
    cars("default", {"SAME": (4, 5), "EDIT": (4, 3), "GONE": (4, 4)})
    kept = dict(rows(Car, "default").filter(plate__in=["SAME", "EDIT"]).values_list("plate", "pk"))
    changeset = bring(environments)
    kinds = {key: kind for (label, key), kind in operations(changeset).items() if label == "hard.car"}
    assert kinds == {"NEW 1": Operation.CREATE, "EDIT": Operation.UPDATE, "GONE": Operation.DELETE}
    held = {(car.plate, car.wheels, car.doors) for car in rows(Car, "default")}
    assert held == {("NEW 1", 3, 2), ("SAME", 4, 5), ("EDIT", 6, 3)}
    assert kept.items() <= dict(rows(Car, "default").values_list("plate", "pk")).items()


def test_a_registered_child_of_a_registered_child_of_one_that_is_not(environments: Environments) -> None:
    rows(Taxi, "source").create(plate="T 1", wheels=4, doors=4, number=1)
    rows(Taxi, "source").create(plate="T 2", wheels=3, doors=4, number=2)
    rows(Taxi, "default").create(plate="T 2", wheels=4, doors=5, number=1)
    rows(Taxi, "default").create(plate="T 3", wheels=4, doors=5, number=2)
    bring(environments)
    held = set(rows(Taxi, "default").values_list("plate", "wheels", "doors", "number"))
    assert held == {("T 1", 4, 4, 1), ("T 2", 3, 4, 2)}


def test_a_row_of_a_middle_table_that_is_not_registered_is_not_taken_over(environments: Environments) -> None:
    """The plain phone is nobody's: the smartphone cannot come before it is gone."""
    rows(Smartphone, "source").create(serial="s1", maker="A", network="5G", system="X")
    rows(Smartphone, "source").create(serial="s2", maker="B", network="4G", system="Y")
    rows(Smartphone, "default").create(serial="s2", maker="B", network="3G", system="Y")
    rows(Phone, "default").create(serial="s1", maker="A", network="1G")
    assert problems(pending(environments)) == {("hard.smartphone", "s1"): ["unique_collision"]}
    rows(Phone, "default").get(serial="s1").delete(keep_parents=True)
    bring(environments)
    held = set(rows(Smartphone, "default").values_list("serial", "maker", "network", "system"))
    assert held == {("s1", "A", "5G", "X"), ("s2", "B", "4G", "Y")}


def test_a_link_to_the_parent_with_a_name_of_its_own(environments: Environments) -> None:
    rows(Place, "default").create(slug="shifts the counting")
    for alias, slugs in (("source", "abc"), ("default", "bcd")):
        for slug in slugs:
            museum = rows(Museum, alias).create(slug=slug, name=alias, ticket=alias)
            rows(Guide, alias).create(name=f"to {slug}", museum=museum, start=museum.house)
    changeset = bring(environments)
    assert {label for label, key in operations(changeset) if key in "abcd"} == {"hard.place", "hard.museum"}
    held = rows(Museum, "default").values_list("slug", "name", "ticket", "guide__name", "guide__start__slug")
    assert set(held) == {(slug, "source", "source", f"to {slug}", slug) for slug in "abc"}


def test_no_level_but_the_last_is_registered(environments: Environments) -> None:
    rows(Tower, "source").create(code="t1", worth=5, floors=20, bells=3)
    rows(Tower, "source").create(code="t2", worth=6, floors=10, bells=1)
    rows(Tower, "default").create(code="t2", worth=1, floors=9, bells=1)
    rows(Tower, "default").create(code="t3", worth=2, floors=8, bells=2)
    bring(environments)
    held = set(rows(Tower, "default").values_list("code", "worth", "floors", "bells"))
    assert held == {("t1", 5, 20, 3), ("t2", 6, 10, 1)}


def test_a_proxy_stands_for_its_model(environments: Environments) -> None:
    for alias, text in (("source", "new"), ("default", "old")):
        item = rows(Item, alias).create(code="i1", text=text)
        rows(Offer, alias).create(name=f"{text} offer", item=item)
    bring(environments)
    assert rows(ProxyItem, "default").get().text == "new"
    assert rows(Offer, "default").get().item_id == rows(Item, "default").get().pk
