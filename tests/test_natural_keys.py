"""Natural keys that are left out: taken from the one unique constraint, never guessed where there are several."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models.functions import Lower
from django.test.utils import isolate_apps

from data_sync import registry
from data_sync.core.errors import RegistrationError
from data_sync.managers import DataSyncEnhancedManager
from data_sync.orm.resolution import schemas
from tests.hard.models import Locker, Pizzeria, Restaurant, Room
from tests.testapp.models import Language


@pytest.fixture
def no_registrations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registrations", {})


def make(title: str, /, *parents: type[models.Model], meta: dict[str, Any] | None = None, **members: Any) -> Any:
    members |= {"__module__": __name__, "Meta": type("Meta", (), {"app_label": "isolated", **(meta or {})})}
    return type(title, parents or (models.Model,), members)


def key_of(model: type[models.Model], **options: Any) -> tuple[str, ...]:
    """The key of a model that is registered without one."""
    registry.register(model, **options)
    registration = registry.registration_of(model)
    assert registration is not None
    return registration.key


def text(**options: Any) -> Any:
    return models.CharField(max_length=20, **options)


def one(*fields: Any, **options: Any) -> Any:
    return models.UniqueConstraint(*fields, name=f"one_{len(fields)}_{len(options.get('fields', ()))}", **options)


def country() -> type[models.Model]:
    made = make("Country", code=text(unique=True), name=text())
    registry.register(made)
    return made


Members = dict[str, Any]


def fitting() -> dict[str, tuple[Members, dict[str, Any], tuple[str, ...]]]:
    """Fields, Meta, and the key that they determine."""
    code, name, number = text(), text(), models.IntegerField()
    return {
        "a unique field": ({"code": text(unique=True), "name": name}, {}, ("code",)),
        "unique together": ({"code": code, "name": name}, {"unique_together": [("name", "code")]}, ("name", "code")),
        "a constraint": (
            {"code": code, "name": name},
            {"constraints": [one(fields=["code", "name"])]},
            ("code", "name"),
        ),
        "an expression": ({"code": code, "name": name}, {"constraints": [one(Lower("code"))]}, ("code",)),
        "the same thing twice": (
            {"code": code, "name": name},
            {"unique_together": [("code", "name")], "constraints": [one(fields=["name", "code"])]},
            ("code", "name"),
        ),
        "the smaller of two": (
            {"code": text(unique=True), "name": name},
            {"unique_together": [("code", "name")]},
            ("code",),
        ),
        "the one that cannot be null": (
            {"code": text(unique=True), "other": text(unique=True, null=True)},
            {},
            ("code",),
        ),
        "the one without condition": (
            {"code": text(unique=True), "name": name},
            {"constraints": [one(fields=["name"], condition=models.Q(code=""))]},
            ("code",),
        ),
        "a char primary key": ({"code": text(primary_key=True)}, {}, ("code",)),
        "a UUID primary key": ({"id": models.UUIDField(primary_key=True, default=uuid.uuid4)}, {}, ("id",)),
        "a number that the project gives": (
            {"number": models.IntegerField(primary_key=True), "n": number},
            {},
            ("number",),
        ),
    }


@pytest.mark.parametrize("which", fitting())
def test_one_constraint_determines_the_key(which: str, no_registrations: None) -> None:
    fields, meta, expected = fitting()[which]
    with isolate_apps():
        model = make("Thing", meta=meta, **fields)
        assert key_of(model) == expected
        assert [".".join(part.path) for part in schemas()["isolated.thing"].key] == list(expected)


def unfit() -> dict[str, tuple[Members, dict[str, Any], str]]:
    """Fields, Meta, and what is said."""
    unregistered = make("Unregistered", code=text(unique=True))
    return {
        "nothing": ({"code": text()}, {}, "no unique constraint that could be its natural key. "),
        "nullable": ({"code": text(unique=True, null=True)}, {}, "(code may be null)"),
        "nullable together": (
            {"code": text(), "name": text(null=True)},
            {"constraints": [one(fields=["code", "name"], nulls_distinct=False)]},
            "(name may be null)",
        ),
        "JSON": ({"data": models.JSONField(unique=True)}, {}, "(data is a JSONField)"),
        "a file": ({"file": models.FileField(unique=True)}, {}, "(file is a FileField)"),
        "a generated column": (
            {
                "name": text(),
                "code": models.GeneratedField(
                    expression=Lower("name"), output_field=text(), db_persist=True, unique=True
                ),
            },
            {},
            "(code is a GeneratedField)",
        ),
        "a reference to what is not registered": (
            {"other": models.OneToOneField(unregistered, models.CASCADE)},
            {},
            "(other refers to isolated.Unregistered, not registered)",
        ),
        "a reference to what is not installed": (
            {"other": models.OneToOneField("isolated.Gone", models.CASCADE)},
            {},
            "(other refers to isolated.Gone, not registered)",
        ),
        "a reference to itself": (
            {"parent": models.ForeignKey("self", models.CASCADE), "code": text()},
            {"unique_together": [("parent", "code")]},
            "(parent refers to isolated.Thing, whose key would need this one)",
        ),
        "a generic foreign key": (
            {
                "content_type": models.ForeignKey(ContentType, models.CASCADE),
                "object_id": models.IntegerField(),
                "about": GenericForeignKey(),
            },
            {"unique_together": [("content_type", "object_id")]},
            "(content_type is part of a generic foreign key; object_id is part of a generic foreign key)",
        ),
        "only a condition": (
            {"code": text()},
            {"constraints": [one(fields=["code"], condition=~models.Q(code=""))]},
            "natural_key=",
        ),
        "two of them": (
            {"code": text(unique=True), "name": text(unique=True)},
            {},
            'Choose one: natural_key=["code"] or natural_key=["name"].',
        ),
        "a UUID and a name": (
            {"id": models.UUIDField(primary_key=True, default=uuid.uuid4), "name": text(unique=True)},
            {},
            'Choose one: natural_key=["id"] or natural_key=["name"].',
        ),
    }


@pytest.mark.parametrize(
    "which",
    [
        "nothing",
        "nullable",
        "nullable together",
        "JSON",
        "a file",
        "a generated column",
        "a reference to what is not registered",
        "a reference to what is not installed",
        "a reference to itself",
        "a generic foreign key",
        "only a condition",
        "two of them",
        "a UUID and a name",
    ],
)
def test_where_no_constraint_or_several_could_be_the_key_it_is_said_which(which: str, no_registrations: None) -> None:
    with isolate_apps():
        fields, meta, message = unfit()[which]
        model = make("Thing", meta=meta, **fields)
        with pytest.raises(RegistrationError) as raised:
            key_of(model)
        assert message in str(raised.value)
        assert str(raised.value).startswith("isolated.Thing has ")


@isolate_apps()
def test_a_key_goes_through_references_to_the_keys_of_others(no_registrations: None) -> None:
    language = make(
        "Language",
        country=models.ForeignKey(country(), models.CASCADE),
        code=text(),
        meta={"unique_together": [("country", "code")]},
    )
    copy = make(
        "Copy",
        key=text(),
        language=models.ForeignKey(language, models.CASCADE),
        meta={"constraints": [one(fields=["language", "key"])]},
    )
    assert key_of(language) == ("country.code", "code")
    assert key_of(copy) == ("language.country.code", "language.code", "key")
    king = make("King", language=models.OneToOneField(language, models.CASCADE, primary_key=True))
    assert key_of(king) == ("language.country.code", "language.code")


@isolate_apps()
def test_two_keys_that_need_each_other_are_none(no_registrations: None) -> None:
    one_, other = (
        make(name, friend=models.OneToOneField(f"isolated.{friend}", models.CASCADE, related_name="+"))
        for name, friend in (("One", "Other"), ("Other", "One"))
    )
    registry.register(one_)
    with pytest.raises(RegistrationError, match=r"friend refers to isolated\.One, which has no natural key itself"):
        key_of(other)


@isolate_apps()
def test_a_key_is_not_made_of_what_is_excluded(no_registrations: None) -> None:
    assert key_of(make("Thing", code=text(unique=True), name=text(unique=True)), exclude=["name"]) == ("code",)


# Inherited tables


@isolate_apps()
def test_a_child_is_known_by_its_registered_parents_key(no_registrations: None) -> None:
    parent = country()
    assert key_of(make("Kingdom", parent, king=text())) == ("country_ptr.code",)
    assert key_of(make("Duchy", make("Land", parent), duke=text())) == ("country_ptr.code",)
    ambiguous = make("Republic", parent, president=text(unique=True))
    with pytest.raises(RegistrationError, match=r'\["country_ptr.code"\] or natural_key=\["president"\]'):
        key_of(ambiguous)


@isolate_apps()
def test_a_child_of_a_parent_that_is_not_registered_has_its_constraints(no_registrations: None) -> None:
    place = make("Place", x=models.IntegerField(), y=models.IntegerField(), meta={"unique_together": [("x", "y")]})
    assert key_of(make("Tower", make("Building", place), height=models.IntegerField())) == ("x", "y")


@pytest.mark.parametrize("path", ["code", "country_ptr.code", "realm_ptr.code", "realm_ptr.country_ptr.code"])
@pytest.mark.parametrize("registered", [(), ("Country",), ("Realm",), ("Country", "Realm")])
def test_a_given_key_is_written_as_the_registrations_have_it(
    path: str, registered: tuple[str, ...], no_registrations: None
) -> None:
    with isolate_apps():
        parent = make("Country", code=text(unique=True))
        realm = make("Realm", parent)
        kingdom = make("Kingdom", realm)
        for model in (parent, realm):
            if model.__name__ in registered:
                registry.register(model, natural_key=["code"])
        assert (
            key_of(kingdom, natural_key=[path])
            == {
                (): ("code",),
                ("Country",): ("country_ptr.code",),
                ("Realm",): ("realm_ptr.code",),
                ("Country", "Realm"): ("realm_ptr.country_ptr.code",),
            }[registered]
        )
        assert schemas()["isolated.kingdom"].key


@isolate_apps()
def test_a_path_through_a_reference_goes_through_the_links_there(no_registrations: None) -> None:
    parent = country()
    kingdom = make("Kingdom", parent)
    registry.register(kingdom)
    king = make("King", kingdom=models.ForeignKey(kingdom, models.CASCADE), name=text(unique=True))
    assert key_of(king, natural_key=["kingdom.code", "name"]) == ("kingdom.country_ptr.code", "name")


# Where it is used


def test_both_sides_compare_the_inferred_key() -> None:
    assert schemas()["hard.locker"].manifest(0).key == ("room.name", "number")
    assert schemas()["hard.pizzeria"].manifest(0).key == ("restaurant_ptr.place_ptr.slug",)
    assert schemas()["hard.pizzeria"].manifest(0).fields["restaurant_ptr"]["key"] == ["place_ptr.slug"]


def manager_of(model: type[models.Model]) -> DataSyncEnhancedManager[Any]:
    manager: DataSyncEnhancedManager[Any] = DataSyncEnhancedManager()
    manager.model = model
    return manager


@pytest.mark.django_db
def test_rows_are_found_by_an_inferred_key() -> None:
    locker = Locker.objects.create(room=Room.objects.create(name="attic"), number=7)
    assert manager_of(Locker).get_by_natural_key("attic", 7) == locker
    with pytest.raises(Locker.DoesNotExist):
        manager_of(Locker).get_by_natural_key("attic", 8)
    with pytest.raises(RegistrationError, match=r"has 2 parts \(room.name, number\); 1 were given"):
        manager_of(Locker).get_by_natural_key("attic")


@pytest.mark.django_db
@pytest.mark.parametrize("model", [Restaurant, Pizzeria])
def test_rows_of_inherited_tables_are_found_by_key(model: Any) -> None:
    row = model.objects.create(slug="luigi")
    assert manager_of(model).get_by_natural_key("luigi") == row


def test_a_given_key_stays_as_it_is() -> None:
    registration = registry.registration_of(Language)
    assert registration is not None and registration.key == registration.natural_key == ("country.code", "code")
