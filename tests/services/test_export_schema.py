"""The JSON Schema that ships with the package describes real exports, of every kind, and nothing that they are not."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from data_sync.core import export_members
from data_sync.models import Changeset
from data_sync.services import actors, retention, verify
from data_sync.services.document import changeset_document
from tests.admin import making
from tests.core.test_verification import EXPORTED
from tests.environments import Environments
from tests.testapp.models import Category, Country, Customer, Language, Product, Stock, Tag

from .test_verify import mixed, where

pytestmark = pytest.mark.django_db(transaction=True)

ACTOR = actors.command_line()
SCHEMA: dict[str, Any] = json.loads(
    importlib.resources.files("data_sync").joinpath("schema/changeset-1.0.json").read_text(encoding="utf-8")
)
VALIDATOR = Draft202012Validator(SCHEMA)


def faults(document: Any) -> list[str]:
    return [f"{'/'.join(map(str, one.absolute_path))}: {one.message}"[:200] for one in VALIDATOR.iter_errors(document)]


def exported(changeset: Changeset) -> dict[str, Any]:
    found: dict[str, Any] = json.loads("".join(changeset_document(changeset, ACTOR)))
    return found


def test_the_schema_is_sound_and_asks_for_what_verification_needs() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    parts = SCHEMA["$defs"]
    for name, needed in (
        ("change", export_members.CHANGE),
        ("changeset", export_members.CHANGESET),
        ("event", export_members.EVENT),
    ):
        assert needed.keys() <= set(parts[name]["required"])
    assert set(parts["change"]["required"]) == set(export_members.CHANGE)
    optional = parts["change"]["properties"].keys() - parts["change"]["required"]
    assert optional == export_members.CHANGE_AT_TIMES.keys()


def test_exports_from_pull_to_apply_fit_it(environments: Environments, settings: Any) -> None:
    settings.DATA_SYNC_AUDIT_KEYS = ["a key of thirty-two bytes or more, made up"]
    changeset = mixed(environments)
    assert faults(exported(changeset)) == []
    environments.accept_all(changeset)
    environments.approve(changeset)
    assert faults(exported(changeset)) == []
    environments.apply(changeset)
    found = exported(changeset)
    assert faults(found) == []
    assert {change["operation"] for change in found["changes"]} == {"create", "update", "delete", "rename"}
    assert found["proof"]["mac"] is not None


def test_exports_with_conflicts_problems_cascades_and_guards_fit_it(environments: Environments) -> None:
    add = environments.add
    category = add(Category, slug="light")
    lamp = add(Product, sku="lamp", name="Lamp", category=category)
    add(Product, sku="sofa", name="Sofa", category=category)
    add(Tag, name="old")
    environments.pull()  # What both sides agree on.
    lamp[0].name, lamp[1].name = "At the source", "Here"
    lamp[0].save(using="source")
    lamp[1].save()
    Product.objects.using("source").filter(sku="sofa").delete()
    sofa = Product.objects.get(sku="sofa")
    Stock.objects.create(product=sofa)  # Protects it.
    sofa.tags.add(Tag.objects.get())  # Goes along.
    Tag.objects.using("source").all().delete()
    found = exported(environments.changeset())
    assert faults(found) == []
    for member in ("conflict", "problems", "cascades"):
        assert any(change[member] for change in found["changes"]), member
    environments.let_through(Changeset.objects.latest("pk"))
    assert faults(exported(Changeset.objects.latest("pk"))) == []


def test_a_redacted_export_fits_it(environments: Environments) -> None:
    environments.add(Customer, name="ada", account=("theirs", "ours"))
    found = exported(environments.changeset())
    assert faults(found) == []
    assert found["changes"][0]["leaves"] and found["changes"][0]["redacted"]


def test_a_purged_export_fits_it_and_verifies(environments: Environments) -> None:
    """As retention leaves it: values are gone, digests and decisions stay."""
    environments.add(Customer, name="ada", account=("theirs", "ours"))
    environments.add(Language, country=environments.add(Country, code="FR"), code="fr", only="source")
    changeset = environments.sync()
    retention.purge(changeset.pk, ACTOR)
    changeset.refresh_from_db()
    found = exported(changeset)
    assert faults(found) == []
    assert all(change["purged"] and change["content_digest"] for change in found["changes"])
    verdict = verify.verify_changeset(changeset, ACTOR)
    assert (where(verdict), verdict.purged) == ([], True)
    assert where(verify.verify_all(ACTOR)) == []


def test_an_export_of_a_revert_fits_it() -> None:
    gone = {"model": "testapp.term", "pk": "1", "label": "x", "effect": "create", "column": ""}
    changeset = making.changeset([making.create(1, undoes=3, restores=[gone]), making.update(2)], kind="revert")
    found = exported(changeset)
    assert faults(found) == []
    assert [(change.get("undoes"), change.get("restores")) for change in found["changes"]] == [
        (3, [gone]),
        (None, None),
    ]


def _without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["changes"][1].pop(name)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document.pop("proof"),
        lambda document: document.update(format_version="2.0"),
        lambda document: document["changes"][1].update(operation="move"),
        lambda document: document["changes"][1].update(after=None),
        lambda document: document["changes"][1].update(previous_key=["x"]),
        lambda document: document["changes"][0].update(previous_key=None),
        lambda document: document["changes"][1].update(purged=True),
        lambda document: document["changes"][1].update(content_digest="md5:1"),
        lambda document: document["events"][1].update(at="yesterday"),
        lambda document: document["changeset"].update(counts={}),
        _without("carried"),
        _without("content_digest"),
    ],
)
def test_it_refuses_what_is_no_export(spoil: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(EXPORTED)
    assert faults(document) == []
    spoil(document)
    assert faults(document) != []
