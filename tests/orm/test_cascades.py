"""What a delete reaches: as Django's collector has it, inherited tables and generic relations among it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models
from django.db.models import ProtectedError, RestrictedError
from django.test.utils import CaptureQueriesContext

from data_sync import registry
from data_sync.orm.cascades import Cascade, Reach, reach_at_once, reach_of
from data_sync.orm.resolution import schemas
from tests.hard.models import (
    Album,
    Asset,
    Car,
    Device,
    Egg,
    Hen,
    Item,
    LocalRestrict,
    Mark,
    Member,
    Node,
    Offer,
    OnCascade,
    OnNothing,
    OnProtect,
    OnRestrict,
    OnSetDefault,
    OnSetNull,
    OnSetValue,
    Owner,
    Phone,
    Pizzeria,
    Place,
    ProxyItem,
    Quoted,
    QuotedChild,
    Remark,
    Restaurant,
    Room,
    Smartphone,
    Song,
    Taxi,
    Ticket,
    Tower,
    Vehicle,
)
from tests.testapp.models import Product, Tag

pytestmark = pytest.mark.django_db


def reach(*roots: models.Model, **options: Any) -> Reach:
    """What deleting the first of these reaches, where the others are deleted too."""
    rows = [(type(root), root.pk) for root in roots]
    return reach_of(rows, "default", {}, **options)[rows[0]]


def told(cascades: list[Cascade]) -> set[tuple[str, Any, str, str]]:
    return {(cascade.model.__name__, cascade.pk, cascade.effect, cascade.column) for cascade in cascades}


# On delete


@pytest.fixture
def default_owner(monkeypatch: pytest.MonkeyPatch) -> Owner:
    """The row that `OnSetDefault` falls back to."""
    owner = Owner.objects.create(name="default")
    monkeypatch.setattr(OnSetDefault._meta.get_field("owner"), "default", owner.pk)
    return owner


def test_each_kind_of_on_delete_has_its_effect(default_owner: Owner) -> None:
    owner, other = Owner.objects.create(name="Ann"), Owner.objects.create(name="Bob")
    kinds = (OnCascade, OnProtect, OnSetNull, OnSetDefault, OnSetValue, OnNothing)
    rows = {kind: kind.objects.create(name="hers", owner=owner).pk for kind in kinds}
    for kind in kinds:
        kind.objects.create(name="his", owner=other)
    found = reach(owner)
    assert told(found.cascades) == {
        ("OnCascade", rows[OnCascade], "delete", "owner"),
        ("OnSetNull", rows[OnSetNull], "null", "owner"),
        ("OnSetDefault", rows[OnSetDefault], "default", "owner"),
        ("OnSetValue", rows[OnSetValue], "set", "owner"),
    }
    assert told(found.obstacles) == {
        ("OnProtect", rows[OnProtect], "protect", "owner"),
        ("OnNothing", rows[OnNothing], "nothing", "owner"),
    }


def test_a_default_that_is_not_there_or_goes_itself_stands_in_the_way(default_owner: Owner) -> None:
    row = OnSetDefault.objects.create(name="row", owner=Owner.objects.create(name="Ann"))
    same = OnSetDefault.objects.create(name="same", owner=default_owner)
    assert told(reach(row.owner).cascades) == {("OnSetDefault", row.pk, "default", "owner")}
    assert told(reach(default_owner).obstacles) == {("OnSetDefault", same.pk, "protect", "owner")}
    assert told(reach(row.owner, default_owner).obstacles) == {("OnSetDefault", row.pk, "protect", "owner")}
    same.delete()
    Owner.objects.exclude(pk=row.owner_id).delete()
    assert told(reach(row.owner).obstacles) == {("OnSetDefault", row.pk, "protect", "owner")}


@pytest.mark.parametrize("model", [LocalRestrict, OnRestrict])
@pytest.mark.parametrize("goes_along", [True, False])
def test_restrict_gives_way_where_the_row_goes_along_by_another_reference(model: Any, goes_along: bool) -> None:
    owner, other = Owner.objects.create(name="Ann"), Owner.objects.create(name="Bob")
    parent = OnCascade.objects.create(name="parent", owner=owner)
    name = {"name": "row"} if model is OnRestrict else {}
    row = model.objects.create(parent=parent, owner=owner if goes_along else other, **name)
    found = reach(owner)
    assert told(found.obstacles) == (set() if goes_along else {(model.__name__, row.pk, "restrict", "parent")})
    if goes_along:
        owner.delete()
    else:
        with pytest.raises(RestrictedError):
            owner.delete()


def test_protect_never_gives_way() -> None:
    owner = Owner.objects.create(name="Ann")
    row = OnProtect.objects.create(name="row", owner=owner)
    assert told(reach(owner).obstacles) == {("OnProtect", row.pk, "protect", "owner")}
    with pytest.raises(ProtectedError):
        owner.delete()


def test_a_row_that_is_deleted_or_moved_by_itself_stands_apart() -> None:
    owner = Owner.objects.create(name="Ann")
    gone = OnProtect.objects.create(name="gone", owner=owner)
    moved = OnNothing.objects.create(name="moved", owner=owner)
    found = reach(owner, gone, is_spared=lambda cascade: cascade.model is OnNothing)
    assert (found.cascades, found.obstacles) == ([], [])
    assert told(found.apart) == {
        ("OnProtect", gone.pk, "protect", "owner"),
        ("OnNothing", moved.pk, "nothing", "owner"),
    }
    alone = reach_of([(Owner, owner.pk), (OnProtect, gone.pk)], "default", {}, alone=True)
    assert told(alone[(Owner, owner.pk)].obstacles) >= {("OnProtect", gone.pk, "protect", "owner")}


@pytest.mark.skipif(not hasattr(models, "DB_CASCADE"), reason="Django 6.1 has on_delete in the database")
def test_what_the_database_does_on_delete_counts_as_what_django_does(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = Owner.objects.create(name="Ann")
    row = OnNothing.objects.create(name="row", owner=owner)
    for name, effect in (("DB_CASCADE", "delete"), ("DB_SET_NULL", "null"), ("DB_SET_DEFAULT", "default")):
        monkeypatch.setattr(OnNothing._meta.get_field("owner").remote_field, "on_delete", getattr(models, name))
        assert told(reach(owner).cascades) == {("OnNothing", row.pk, effect, "owner")}


# Links


def test_rows_own_links_are_theirs_and_those_of_others_are_unlinked() -> None:
    ann, bob = Member.objects.create(name="Ann"), Member.objects.create(name="Bob")
    ann.follows.add(bob)
    assert reach(ann).cascades == []
    [unlinked] = reach(bob).cascades
    assert (unlinked.effect, unlinked.column) == ("unlink", "to_member")


def test_rows_of_a_registered_through_model_are_rows_as_any() -> None:
    album, song = Album.objects.create(name="A"), Song.objects.create(name="S")
    album.songs.add(song)
    link = Album.songs.through.objects.get()
    for root in (album, song):
        assert told(reach(root).cascades) == {("Album_songs", link.pk, "delete", type(root).__name__.lower())}
    assert told(reach(song, link).apart) == {("Album_songs", link.pk, "delete", "song")}


def test_links_that_are_not_synced_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    product = Product.objects.create(sku="1")
    product.tags.add(Tag.objects.create(name="new"))
    assert reach(product).cascades == []
    known = registry._registrations
    monkeypatch.setitem(known, Product, replace(known[Product], exclude=("tags",)))
    assert {(cascade.effect, cascade.column) for cascade in reach(product).cascades} == {("unlink", "product")}


# Inherited tables


def test_a_child_leaves_its_registered_parents_where_they_are() -> None:
    rival = Place.objects.create(slug="rival")
    row = Pizzeria.objects.create(slug="luigi")
    Pizzeria.objects.create(slug="enemy", rival=Place.objects.get(slug="luigi"))
    rival.near.add(row)
    assert reach(row) == Reach()


def test_a_parent_takes_its_children_along() -> None:
    row = Pizzeria.objects.create(slug="luigi")
    assert told(reach(Place.objects.get()).cascades) == {
        ("Restaurant", row.pk, "delete", "place_ptr"),
        ("Pizzeria", row.pk, "delete", "restaurant_ptr"),
    }
    place, restaurant = Place.objects.get(), Restaurant.objects.get()
    found = reach(place, restaurant, row)
    assert found.cascades == []
    assert told(found.apart) == {("Restaurant", row.pk, "delete", "place_ptr")}


def test_a_child_that_goes_along_takes_all_its_parents_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Django's collector does. What refers to the parents goes, too."""
    rival = Place.objects.create(slug="rival")
    row = Pizzeria.objects.create(slug="luigi", rival=rival)
    other = Pizzeria.objects.create(slug="other", rival=Place.objects.get(slug="luigi"))
    monkeypatch.setattr(Pizzeria._meta.get_field("rival").remote_field, "on_delete", models.CASCADE)
    expected = {
        ("Pizzeria", row.pk, "delete", "rival"),
        ("Restaurant", row.pk, "delete", "restaurant_ptr"),
        ("Place", row.pk, "delete", "place_ptr"),
        ("Pizzeria", other.pk, "delete", "rival"),
        ("Restaurant", other.pk, "delete", "restaurant_ptr"),
        ("Place", other.pk, "delete", "place_ptr"),
    }
    assert {(name, pk) for name, pk, _, _ in told(reach(rival).cascades)} == {(name, pk) for name, pk, _, _ in expected}
    rival.delete()
    assert not Place.objects.exists()


