"""System checks: each finds its fault, and finds none where there is none."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.core.checks import CheckMessage, run_checks
from django.core.files.storage import FileSystemStorage
from django.db import models
from django.db.models.functions import Lower
from django.test.utils import isolate_apps

import data_sync
from data_sync import registry
from data_sync.checks import IDS, TAG, check_registrations, check_settings
from data_sync.core.errors import RegistrationError
from data_sync.orm.resolution import schemas
from tests.testapp.models import Currency

pytestmark = pytest.mark.no_database
PACKAGE = Path(data_sync.__file__).parent


@pytest.fixture(autouse=True)
def no_registrations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registrations", {})


def found(**options: Any) -> dict[str, list[CheckMessage]]:
    """What the check of registrations says, by the last four characters of the id."""
    messages: dict[str, list[CheckMessage]] = {}
    for message in check_registrations(**options):
        messages.setdefault(str(message.id).removeprefix("data_sync."), []).append(message)
    return messages


def register(model: type[models.Model], *key: str, **options: Any) -> None:
    registry.register(model, natural_key=key or ["code"], **options)


def make_country(**attributes: Any) -> type[models.Model]:
    """A sound model: its key is unique."""
    return make("Country", code=models.CharField(max_length=2, unique=True), **attributes)


def make(name: str, base: type[models.Model] = models.Model, /, **attributes: Any) -> type[models.Model]:
    meta = attributes.pop("Meta", {})
    members = {"__module__": __name__, "Meta": type("Meta", (), {"app_label": "isolated", **meta}), **attributes}
    return type(name, (base,), members)


# Registrations


@isolate_apps()
def test_sound_registrations_have_no_message() -> None:
    country = make_country(name=models.CharField(max_length=50), flag=models.FileField())
    register(country, file_fields=["flag"])
    tag = make("Tag", name=models.CharField(max_length=50, unique=True))
    register(tag, "name", fields=["name"])
    language = make(
        "Language",
        country=models.ForeignKey(country, models.CASCADE),
        parent=models.ForeignKey("self", models.CASCADE, null=True),
        code=models.CharField(max_length=2),
        tags=models.ManyToManyField(tag),
        Meta={"unique_together": [("country", "code")]},
    )
    register(language, "country.code", "code")
    assert found() == {}


def unknown_field() -> None:
    register(make_country(), fields=["name"])


def unknown_excluded_field() -> None:
    register(make_country(), exclude=["name"])


def unknown_key_field() -> None:
    register(make_country(), "nothing")


def unknown_key_field_behind_a_reference() -> None:
    country = make_country()
    register(country)
    register(make("Copy", country=models.ForeignKey(country, models.CASCADE)), "country.nothing")


def unknown_file_field() -> None:
    register(make_country(), file_fields=["flag"])


def column_name_of_a_reference() -> None:
    """`get_field("country_id")` finds it, but no record would have it."""
    country = make_country()
    register(country)
    register(
        make("Copy", code=models.SlugField(unique=True), country=models.ForeignKey(country, models.CASCADE)),
        fields=["code", "country_id"],
    )


def key_through_a_plain_field() -> None:
    register(make_country(), "code.name")


def key_that_ends_in_a_reference() -> None:
    country = make_country()
    register(country)
    register(make("Copy", country=models.ForeignKey(country, models.CASCADE)), "country")


def key_that_ends_in_a_file() -> None:
    register(make("Picture", file=models.FileField(unique=True)), "file")


def key_that_is_json() -> None:
    register(make("Palette", colours=models.JSONField(unique=True)), "colours")


def key_that_is_json_behind_a_reference() -> None:
    country = make_country(names=models.JSONField(unique=True))
    register(country)
    register(make("Copy", country=models.OneToOneField(country, models.CASCADE)), "country.names")


def reference_to_an_unregistered_model() -> None:
    register(
        make("Copy", code=models.SlugField(unique=True), country=models.ForeignKey(make_country(), models.CASCADE))
    )


def links_to_an_unregistered_model() -> None:
    register(make("Copy", code=models.SlugField(unique=True), countries=models.ManyToManyField(make_country())))


def reference_to_a_model_that_is_not_installed() -> None:
    register(make("Copy", code=models.SlugField(unique=True), other=models.ForeignKey("isolated.Gone", models.CASCADE)))


def required_references_in_a_cycle() -> None:
    for name, other in (("One", "Two"), ("Two", "Three"), ("Three", "One")):
        register(
            make(
                name,
                code=models.SlugField(unique=True),
                other=models.ForeignKey(f"isolated.{other}", models.CASCADE, related_name="+"),
            )
        )


def sensitive_model() -> None:
    register(Permission, "codename", fields=["codename"])


def user_model() -> None:
    register(User, "username", fields=["username"])


def sensitive_field() -> None:
    register(make_country(api_key=models.CharField(max_length=50)))


def sensitive_key_field() -> None:
    register(make("Client", secret=models.CharField(max_length=50, unique=True)), "secret", fields=[])


def sensitive_primary_key() -> None:
    register(make("Client", token=models.CharField(max_length=50, primary_key=True)), "token")


def sensitive_key_field_behind_a_reference() -> None:
    client = make(
        "Client", private_key=models.CharField(max_length=50, unique=True), code=models.SlugField(unique=True)
    )
    register(client, exclude=["private_key"])
    register(make("Copy", client=models.OneToOneField(client, models.CASCADE)), "client.private_key")


def sensitive_file() -> None:
    register(make_country(secret=models.FileField()), fields=["code"], file_fields=["secret"])


def links_through_a_model_of_their_own() -> None:
    country = make_country()
    register(country)
    make(
        "Sale",
        country=models.ForeignKey(country, models.CASCADE),
        product=models.ForeignKey("isolated.Product", models.CASCADE),
    )
    product = make(
        "Product",
        code=models.SlugField(unique=True),
        countries=models.ManyToManyField(country, through="isolated.Sale"),
    )
    register(product, fields=["code", "countries"])


def inherited_field() -> None:
    country = make_country(name=models.CharField(max_length=50))
    register(country)
    register(make("Kingdom", country, king=models.CharField(max_length=50)), fields=["king", "name"])


def inherited_field_that_is_excluded() -> None:
    country = make_country(name=models.CharField(max_length=50))
    register(country)
    register(make("Kingdom", country), exclude=["name"])


def inherited_file() -> None:
    country = make_country(flag=models.FileField())
    register(country)
    register(make("Kingdom", country), file_fields=["flag"])


def links_inherited_from_a_second_parent() -> None:
    tag = make("Tag", code=models.SlugField(unique=True))
    register(tag)
    first = make("First", first=models.AutoField(primary_key=True), code=models.SlugField(unique=True))
    second = make("Second", second=models.AutoField(primary_key=True), tags=models.ManyToManyField(tag))
    both = type("Both", (first, second), {"__module__": __name__, "Meta": type("Meta", (), {"app_label": "isolated"})})
    register(both)


def key_that_the_database_computes() -> None:
    computed = models.GeneratedField(
        expression=Lower("name"), output_field=models.CharField(max_length=9), db_persist=True, unique=True
    )
    register(make("Word", name=models.CharField(max_length=9), code=computed))


def column_of_a_generic_key() -> None:
    register(
        make(
            "Note",
            content_type=models.ForeignKey(ContentType, models.CASCADE),
            object_id=models.SlugField(unique=True),
            about=GenericForeignKey(),
        ),
        "object_id",
    )


def several_keys() -> None:
    registry.register(make_country(name=models.CharField(max_length=50, unique=True)))


def no_key() -> None:
    registry.register(make("Country", code=models.CharField(max_length=2, unique=True, null=True)))


def file_among_the_fields() -> None:
    register(make_country(flag=models.FileField()), fields=["code", "flag"])


def plain_field_among_the_files() -> None:
    register(make_country(name=models.CharField(max_length=50)), file_fields=["name"])


def composite_primary_key() -> None:
    register(
        make(
            "Place",
            pk=models.CompositePrimaryKey("x", "y"),
            x=models.IntegerField(),
            y=models.IntegerField(),
            code=models.SlugField(unique=True),
        )
    )


def abstract_model() -> None:
    register(make("Base", code=models.SlugField(unique=True), Meta={"abstract": True}))


def redacted_key() -> None:
    register(make_country(), redact=["code"])


def redacted_key_behind_a_reference() -> None:
    country = make_country(name=models.CharField(max_length=9, unique=True))
    register(country, redact=["name"])
    key = models.ForeignKey(country, models.CASCADE)
    register(make("Language", country=key, code=models.SlugField()), "country.name", "code")


def redacted_unknown_field() -> None:
    register(make_country(), redact=["nothing"])


def redacted_file() -> None:
    register(make_country(flag=models.FileField()), file_fields=["flag"], redact=["flag"])


def redacted_field_that_is_not_synced() -> None:
    register(make_country(name=models.CharField(max_length=9)), exclude=["name"], redact=["name"])


def redacted_moment() -> None:
    register(make_country(at=models.DateTimeField(auto_now=True)), redact=["at"])


def redacted_primary_key() -> None:
    number = models.CharField(max_length=9, primary_key=True)
    register(make_country(number=number), fields=["code", "number"], redact=["number"])


def redacted_column_of_a_generic_key() -> None:
    register(
        make_country(
            content_type=models.ForeignKey(ContentType, models.CASCADE),
            object_id=models.SlugField(),
            about=GenericForeignKey(),
        ),
        redact=["object_id"],
    )


def redacted_column_that_is_referred_to() -> None:
    register(Currency, "number", redact=["code"])


@pytest.mark.parametrize(
    ("number", "fault", "word"),
    [
        ("E017", redacted_key, "isolated.Country.code is redacted, and cannot be in the natural key"),
        ("E017", redacted_key_behind_a_reference, "isolated.Language: isolated.Country.name is redacted"),
        ("E001", redacted_unknown_field, "'nothing'"),
        ("E017", redacted_file, "'flag', which is a file"),
        ("E017", redacted_field_that_is_not_synced, "'name', which is not synced"),
        ("E017", redacted_moment, "'at', which is filled in by itself"),
        ("E017", redacted_primary_key, "isolated.Country.number cannot be redacted"),
        ("E017", redacted_column_of_a_generic_key, "name the generic foreign key itself"),
        (
            "E017",
            redacted_column_that_is_referred_to,
            "testapp.Currency.code cannot be redacted: testapp.Price.currency refers to it",
        ),
        ("E001", unknown_field, "'name'"),
        ("E001", unknown_excluded_field, "'name'"),
        ("E001", unknown_key_field, "'nothing'"),
        ("E001", unknown_key_field_behind_a_reference, "'nothing'"),
        ("E001", unknown_file_field, "'flag'"),
        ("E001", column_name_of_a_reference, "'country_id'"),
        ("E002", key_through_a_plain_field, "'code'"),
        ("E002", key_that_ends_in_a_reference, "'country'"),
        ("E002", key_that_ends_in_a_file, "'file'"),
        ("E002", key_that_is_json, "'colours'"),
        ("E002", key_that_is_json_behind_a_reference, "'country.names'"),
        ("E002", key_that_the_database_computes, "'code' is computed"),
        ("E002", column_of_a_generic_key, "'object_id'"),
        ("E003", reference_to_an_unregistered_model, "isolated.Country"),
        ("E003", links_to_an_unregistered_model, "isolated.Country"),
        ("E003", reference_to_a_model_that_is_not_installed, "isolated.Gone"),
        ("E004", required_references_in_a_cycle, "isolated.one → isolated.two → isolated.three → isolated.one"),
        ("E005", sensitive_model, "auth.Permission"),
        ("E005", user_model, "auth.User"),
        ("E006", sensitive_field, "api_key"),
        ("E006", sensitive_key_field, "secret"),
        ("E006", sensitive_primary_key, "token"),
        ("E006", sensitive_key_field_behind_a_reference, "private_key"),
        ("E006", sensitive_file, "secret"),
        ("E007", links_through_a_model_of_their_own, "isolated.Product.countries"),
        ("E007", links_through_a_model_of_their_own, "register the through model"),
        ("E008", inherited_field, "isolated.Kingdom inherits name from isolated.Country"),
        ("E008", inherited_field_that_is_excluded, "isolated.Kingdom inherits name from isolated.Country"),
        ("E008", inherited_file, "isolated.Kingdom inherits flag from isolated.Country"),
        ("E008", links_inherited_from_a_second_parent, "isolated.Both.tags is inherited from isolated.Second"),
        ("E009", file_among_the_fields, "isolated.Country.flag"),
        ("E010", plain_field_among_the_files, "isolated.Country.name"),
        ("E011", composite_primary_key, "isolated.Place"),
        ("E012", abstract_model, "Base"),
        ("E015", several_keys, 'natural_key=["name"] or natural_key=["code"]'),
        ("E016", no_key, "(code may be null)"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_registration_that_cannot_work_is_an_error(number: str, fault: Callable[[], None], word: str) -> None:
    with isolate_apps():
        fault()
        messages = found()
        assert list(messages) == [number]
        [message] = messages[number]
        assert word in message.msg and message.hint
        with pytest.raises(RegistrationError) as raised:
            schemas()
        assert str(raised.value) == message.msg, "who skips the checks is stopped at run time"


def test_every_kind_of_registration_error_has_its_check() -> None:
    """And the other way round: no check is left of an error that is no more."""
    codes = {
        argument.value
        for folder in ("orm", "registry", "sources")
        for path in (PACKAGE / folder).glob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "RegistrationError"
        for argument in call.args[1:]
        if isinstance(argument, ast.Constant)
    }
    assert codes | {"registration"} == set(IDS)
    numbers = [number for number, _ in IDS.values()]
    assert len(numbers) == len(set(numbers))


@isolate_apps()
def test_what_else_is_wrong_with_a_registration_is_an_error_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(registration: registry.Registration) -> None:
        raise RegistrationError(f"{registration.label} is of no kind that has a check of its own.")

    register(make_country())
    assert found() == {}
    monkeypatch.setattr("data_sync.checks.resolve", refuse)
    assert list(found()) == ["E013"]


@isolate_apps()
def test_a_broken_registration_hides_no_other() -> None:
    register(make_country(), fields=["nothing"])
    register(make("Tag", name=models.CharField(max_length=5)), "nam")
    register(make("Team", name=models.CharField(max_length=5)), "name")
    required_references_in_a_cycle()
    messages = found()
    assert {number: len(these) for number, these in messages.items()} == {"E001": 2, "W001": 1, "E004": 1}


@isolate_apps()
def test_a_table_that_is_registered_twice_is_said_of_both() -> None:
    country = make_country()
    register(country)
    register(make("Realm", country, Meta={"proxy": True}))
    messages = found()["E014"]
    assert [message.msg.split(";")[0] for message in messages] == [
        "isolated.Country and isolated.Realm are one table, and both are registered",
        "isolated.Realm and isolated.Country are one table, and both are registered",
    ]
    with pytest.raises(RegistrationError, match="are one table"):
        schemas()


@isolate_apps()
def test_every_secret_of_a_model_is_named_at_once() -> None:
    register(
        make_country(password=models.TextField(), secret_word=models.TextField(), design_tokens=models.TextField())
    )
    assert [message.msg.split()[0] for message in found()["E006"]] == [
        "isolated.Country.password",
        "isolated.Country.secret_word",
    ]


@isolate_apps()
def test_what_is_allowed_or_does_not_travel_is_not_sensitive() -> None:
    register(make_country(secret=models.TextField()), allow_sensitive=["secret"])
    register(
        make("Tag", name=models.SlugField(unique=True), token=models.TextField(default="")), "name", exclude=["token"]
    )
    register(make("Team", name=models.SlugField(unique=True), token=models.FileField()), "name")
    register(
        make("Book", name=models.SlugField(unique=True), token=models.TextField(default="")), "name", fields=["name"]
    )
    assert found() == {}


@isolate_apps()
def test_nullable_references_may_form_a_cycle() -> None:
    for name, other, null in (("One", "Two", False), ("Two", "One", True)):
        reference = models.ForeignKey(f"isolated.{other}", models.CASCADE, null=null, related_name="+")
        register(make(name, code=models.SlugField(unique=True), other=reference))
    assert found() == {}


@isolate_apps()
def test_only_the_apps_asked_for_are_checked() -> None:
    register(make_country(), fields=["nothing"])
    assert found(app_configs=[apps.get_app_config("auth")]) == {}


@pytest.mark.django_db(
    databases=["default", "source"]
)  # Django's own checks of generated columns ask the database what it can.
def test_the_checks_run_with_all_others() -> None:
    assert {message.id for message in run_checks(tags=[TAG])} == set()
    registry.register(User, natural_key=["username"], fields=["username"])
    assert "data_sync.E005" in {message.id for message in run_checks()}


# Keys that nothing keeps unique


def unique(*fields: Any, **options: Any) -> dict[str, Any]:
    return {"constraints": [models.UniqueConstraint(*fields, name="key", **options)]}


@pytest.mark.parametrize(
    ("meta", "enforced"),
    [
        ({}, False),
        ({"unique_together": [("country", "code")]}, True),
        (unique(fields=["country", "code"]), True),
        (unique(fields=["code", "country"]), True),
        (unique(fields=["code"]), True),
        (unique(fields=["country_id", "code"]), True),
        (unique(fields=["country"]), True),
        (unique(fields=["country", "code", "name"]), False),
        (unique(fields=["name"]), False),
        (unique(fields=["country", "code"], condition=models.Q(name="")), False),
        (unique("country", Lower("code")), True),
        (unique("country", Lower("name")), False),
        (unique(models.F("data__id")), False),
        (unique(models.expressions.RawSQL("random()", ())), False),
        (unique(fields=["country", "code"], include=["name"]), True),
        (unique(fields=["country", "code"], deferrable=models.Deferrable.DEFERRED), True),
    ],
    ids=lambda value: "" if isinstance(value, bool) else str(value)[:60],
)
def test_a_key_is_unique_where_a_constraint_says_so(meta: dict[str, Any], enforced: bool) -> None:
    with isolate_apps():
        country = make_country()
        register(country)
        language = make(
            "Language",
            country=models.ForeignKey(country, models.CASCADE),
            code=models.CharField(max_length=2),
            name=models.CharField(max_length=50),
            data=models.JSONField(default=dict),
            Meta=meta,
        )
        register(language, "country.code", "code")
        assert found().keys() == (set() if enforced else {"W001"})


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        (["language.country.code", "language.code", "key"], None),
        (["language.number", "key"], None),
        (["language.id", "key"], None),
        (["language.code", "key"], '"language"'),
        (["language.country.code", "key"], '"language"'),
        (["language.country.code", "language.code"], '"language" to the model'),
        (["language.country.name", "language.code", "key"], '"language"'),
    ],
    ids=str,
)
def test_a_key_through_references_is_unique_if_it_pins_them_down(key: list[str], hint: str | None) -> None:
    with isolate_apps():
        country = make_country(name=models.CharField(max_length=50))
        language = make(
            "Language",
            country=models.ForeignKey(country, models.CASCADE),
            code=models.CharField(max_length=2),
            number=models.IntegerField(unique=True),
            Meta=unique(fields=["country", "code"]),
        )
        copy = make(
            "Copy",
            language=models.ForeignKey(language, models.CASCADE),
            key=models.CharField(max_length=50),
            Meta=unique(fields=["language", "key"]),
        )
        register(country)
        register(language, "number")
        register(copy, *key)
        messages = found().get("W001", [])
        assert [hint in str(message.hint) for message in messages] == ([True] if hint else [])


@isolate_apps()
def test_a_model_is_not_blamed_for_the_key_of_another() -> None:
    country = make("Country", code=models.CharField(max_length=2))
    register(country)
    register(make("King", country=models.OneToOneField(country, models.CASCADE)), "country.code")
    assert [message.obj for message in found()["W001"]] == [country]


def test_the_manuals_own_models_are_warned_about_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.testapp.models import Copy, Country, Language

    register(Country)
    register(Language, "country.code", "code")
    keys = ["language.country.code", "language.code", "key"]
    register(Copy, *keys, fields=("value", "key", "language"), file_fields=("thumbnail",))
    messages = found()
    assert list(messages) == ["W001"]
    assert {message.obj for message in messages["W001"]} == {Country, Language, Copy}


@isolate_apps()
def test_a_key_that_was_left_out_is_enforced_by_what_it_was_inferred_from() -> None:
    country = make_country()
    registry.register(country)
    registry.register(make("Kingdom", country, king=models.CharField(max_length=50)))
    asset = make(
        "Asset",
        name=models.CharField(max_length=50),
        owner=models.CharField(max_length=50),
        Meta=unique(fields=["name", "owner"]),
    )
    registry.register(make("House", asset, floors=models.IntegerField(default=1)))
    assert found() == {}


# Required columns


@isolate_apps()
def test_a_required_column_that_is_not_synced_is_a_warning() -> None:
    register(
        make_country(
            area=models.IntegerField(),
            founded=models.DateField(),
            name=models.CharField(max_length=50),
            size=models.IntegerField(default=0),
            note=models.IntegerField(null=True),
            seen=models.DateTimeField(auto_now=True),
        ),
        fields=["code"],
    )
    messages = found()
    assert list(messages) == ["W002"]
    assert [message.msg.split()[0] for message in messages["W002"]] == [
        "isolated.Country.area",
        "isolated.Country.founded",
    ]


@isolate_apps()
def test_a_primary_key_that_a_new_row_needs_is_required() -> None:
    country = make_country()
    register(make("Coin", isin=models.CharField(max_length=12, primary_key=True), code=models.SlugField(unique=True)))
    register(
        make(
            "King",
            country=models.OneToOneField(country, models.CASCADE, primary_key=True),
            code=models.SlugField(unique=True),
        ),
        exclude=["country"],
    )
    assert [message.msg.split()[0] for message in found()["W002"]] == ["isolated.Coin.isin", "isolated.King.country"]


# Settings


def settings_found() -> set[str]:
    return {str(message.id).removeprefix("data_sync.") for message in check_settings()}


def test_the_default_settings_are_sound() -> None:
    assert settings_found() == set()


@pytest.mark.parametrize(
    ("name", "value", "ids"),
    [
        ("DATA_SYNC_READ_TIMEOUT", "long", {"E020"}),
        ("DATA_SYNC_READ_TIMEOUT", None, {"E020"}),
        ("DATA_SYNC_LEASE_SECONDS", 0, {"E020"}),
        ("DATA_SYNC_LEASE_SECONDS", -5, {"E020"}),
        ("DATA_SYNC_TASK_DEADLINE", 0, {"E020"}),
        ("DATA_SYNC_CONFIRM_DELETES", "x", {"E020"}),
        ("DATA_SYNC_CONFIRM_DELETES", 0, set()),
        ("DATA_SYNC_TASK_DEADLINE", "10 min", {"E020"}),
        ("DATA_SYNC_TASK_DEADLINE", None, set()),
        ("DATA_SYNC_TASK_DEADLINE", 1800, set()),
        ("DATA_SYNC_MAX_STREAM_BYTES", "10 GB", {"E020"}),
        ("DATA_SYNC_MAX_FILES_BYTES", "10 GB", {"E020"}),
        ("DATA_SYNC_MAX_FILES_BYTES", 0, {"E020"}),
        ("DATA_SYNC_MAX_UPLOAD_BYTES", "2 GB", {"E020"}),
        ("DATA_SYNC_READ_TIMEOUT", "30", set()),
        ("DATA_SYNC_ALLOWED_HOSTS", "staging.internal", {"E020"}),
        ("DATA_SYNC_ALLOWED_HOSTS", ["staging.internal"], set()),
        ("DATA_SYNC_SPOOL_DIR", "/nowhere/at/all", {"E021"}),
        ("DATA_SYNC_SPOOL_DIR", __file__, {"E021"}),
        ("DATA_SYNC_SPOOL_DIR", str(Path(__file__).parent), set()),
        ("DATA_SYNC_STAGING_STORAGE", "nothing", {"E022"}),
        ("DATA_SYNC_STAGING_STORAGE", "default", {"W003"}),
    ],
)
def test_a_setting_is_checked(settings: Any, name: str, value: Any, ids: set[str]) -> None:
    setattr(settings, name, value)
    assert settings_found() == ids


def test_staged_files_should_not_lie_where_they_are_served(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.DATA_SYNC_STAGING_ROOT = tmp_path / "media" / "staged"
    assert settings_found() == {"W003"}
    settings.DATA_SYNC_STAGING_ROOT = tmp_path / "media" / ".." / "staged"
    assert settings_found() == set()
    settings.DATA_SYNC_STAGING_ROOT = None
    settings.STORAGES = {
        **settings.STORAGES,
        "private": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path / "media" / "deep" / "down"},
        },
        "broken": {"BACKEND": "nothing.like.this"},
    }
    settings.DATA_SYNC_STAGING_STORAGE = "private"
    assert settings_found() == {"W003"}
    settings.DATA_SYNC_STAGING_STORAGE = "broken"
    assert settings_found() == {"E022"}


class Unreachable(FileSystemStorage):
    def __init__(self, **options: Any) -> None:
        raise ValueError("https://app:pass-word@storage.example cannot be reached")


def test_of_a_storage_that_cannot_be_made_is_told_what_holds_no_password(settings: Any) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "missing": {"BACKEND": "nothing.like.this"},
        "unreachable": {"BACKEND": f"{__name__}.Unreachable"},
    }
    for alias, words in (
        ("nowhere", "there is no 'nowhere' in STORAGES."),
        ("missing", "ModuleNotFoundError about the module nothing"),
        ("unreachable", "cannot be made: ValueError."),
    ):
        settings.DATA_SYNC_STAGING_STORAGE = alias
        [message] = [each for each in check_settings() if each.id == "data_sync.E022"]
        assert words in message.msg and "pass-word" not in f"{message.msg} {message.hint}"
        assert (f'storages["{alias}"]' in str(message.hint)) == (alias != "nowhere"), "how to see it"
