"""What the two sides do not have in the same form is reported and left out; the rest is synced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest

from data_sync.core.errors import SchemaMismatch
from data_sync.core.manifest import Manifest, ModelManifest
from data_sync.core.states import ChangesetState, PullState
from data_sync.models import Changeset
from data_sync.orm.read import LocalSource
from data_sync.services import approval, sources
from data_sync.services.agreement import agree
from tests.direct import Direct
from tests.environments import Environments
from tests.registering import registered
from tests.testapp.models import Category, Currency, Price, Product, Tag

pytestmark = pytest.mark.django_db

NODE, REMARK = "hard.node", "hard.remark"
CATEGORY, PRODUCT, PRICE, CURRENCY = (f"testapp.{name}" for name in ("category", "product", "price", "currency"))


def with_model(label: str, alter: Callable[[ModelManifest], ModelManifest | None]) -> Manifest:
    """The manifest of this side, with one model altered or left out."""
    manifest = LocalSource().manifest()
    models = dict(manifest.models)
    altered = alter(models.pop(label))
    return replace(manifest, models=models if altered is None else models | {label: altered})


def without_field(name: str) -> Callable[[ModelManifest], ModelManifest]:
    return lambda model: replace(model, fields={n: shape for n, shape in model.fields.items() if n != name})


def with_trait(name: str, **traits: Any) -> Callable[[ModelManifest], ModelManifest]:
    return lambda model: replace(model, fields={**model.fields, name: {**model.fields[name], **traits}})


def with_field(name: str) -> Callable[[ModelManifest], ModelManifest]:
    return lambda model: replace(model, fields={**model.fields, name: {"type": "TextField", "null": False}})


ALTERATIONS = {
    "removed": (without_field("title"), "is only"),
    "retyped": (with_trait("title", type="TextField"), "has type"),
    "shortened": (with_trait("title", max_length=10), "has max_length"),
    "made nullable": (with_trait("title", null=True), "has null"),
    "choices changed": (with_trait("title", choices=["a", "b"]), "has choices"),
}


@pytest.mark.parametrize("side", ["here", "there"])
@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_a_field_of_another_form_is_left_out_and_named(alteration: str, side: str) -> None:
    alter, words = ALTERATIONS[alteration]
    altered, plain = with_model(CATEGORY, alter), LocalSource().manifest()
    agreement = agree([CATEGORY], *((altered, plain) if side == "here" else (plain, altered)))
    (difference,) = agreement.differences
    assert (difference["model"], difference["field"]) == (CATEGORY, "title")
    assert difference["difference"].startswith(words)
    if (alteration, side) != ("removed", "here"):
        assert agreement.schemas[CATEGORY].field_names == ("slug", "parent")
    has_title = {"here": altered, "there": plain} if side == "here" else {"here": plain, "there": altered}
    for request, manifest in ((agreement.here, has_title["here"]), (agreement.there, has_title["there"])):
        left_out = ("title",) if "title" in manifest.models[CATEGORY].fields else None
        assert request.omitted.get(CATEGORY) == left_out


def test_a_field_that_only_the_source_has_is_left_out_there() -> None:
    agreement = agree([CATEGORY], LocalSource().manifest(), with_model(CATEGORY, with_field("extra")))
    assert (agreement.here.omitted, agreement.there.omitted) == ({}, {CATEGORY: ("extra",)})
    assert agreement.omitted() == {}
    assert agreement.differences[0]["difference"] == "is only at the source"


def test_a_source_of_an_older_version_cannot_leave_fields_out() -> None:
    there = replace(with_model(CATEGORY, with_field("extra")), features=())
    assert list(agree([CATEGORY, PRODUCT], LocalSource().manifest(), there).schemas) == [PRODUCT]


@pytest.mark.parametrize("side", [0, 1])
def test_a_model_that_one_side_lacks_is_left_out_and_named(side: int) -> None:
    sides = [LocalSource().manifest(), LocalSource().manifest()]
    sides[side] = with_model(CATEGORY, lambda model: None)
    agreement = agree([CATEGORY, PRODUCT], *sides)
    assert list(agreement.schemas) == [PRODUCT]
    assert [difference["field"] for difference in agreement.differences] == [""]
    assert "the model was left out" in agreement.guards()[0]["message"]


def test_a_model_that_was_not_asked_for_and_is_not_offered_is_named_and_left_alone() -> None:
    agreement = agree([], LocalSource().manifest(), with_model(CATEGORY, lambda model: None))
    assert CATEGORY not in agreement.schemas
    assert agreement.guards() == []
    assert [(one["model"], one["field"]) for one in agreement.report()] == [(CATEGORY, "")]


def test_a_model_identified_otherwise_is_left_out_with_what_is_identified_by_it() -> None:
    there = with_model(CURRENCY, with_trait("number", type="CharField"))
    agreement = agree([CURRENCY, PRICE, PRODUCT], LocalSource().manifest(), there)
    assert list(agreement.schemas) == [PRODUCT]


def test_a_key_through_a_model_that_is_not_pulled_and_has_a_key_of_another_type_is_noticed() -> None:
    there = with_model(PRICE, with_trait("currency", key_types=["IntegerField"]))
    with pytest.raises(SchemaMismatch, match=r"testapp\.price currency has key_types"):
        agree([PRICE], LocalSource().manifest(), there)


def test_a_reference_to_a_model_identified_otherwise_is_left_out() -> None:
    there = with_model(CATEGORY, with_trait("slug", max_length=5))
    agreement = agree([CATEGORY, PRODUCT], LocalSource().manifest(), there)
    assert list(agreement.schemas) == [PRODUCT]
    assert agreement.omitted() == {PRODUCT: ["category"]}


def test_a_key_that_covers_remarks_alone_is_told_how_their_targets_are_named() -> None:
    assert LocalSource([REMARK]).manifest().keys[NODE] == {"key": ["slug"], "key_types": ["SlugField"]}
    assert LocalSource([NODE]).manifest().keys == {}


def remarks_alone(**keys: Any) -> tuple[Manifest, Manifest]:
    """Of this side, and of a source that offers remarks alone, with other keys."""
    here, there = LocalSource().manifest(), LocalSource([REMARK]).manifest()
    return here, replace(there, keys={**there.keys, **keys})


@pytest.mark.parametrize(
    ("keys", "is_left_out"),
    [
        ({}, False),
        ({NODE: {"key": ["title"], "key_types": ["CharField"]}}, True),
        ({NODE: {"key": ["slug"], "key_types": ["IntegerField"]}}, True),
        ({"only.there": {"key": ["slug"], "key_types": ["SlugField"]}}, False),
    ],
)
def test_targets_that_are_not_offered_count_by_how_the_source_names_them(
    keys: dict[str, Any], is_left_out: bool
) -> None:
    agreement = agree([REMARK], *remarks_alone(**keys))
    assert agreement.omitted() == ({REMARK: ["about"]} if is_left_out else {})
    assert bool(agreement.guards()) is is_left_out


def test_a_source_that_does_not_say_how_it_names_targets_is_not_asked_for_them() -> None:
    here, there = remarks_alone()
    agreement = agree([REMARK], here, replace(there, keys={}))
    assert agreement.omitted() == {REMARK: ["about"]}
    assert "the source does not say how it identifies their rows" in agreement.guards()[0]["message"]


def test_where_nothing_is_left_the_pull_is_refused_with_every_difference() -> None:
    there = with_model(CATEGORY, with_trait("slug", max_length=5))
    with pytest.raises(SchemaMismatch, match=r"testapp\.category slug has max_length 50 here and 5 at the source"):
        agree([CATEGORY], LocalSource().manifest(), there)


def test_what_was_agreed_on_before_a_field_was_left_out_is_not_forgotten(environments: Environments) -> None:
    """A pull in the middle of a deployment does not make an edit unseen."""
    environments.add(Category, slug="a", title="agreed")
    environments.add(Category, slug="p", title="agreed")
    environments.pull(CATEGORY)
    Category.objects.filter(slug="a").update(title="edited here")
    with registered(Category, exclude=("title",)):
        without_title = Direct()
    with mock.patch.object(sources, "open_source", lambda _: without_title):
        done = environments.pull(CATEGORY)
        assert done.report["schema"][0]["difference"] == "is only here"
    changeset = environments.changeset(CATEGORY)
    assert (changeset.updates, changeset.conflicts) == (1, 1)


def test_an_edit_here_is_a_conflict_while_the_source_has_a_field_more(environments: Environments) -> None:
    environments.add(Category, slug=("a", "a"), title="agreed")
    environments.add(Category, slug="b", title=("new", "old"))
    with registered(Category, exclude=("parent",)):
        environments.apply(overridden(environments, environments.changeset(CATEGORY)))
        for title, alias in (("edited here", "default"), ("edited there", "source")):
            Category.objects.using(alias).update(title=title)
        changeset = environments.changeset(CATEGORY)
    assert changeset.omitted == {}
    assert dict(changeset.changes.values_list("key_text", "is_conflict")) == {"a": True, "b": True}


def test_rows_agreed_on_before_the_source_got_a_field_are_known(environments: Environments) -> None:
    environments.add(Category, slug="a", title="agreed")
    with registered(Category, exclude=("parent",)):
        without_parent = Direct()
        with mock.patch.object(sources, "open_source", lambda _: without_parent):
            assert environments.pull(CATEGORY).report["schema"] == []
        for title, alias in (("edited here", "default"), ("edited there", "source")):
            Category.objects.using(alias).update(title=title)
        assert environments.changeset(CATEGORY).conflicts == 1


def overridden(environments: Environments, changeset: Changeset) -> Changeset:
    """The changeset, with everything accepted and approved in spite of what the sides do not agree on."""
    approval.override(changeset.pk, environments.actor, "the release is under way")
    environments.accept_all(changeset)
    return environments.approve(changeset)


# Between two environments


def test_agreed_fields_sync_and_a_person_has_to_say_that_this_is_right(environments: Environments) -> None:
    environments.add(Category, slug=("a", "a"), title=("new title", "old title"))
    environments.add(Category, slug="b", title="only there", only="source")
    parent = environments.add(Category, slug="p")
    Category.objects.using("source").filter(slug="a").update(parent=parent[0])
    with registered(Category, exclude=("title",)):
        changeset = environments.changeset(CATEGORY)
        assert changeset.state == ChangesetState.BLOCKED
        assert [(guard["code"], guard["model"]) for guard in changeset.guards] == [("schema_difference", CATEGORY)]
        assert "title is only at the source" in changeset.state_reason
        assert changeset.pull is not None
        assert changeset.pull.report["schema"][0]["field"] == "title"
        approval.override(changeset.pk, environments.actor, "the titles come with the next release")
        environments.accept_all(changeset)
        applied = environments.apply(environments.approve(changeset))
        assert applied.state == ChangesetState.APPLIED, applied.state_reason
    rows = {row.slug: (row.title, row.parent and row.parent.slug) for row in Category.objects.all()}
    assert rows == {"a": ("old title", "p"), "b": ("", None), "p": ("", None)}


def test_differences_of_schemas_alone_make_no_changeset_but_are_reported(environments: Environments) -> None:
    environments.add(Category, slug="a", title=("x", "y"))
    with registered(Category, exclude=("title",)):
        done = environments.pull(CATEGORY)
    assert (done.state, done.report["schema"][0]["field"]) == (PullState.DONE, "title")
    assert not Changeset.objects.exists()


def test_after_the_release_the_field_that_was_left_out_is_compared(environments: Environments) -> None:
    environments.add(Category, slug="a", title=("x", "y"))
    with registered(Category, exclude=("title",)):
        environments.pull(CATEGORY)
    changeset = environments.sync(CATEGORY)
    assert (changeset.state, changeset.updates, changeset.conflicts) == (ChangesetState.APPLIED, 1, 0)


def test_other_models_of_the_pull_are_whole(environments: Environments) -> None:
    environments.add(Category, slug="a", title=("x", "y"))
    environments.add(Tag, name="new", only="source")
    environments.add(Product, sku="lamp", name=("Lamp", "lamp"))
    euro = environments.add(Currency, number=978, code="EUR")
    assert Price.objects.count() == 0 and euro
    with registered(Category, exclude=("title",)):
        changeset = environments.changeset()
    assert set(changeset.changes.values_list("model", flat=True)) == {"testapp.tag", PRODUCT}