def test_tables_of_parents_that_are_not_registered_are_part_of_the_row() -> None:
    Asset.objects.create(code="another")
    row = Tower.objects.create(code="north")
    assert reach(row) == Reach()
    Vehicle.objects.create(plate="van")
    taxi = Taxi.objects.create(plate="T1", number=1)
    taxi.parked.add(Room.objects.create(name="garage"))
    car = Car.objects.get()
    assert told(reach(car).cascades) == {("Taxi", taxi.pk, "delete", "car_ptr")}
    assert reach(car, taxi).cascades == []
    assert reach(taxi) == Reach()
    assert {cascade.effect for cascade in reach(Room.objects.get()).cascades} == {"unlink"}


def test_a_row_that_goes_by_the_table_of_an_unregistered_parent_is_told_by_its_own_name() -> None:
    owner = Owner.objects.create(name="Ann")
    tower = Tower.objects.create(code="north", owner=owner)
    plain = Asset.objects.create(code="plain", owner=owner)
    expected = {("Tower", tower.pk, "delete", "owner"), ("Asset", plain.pk, "delete", "owner")}
    assert told(reach(owner).cascades) == expected
    assert told(reach(owner, tower).apart) == {("Tower", tower.pk, "delete", "owner")}
    assert told(reach(owner, is_spared=lambda cascade: cascade.model is Tower).apart) == {
        ("Tower", tower.pk, "delete", "owner")
    }
    owner.delete()
    assert not Asset.objects.exists()


