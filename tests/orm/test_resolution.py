"""From registrations to schemas: what records are made of, and in which order models are written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.test.utils import isolate_apps

from data_sync import registry
from data_sync.core import canonical
from data_sync.core.errors import RegistrationError
from data_sync.core.records import Record
from data_sync.orm.references import targets_of
from data_sync.orm.resolution import schemas
from data_sync.orm.schema import ModelSchema
from data_sync.orm.uniqueness import unique_sets
from tests.hard.models import Car, Device, Phone, Pizzeria, Place, Smartphone, Taxi, Tower
from tests.testapp.models import Everything, Product


@pytest.fixture
def no_registrations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registrations", {})


def make(title: str, /, *parents: type[models.Model], meta: dict[str, Any] | None = None, **members: Any) -> Any:
    members |= {"__module__": __name__, "Meta": type("Meta", (), {"app_label": "isolated", **(meta or {})})}
    return type(title, parents or (models.Model,), members)


def thing(title: str = "Thing", /, *parents: type[models.Model], **members: Any) -> Any:
    return make(title, *parents, **members) if parents else make(title, code=models.SlugField(unique=True), **members)


def resolved(model: type[models.Model], **options: Any) -> ModelSchema:
    registry.register(model, natural_key=["code"], **options)
    return schemas()[model._meta.label_lower]


# Generic foreign keys


def note(**members: Any) -> Any:
    return thing(
        "Note",
        content_type=models.ForeignKey(ContentType, models.CASCADE, null=True),
        object_id=models.PositiveIntegerField(null=True),
        about=GenericForeignKey(),
        **members,
    )


@pytest.mark.parametrize(
    ("options", "is_synced"),
    [
        ({}, True),
        ({"fields": ["code", "about"]}, True),
        ({"fields": ["code", "object_id"]}, True),
        ({"fields": ["code", "content_type", "object_id"]}, True),
        ({"fields": ["code"]}, False),
        ({"exclude": ["about"]}, False),
        ({"exclude": ["object_id"]}, False),
        ({"exclude": ["content_type"]}, False),
        ({"fields": ["code", "about"], "exclude": ["object_id"]}, False),
    ],
    ids=str,
)
def test_a_generic_foreign_key_is_synced_as_one_or_not_at_all(
    options: dict[str, Any], is_synced: bool, no_registrations: None
) -> None:
    with isolate_apps():
        schema = resolved(note(), **options)
        assert [generic.name for generic in schema.generics] == (["about"] if is_synced else [])
        assert schema.field_names == (("code", "about") if is_synced else ("code",))


@isolate_apps()
def test_a_generic_relation_is_no_field(no_registrations: None) -> None:
    holder = note()
    model = thing(notes=GenericRelation(holder))
    assert resolved(model).field_names == ("code",)
    registry.unregister(model)
    with pytest.raises(RegistrationError, match="has no field 'notes'"):
        resolved(model, fields=["code", "notes"])


@isolate_apps()
def test_a_generic_foreign_key_is_inherited_as_fields_are(no_registrations: None) -> None:
    parent = note()
    child = thing("Child", parent)
    assert [generic.name for generic in resolved(child).generics] == ["about"]
    resolved(parent)
    assert schemas()["isolated.child"].generics == ()
    assert [generic.name for generic in schemas()["isolated.note"].generics] == ["about"]


@pytest.mark.parametrize(
    ("type_null", "column", "null", "nothing"),
    [
        (True, models.PositiveIntegerField(null=True), True, None),
        (True, models.PositiveIntegerField(), False, None),
        (True, models.CharField(max_length=50), True, ""),
        (True, models.CharField(max_length=50, null=True), True, None),
        (False, models.CharField(max_length=50, null=True), False, None),
    ],
)
def test_a_generic_foreign_key_may_be_null_where_both_columns_can_say_so(
    type_null: bool, column: Any, null: bool, nothing: Any, no_registrations: None
) -> None:
    with isolate_apps():
        model = thing(
            kind=models.ForeignKey(ContentType, models.CASCADE, null=type_null),
            row=column,
            about=GenericForeignKey("kind", "row"),
        )
        schema = resolved(model)
        [generic] = schema.generics
        assert (generic.null, generic.nothing) == (null, nothing)
        assert schema.manifest(0).fields["about"] == {"type": "GenericForeignKey", "null": null}


# Primary keys


@isolate_apps()
def test_a_primary_key_is_in_the_record_where_it_refers_to_a_row(no_registrations: None) -> None:
    country = thing("Country", isin=models.CharField(max_length=12, primary_key=True))
    assert resolved(country).column_names == ("code",)
    king = thing("King", country=models.OneToOneField(country, models.CASCADE, primary_key=True))
    assert resolved(king).column_names == ("code", "country")


@isolate_apps()
def test_a_primary_key_that_refers_to_what_is_not_registered_is_an_error(no_registrations: None) -> None:
    country = thing("Country")
    king = thing("King", country=models.OneToOneField(country, models.CASCADE, primary_key=True))
    with pytest.raises(RegistrationError, match=r"King\.country refers to isolated.Country"):
        resolved(king)


# Many-to-many


@pytest.mark.parametrize("fields", [None, ["code", "others"]])
@pytest.mark.parametrize("own", [True, False])
def test_links_are_left_out_where_the_through_model_is_registered(
    fields: list[str] | None, own: bool, no_registrations: None
) -> None:
    with isolate_apps():
        other = thing("Other")
        resolved(other)
        options = {"through": "isolated.Between"} if own else {}
        model = thing("Thing", others=models.ManyToManyField(other, **options))
        if own:
            make(
                "Between",
                thing=models.ForeignKey(model, models.CASCADE),
                other=models.ForeignKey(other, models.CASCADE),
                meta={"unique_together": [("thing", "other")]},
            )
        registry.register(model, natural_key=["code"], fields=fields)
        through = model.others.through
        registry.register(through)
        assert schemas()["isolated.thing"].links == ()
        assert schemas()[through._meta.label_lower].column_names == ("thing", "other")
        registry.unregister(through)
        if own and fields:
            with pytest.raises(RegistrationError, match="register the through model"):
                schemas()
        else:
            assert bool(schemas()["isolated.thing"].links) is not own


# Inherited tables


def test_the_tables_of_a_row_are_its_own_and_those_of_parents_that_are_not_registered() -> None:
    names = {
        model: [table.__name__ for table in schemas()[model._meta.label_lower].tables]
        for model in (Tower, Car, Taxi, Smartphone, Pizzeria)
    }
    assert names == {
        Tower: ["Asset", "Building", "Tower"],
        Car: ["Vehicle", "Car"],
        Taxi: ["Taxi"],
        Smartphone: ["Phone", "Smartphone"],
        Pizzeria: ["Pizzeria"],
    }


def test_the_parent_link_is_a_reference_to_the_next_registered_parent() -> None:
    links = {
        model: (link.name, link.field.model, link.target)
        if (link := schemas()[model._meta.label_lower].parent_link)
        else None
        for model in (Tower, Taxi, Smartphone, Place)
    }
    assert links == {
        Tower: None,
        Taxi: ("car_ptr", Taxi, Car),
        Smartphone: ("device_ptr", Phone, Device),
        Place: None,
    }


@isolate_apps()
def test_a_row_with_two_parents_refers_to_those_that_are_registered(no_registrations: None) -> None:
    first = make("First", first=models.AutoField(primary_key=True), code=models.SlugField(unique=True))
    second = make("Second", second=models.AutoField(primary_key=True), name=models.SlugField(unique=True))
    both = thing("Both", first, second, size=models.IntegerField(default=0))
    schema = resolved(both)
    assert (schema.field_names, schema.parent_link) == (("code", "name", "size"), None)
    registry.register(second)
    schema = schemas()["isolated.both"]
    assert schema.field_names == ("code", "size", "second_ptr")
    assert schema.parent_link is not None and schema.parent_link.name == "second_ptr"
    registry.register(first)
    schema = schemas()["isolated.both"]
    assert sorted(schema.field_names) == ["first_ptr", "second_ptr", "size"]
    assert schema.parent_link is not None and schema.parent_link.name == "first_ptr"
    assert [table.__name__ for table in schema.tables] == ["Both"]


@isolate_apps()
def test_the_parent_link_is_the_one_that_gives_the_primary_key(no_registrations: None) -> None:
    first = make("First", first=models.AutoField(primary_key=True), code=models.SlugField(unique=True))
    second = make("Second", second=models.AutoField(primary_key=True), name=models.SlugField(unique=True))
    between = make("Between", second)
    for model in (first, second):
        registry.register(model)
    schema = resolved(thing("Both", first, between))
    assert sorted(reference.name for reference in schema.references) == ["first_ptr", "second_ptr"]
    assert schema.parent_link is not None and schema.parent_link.name == "first_ptr"
    assert [table.__name__ for table in schema.tables] == ["Between", "Both"]


@isolate_apps()
def test_an_abstract_parent_between_tables_makes_no_difference(no_registrations: None) -> None:
    parent = thing("Parent")
    between = type(
        "Between",
        (parent,),
        {
            "__module__": __name__,
            "Meta": type("Meta", (), {"app_label": "isolated", "abstract": True}),
            "size": models.IntegerField(),
        },
    )
    child = thing("Child", between)
    assert resolved(child).field_names == ("code", "size")
    resolved(parent)
    assert schemas()["isolated.child"].field_names == ("size", "parent_ptr")


@isolate_apps()
def test_a_child_of_a_registered_proxy_is_a_child_of_its_table(no_registrations: None) -> None:
    parent = thing("Parent")
    proxy = thing("Proxy", parent, meta={"proxy": True})
    resolved(proxy)
    schema = resolved(thing("Child", proxy))
    assert schema.parent_link is not None and schema.parent_link.target is proxy
    assert list(schemas()) == ["isolated.proxy", "isolated.child"]


# Order


def test_models_come_after_those_that_they_refer_to() -> None:
    order = list(schemas())
    for before, after in [
        ("hard.place", "hard.restaurant"),
        ("hard.restaurant", "hard.pizzeria"),
        ("hard.device", "hard.smartphone"),
        ("hard.member", "hard.profile"),
        ("hard.profile", "hard.portrait"),
        ("testapp.tag", "testapp.product"),
        ("testapp.category", "testapp.product"),
    ]:
        assert order.index(before) < order.index(after), (before, after)


@isolate_apps()
def test_a_cycle_of_nullable_references_spoils_no_other_order(no_registrations: None) -> None:
    for name, other in (("Hen", "Egg"), ("Egg", "Hen")):
        resolved_later = models.ForeignKey(f"isolated.{other}", models.SET_NULL, null=True, related_name="+")
        registry.register(thing(name, other=resolved_later), natural_key=["code"])
    zoo = thing("Zoo")
    registry.register(thing("Ape", zoo=models.ForeignKey(zoo, models.SET_NULL, null=True)), natural_key=["code"])
    registry.register(zoo, natural_key=["code"])
    order = list(schemas())
    assert order.index("isolated.zoo") < order.index("isolated.ape")


@isolate_apps()
def test_holders_of_generic_references_come_after_what_they_may_refer_to(no_registrations: None) -> None:
    holder = note()
    registry.register(holder, natural_key=["code"])
    registry.register(thing("Answer", note=models.ForeignKey(holder, models.CASCADE)), natural_key=["code"])
    registry.register(thing("Zoo"), natural_key=["code"])
    assert list(schemas()) == ["isolated.zoo", "isolated.note", "isolated.answer"]


# What both sides agree on


def test_fingerprints_have_the_choices_that_are_stored() -> None:
    assert schemas()["hard.checked"].manifest(0).fields["colour"]["choices"] == ["blue", "green", "red"]
    assert "choices" not in schemas()["hard.checked"].manifest(0).fields["name"]


@isolate_apps()
def test_choices_are_told_by_value_and_not_where_a_function_makes_them_up(no_registrations: None) -> None:
    class Level(models.IntegerChoices):
        LOW = 1
        HIGH = 10

    schema = resolved(
        thing(
            level=models.IntegerField(choices=Level.choices, null=True, blank=True),
            word=models.CharField(max_length=5, choices=[("b", "B"), ("a", "A"), (None, "-")], null=True),
            made=models.CharField(max_length=5, choices=lambda: [("a", "A")]),
        )
    )
    fields = schema.manifest(0).fields
    assert [fields[name].get("choices") for name in ("level", "word", "made")] == [[1, 10], ["a", "b"], None]


def test_a_shape_is_of_what_records_hold_and_not_of_what_columns_take(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = schemas()["testapp.everything"]
    shape = schema.shape()
    monkeypatch.setattr(Everything._meta.get_field("char"), "max_length", 7)
    monkeypatch.setattr(Everything._meta.get_field("text"), "null", True)
    assert schema.shape() == shape
    monkeypatch.setattr(Everything._meta.get_field("amount"), "decimal_places", 3)
    assert schema.shape() != shape
    assert schema.without(["url"]).shape() != shape


def test_names_of_columns_and_tables_make_no_difference() -> None:
    fields = schemas()["hard.quoted"].manifest(0).fields
    assert sorted(fields) == ["order", "parent", "select", "tags"]


def test_a_schema_without_its_parent_link_has_none() -> None:
    schema = schemas()["hard.taxi"]
    with pytest.raises(RegistrationError, match="without car_ptr"):
        schema.without(["car_ptr"])
    bare = replace(schema, key=schemas()["hard.car"].key).without(["car_ptr"])
    assert (bare.parent_link, bare.references) == (None, ())


# What a record refers to


def test_targets_are_those_of_references_links_and_generic_foreign_keys() -> None:
    def targets(label: str, **fields: Any) -> list[tuple[str, str, str]]:
        record = Record(model=label, key=("x",), fields=fields)
        return [(name, target.label, text) for name, target, text in targets_of(schemas()[label], record)]

    assert targets("hard.pizzeria", oven="", restaurant_ptr=["luigi"], rival=None) == [
        ("restaurant_ptr", "hard.restaurant", '["luigi"]')
    ]
    assert targets("hard.remark", code="", about=["hard.proxyitem", ["lamp"]]) == [
        ("about", "hard.proxyitem", '["lamp"]')
    ]
    assert targets("hard.remark", code="", about=["gone.model", [1]]) == []
    links = {"tags": [["a"], ["b"]], "related": [], "category": ["c"], "sku": "", "name": ""}
    assert targets("testapp.product", **links) == [
        ("category", "testapp.category", canonical.dumps(["c"])),
        ("tags", "testapp.tag", canonical.dumps(["a"])),
        ("tags", "testapp.tag", canonical.dumps(["b"])),
    ]


# What is unique


def test_unique_sets_are_those_of_a_rows_own_tables() -> None:
    assert [(found.names, found.condition) for found in unique_sets(Taxi)] == [
        (("car_ptr",), None),
        (("number",), None),
    ]
    assert {found.names for found in unique_sets(Tower)} == {("id",), ("code",)}
    assert {found.names for found in unique_sets(Product)} == {("id",), ("sku",)}


def test_unique_sets_say_when_they_count() -> None:
    from tests.hard.models import Edition

    conditional = [found for found in unique_sets(Edition) if found.condition is not None]
    assert [(found.names, found.condition, found.exact) for found in conditional] == [
        (("room",), models.Q(active=True), True)
    ]


@isolate_apps()
def test_unique_expressions_are_told_apart_from_unique_values(no_registrations: None) -> None:
    lower = models.functions.Lower("code")
    model = make(
        "Thing",
        code=models.CharField(max_length=5),
        size=models.IntegerField(null=True),
        meta={
            "constraints": [
                models.UniqueConstraint(lower, name="one"),
                models.UniqueConstraint(fields=["code", "size"], nulls_distinct=False, name="two"),
            ]
        },
    )
    found = {unique.names: unique for unique in unique_sets(model)}
    assert (found[("code",)].exact, found[("code",)].expressions) == (False, (lower,))
    assert (found[("code", "size")].exact, found[("code", "size")].nulls_distinct) == (True, False)
