"""Records of rows that are hard to describe: inherited tables, generic foreign keys, odd primary keys and names."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models
from django.test.utils import CaptureQueriesContext

from data_sync.core.errors import RecordError
from data_sync.core.records import Record, split_line
from data_sync.orm.resolution import schemas
from data_sync.orm.rows import RowReader
from tests.hard.models import (
    Album,
    Amount,
    Car,
    City,
    Event,
    Gauge,
    Ingredient,
    Item,
    Mark,
    Member,
    Memo,
    Nation,
    Node,
    Offer,
    Owner,
    Phone,
    Pizzeria,
    Place,
    Portrait,
    Profile,
    ProxyItem,
    Quoted,
    QuotedChild,
    Recipe,
    Remark,
    Restaurant,
    Room,
    Smartphone,
    Song,
    Taxi,
    Ticket,
    Total,
    Tower,
    Unit,
    Vehicle,
)
from tests.testapp.models import Comment, Product

pytestmark = pytest.mark.django_db


def read(model: type[models.Model]) -> list[Record]:
    reader = RowReader(schemas()[model._meta.label_lower], "default")
    return [split_line(line).record() for line in reader.lines()]


def read_one(model: type[models.Model]) -> Record:
    [record] = read(model)
    return record


# Inherited tables


def test_inherited_fields_are_the_registered_parents() -> None:
    harbour = Place.objects.create(slug="harbour")
    row = Pizzeria.objects.create(slug="luigi", name="Luigi", stars=2, oven="wood", rival=harbour)
    row.near.add(harbour)
    assert read_one(Pizzeria).key == ("luigi",)
    assert read_one(Pizzeria).fields == {"oven": "wood", "restaurant_ptr": ["luigi"], "rival": ["harbour"]}
    assert read_one(Restaurant).fields == {"stars": 2, "place_ptr": ["luigi"]}
    assert [record.fields for record in read(Place)] == [
        {"slug": "harbour", "name": "", "near": []},
        {"slug": "luigi", "name": "Luigi", "near": [["harbour"]]},
    ]


def test_fields_of_parents_that_are_not_registered_are_the_childs() -> None:
    Tower.objects.create(code="north", worth=7, floors=3, bells=5)
    assert read_one(Tower).fields == {"code": "north", "worth": 7, "owner": None, "floors": 3, "bells": 5}


def test_links_of_a_parent_that_is_not_registered_are_the_childs() -> None:
    for number in range(3):
        Vehicle.objects.create(plate=f"van {number}")
    room = Room.objects.create(name="garage")
    taxi = Taxi.objects.create(plate="T1", doors=3, number=1)
    Car.objects.create(plate="C1")
    taxi.parked.add(room)
    assert {record.key: record.fields["parked"] for record in read(Car)} == {("T1",): [["garage"]], ("C1",): []}
    assert read_one(Taxi).fields == {"number": 1, "car_ptr": ["T1"]}


def test_an_unregistered_table_between_registered_ones_belongs_to_the_child() -> None:
    Phone.objects.create(serial="0", network="none")
    Smartphone.objects.create(serial="1", maker="Acme", network="4G", system="Sailfish")
    assert read_one(Smartphone).key == ("1",)
    assert read_one(Smartphone).fields == {"network": "4G", "system": "Sailfish", "device_ptr": ["1"]}


def test_a_registered_proxy_stands_for_its_table() -> None:
    Item.objects.create(code="lamp", text="bright")
    Offer.objects.create(name="sale", item=ProxyItem.objects.get())
    assert read_one(ProxyItem).model == "hard.proxyitem"
    assert read_one(Offer).fields == {"name": "sale", "item": ["lamp"]}


# Keys and primary keys


def test_primary_keys_that_are_references_are_in_the_record() -> None:
    member = Member.objects.create(name="ann")
    profile = Profile.objects.create(member=member, text="hello")
    Portrait.objects.create(profile=profile, style="oil")
    assert (read_one(Profile).key, read_one(Profile).fields) == (("ann",), {"member": ["ann"], "text": "hello"})
    assert (read_one(Portrait).key, read_one(Portrait).fields) == (("ann",), {"profile": ["ann"], "style": "oil"})


def test_natural_primary_keys_are_keys_and_others_stay_at_home() -> None:
    event, ticket = Event.objects.create(title="fair"), Ticket.objects.create(code="T", title="entry")
    City.objects.create(nation=Nation.objects.create(code="FR"), name="Lyon", event=event, ticket=ticket)
    assert read_one(Event).fields == {"id": str(event.pk), "title": "fair"}
    assert read_one(Ticket).fields == {"code": "T", "title": "entry"}
    assert read_one(City).key == ("FR", "Lyon")
    assert read_one(City).fields == {"nation": ["FR"], "name": "Lyon", "event": [str(event.pk)], "ticket": ["T"]}


def test_a_reference_to_another_column_is_a_natural_key_as_any() -> None:
    Gauge.objects.create(name="outside", unit=Unit.objects.create(name="degree", symbol="°"))
    assert read_one(Gauge).fields == {"name": "outside", "unit": ["degree"]}


# Many-to-many


def test_rows_of_registered_through_models_stand_for_the_links() -> None:
    recipe = Recipe.objects.create(name="bread")
    Amount.objects.create(recipe=recipe, ingredient=Ingredient.objects.create(name="flour"), grams=500)
    assert read_one(Recipe).fields == {"name": "bread"}
    assert read_one(Amount).key == ("bread", "flour")
    assert read_one(Amount).fields == {"recipe": ["bread"], "ingredient": ["flour"], "grams": 500}
    Album.objects.create(name="A").songs.add(Song.objects.create(name="S"))
    assert read_one(Album).fields == {"name": "A"}
    assert read_one(Album.songs.through).fields == {"album": ["A"], "song": ["S"]}


# What else belongs to a record or not


def test_hidden_rows_are_read_and_generated_columns_are_not() -> None:
    Memo.objects.create(slug="seen")
    Memo.objects.create(slug="hidden", hidden=True)
    assert {record.key for record in read(Memo)} == {("seen",), ("hidden",)}
    Total.objects.create(name="sum", count=6, price=7)
    assert read_one(Total).fields == {"name": "sum", "count": 6, "price": 7}


def test_names_that_need_quotes_are_read() -> None:
    root = Quoted.objects.create(select="root", order=1)
    row = Quoted.objects.create(select="from", order=2, parent=root)
    row.tags.add(Room.objects.create(name="attic"))
    QuotedChild.objects.create(quoted=row, group="by")
    assert [record.fields for record in read(Quoted)] == [
        {"select": "root", "order": 1, "parent": None, "tags": []},
        {"select": "from", "order": 2, "parent": ["root"], "tags": [["attic"]]},
    ]
    assert read_one(QuotedChild).fields == {"quoted": ["from"], "group": "by"}


# Generic foreign keys


def test_a_generic_foreign_key_is_one_field_with_label_and_natural_key() -> None:
    Remark.objects.create(code="a", about=Node.objects.create(slug="root"))
    Remark.objects.create(code="b", about=Ticket.objects.create(code="T"))
    Remark.objects.create(code="c", about=ProxyItem.objects.create(code="lamp"))
    Remark.objects.create(code="d")
    Mark.objects.create(code="m", marked=Restaurant.objects.create(slug="luigi"))
    assert [record.fields for record in read(Remark)] == [
        {"code": "a", "about": ["hard.node", ["root"]]},
        {"code": "b", "about": ["hard.ticket", ["T"]]},
        {"code": "c", "about": ["hard.proxyitem", ["lamp"]]},
        {"code": "d", "about": None},
    ]
    assert read_one(Mark).fields == {"code": "m", "marked": ["hard.restaurant", ["luigi"]]}


def test_generic_targets_are_looked_up_by_batch() -> None:
    nodes = [Node.objects.create(slug=f"n{number}") for number in range(300)]
    tickets = [Ticket.objects.create(code=f"t{number}") for number in range(300)]
    for number, target in enumerate([*nodes, *tickets]):
        Remark.objects.create(code=str(number), about=target)
    with CaptureQueriesContext(connection) as captured:
        assert len(read(Remark)) == 600
    assert len(captured) <= 6


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"content_type": None, "object_id": "7"}, "half: content_type is None, object_id '7'"),
        ({"object_id": "7"}, "hard.node that does not exist (7)"),
        ({"object_id": "seven"}, "hard.node 'seven', which cannot be a primary key"),
        ({"object_id": ""}, "hard.node '', which cannot be a primary key"),
        ({"content_type_id": 1_000_000, "object_id": "7"}, "a content type that does not exist (1000000)"),
        ({"content_type": "testapp.comment", "object_id": "1"}, "testapp.comment, which is not registered"),
        ({"content_type": "hard.vehicle", "object_id": "1"}, "hard.vehicle, which is not registered"),
        ({"content_type": "gone.model", "object_id": "1"}, "gone.model, which is not registered"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_generic_target_that_no_record_can_name_is_an_error_that_names_the_row(
    values: dict[str, Any], why: str
) -> None:
    kind = values.get("content_type", "hard.node")
    if kind is not None:
        app_label, name = kind.split(".")
        values = {**values, "content_type": ContentType.objects.get_or_create(app_label=app_label, model=name)[0]}
        values = {
            name: value for name, value in values.items() if name != "content_type" or "content_type_id" not in values
        }
    Comment.objects.create(product=Product.objects.create(sku="1"))
    Remark.objects.create(code="sound")
    row = Remark.objects.create(code="broken", **values)
    with pytest.raises(RecordError) as raised:
        read(Remark)
    assert f"hard.Remark with primary key {row.pk} refers by about to" in str(raised.value)
    assert why in str(raised.value)


def test_a_content_type_that_could_not_be_written_back_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a generic foreign key tells proxies apart, only the registered one has a name in records."""
    [about] = schemas()["hard.remark"].generics
    monkeypatch.setattr(about.field, "for_concrete_model", False)
    item = ProxyItem.objects.create(code="lamp")
    kinds = ContentType.objects.get_for_models(Item, ProxyItem, for_concrete_models=False)
    Remark.objects.create(code="a", content_type=kinds[ProxyItem], object_id=str(item.pk))
    assert read_one(Remark).fields["about"] == ["hard.proxyitem", ["lamp"]]
    Remark.objects.create(code="b", content_type=kinds[Item], object_id=str(item.pk))
    with pytest.raises(RecordError, match=r"hard\.item, a content type apart from that of hard\.proxyitem"):
        read(Remark)


def test_uuids_are_found_however_the_column_holds_them() -> None:
    ticket = Ticket.objects.create(pk=uuid.uuid4(), code="T")
    kind = ContentType.objects.get_for_model(Ticket)
    Remark.objects.create(code="a", content_type=kind, object_id=ticket.pk.hex)
    assert read_one(Remark).fields["about"] == ["hard.ticket", ["T"]]


def test_content_types_are_read_from_the_database_and_not_from_a_cache() -> None:
    node = Node.objects.create(slug="root")
    kind = ContentType.objects.get_for_model(Node)
    Remark.objects.create(code="a", content_type=kind, object_id=str(node.pk))
    ContentType.objects.filter(app_label="hard", model="owner").delete()
    ContentType.objects.filter(pk=kind.pk).update(model="owner")
    Owner.objects.create(pk=node.pk, name="Ann")
    assert read_one(Remark).fields["about"] == ["hard.owner", ["Ann"]]