def test_an_unregistered_table_in_between_goes_with_the_child_and_not_with_a_sibling() -> None:
    phone = Smartphone.objects.create(serial="1")
    Phone.objects.create(serial="2")
    assert reach(phone) == Reach()
    assert told(reach(Device.objects.get(serial="1")).cascades) == {("Smartphone", phone.pk, "delete", "device_ptr")}
    plain = Phone.objects.get(serial="2")
    assert told(reach(Device.objects.get(serial="2")).cascades) == {("Phone", plain.pk, "delete", "device_ptr")}


def test_proxies_are_told_by_the_name_they_are_registered_under() -> None:
    item = ProxyItem.objects.create(code="lamp")
    offer = Offer.objects.create(name="sale", item=Item.objects.get())
    assert told(reach(item).cascades) == {("Offer", offer.pk, "delete", "item")}


# Generic foreign keys


def test_rows_of_a_generic_relation_go_along() -> None:
    node = Node.objects.create(slug="root")
    remark = Remark.objects.create(code="a", about=node)
    Remark.objects.create(code="b", about=Ticket.objects.create(code="T"))
    assert told(reach(node).cascades) == {("Remark", remark.pk, "delete", "about")}
    assert told(reach(node, remark).apart) == {("Remark", remark.pk, "delete", "about")}


def test_rows_that_would_refer_to_nothing_stand_in_the_way() -> None:
    ticket, restaurant = Ticket.objects.create(code="T"), Restaurant.objects.create(slug="luigi")
    remark = Remark.objects.create(code="a", about=ticket)
    mark = Mark.objects.create(code="m", marked=restaurant)
    assert told(reach(ticket).obstacles) == {("Remark", remark.pk, "nothing", "about")}
    assert told(reach(restaurant).obstacles) == {("Mark", mark.pk, "nothing", "marked")}
    assert told(reach(Place.objects.get()).obstacles) == {("Mark", mark.pk, "nothing", "marked")}
    assert reach(ticket, remark).obstacles == []
    Remark.objects.update(object_id=ticket.pk.hex)
    assert told(reach(ticket).obstacles) == {("Remark", remark.pk, "nothing", "about")}


def test_a_generic_target_is_told_by_content_type_and_not_by_number() -> None:
    restaurant = Restaurant.objects.create(slug="luigi")
    kind = ContentType.objects.get_for_model(Owner)
    Owner.objects.create(pk=restaurant.pk, name="Ann")
    Mark.objects.create(code="m", kind=kind, row=restaurant.pk)
    assert reach(restaurant) == Reach()


# Names, cycles, cost


def test_names_that_need_quotes_are_followed() -> None:
    row = Quoted.objects.create(select="root")
    below = Quoted.objects.create(select="below", parent=row)
    child = QuotedChild.objects.create(quoted=below)
    assert told(reach(row).cascades) == {
        ("Quoted", below.pk, "delete", "parent"),
        ("QuotedChild", child.pk, "delete", "quoted"),
    }


def test_rows_that_refer_to_each_other_are_followed_once() -> None:
    hen = Hen.objects.create(name="h")
    egg = Egg.objects.create(name="e", hen=hen)
    Hen.objects.filter(pk=hen.pk).update(egg=egg)
    assert told(reach(hen).cascades) == {("Egg", egg.pk, "null", "hen")}
    root = Node.objects.create(slug="root")
    leaf = Node.objects.create(slug="leaf", parent=root)
    Node.objects.filter(pk=root.pk).update(parent=leaf)
    assert told(reach(root).cascades) == {("Node", leaf.pk, "delete", "parent")}


def test_a_delete_of_many_rows_takes_as_many_queries_as_one_of_few() -> None:
    def queries(count: int) -> int:
        rows = [Restaurant.objects.create(slug=f"r{count}-{number}") for number in range(count)]
        with CaptureQueriesContext(connection) as captured:
            reach(*rows)
        return len(captured)

    assert queries(5) == queries(50)


@pytest.mark.parametrize("model", [OnSetNull, OnSetDefault, OnSetValue])
def test_a_row_that_stays_and_refers_elsewhere_does_not_go_at_once(model: type[models.Model]) -> None:
    """Not even where a change of its own deletes it, later."""
    Owner.objects.create(pk=1, name="the default")
    owner = Owner.objects.create(name="goes")
    row = model._base_manager.create(name="a", owner=owner)
    together = reach_at_once(
        [(Owner, owner.pk)], "default", schemas(), lambda cascades: {(c.model, c.pk) for c in cascades}
    )
    assert together == {(Owner, owner.pk): {(Owner, owner.pk): reach(owner)}}
    assert [cascade.pk for cascade in reach(owner).cascades] == [row.pk]
