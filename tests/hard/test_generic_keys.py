"""Generic foreign keys: one member of a record in place of two columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import models

from data_sync.core.states import ChangesetState, Operation, PullState
from data_sync.services import sources
from tests.direct import Direct
from tests.environments import Environments
from tests.registering import registered

from .bringing import SIDES, applied, bring, operations, pending, problems, put, rows
from .models import Event, LocalProtect, Mark, Nation, Node, Owner, Remark

pytestmark = pytest.mark.usefixtures("both_ways_of_reading")


@pytest.fixture
def other_content_types(environments: Environments) -> Iterator[None]:
    """The target counts its content types otherwise than the source."""
    known = {kind.pk: kind for kind in ContentType.objects.filter(app_label="hard")}
    permissions = list(Permission.objects.all())
    Permission.objects.all().delete()
    ContentType.objects.filter(pk__in=known).delete()
    put("default", *(ContentType(pk=pk + 5000, app_label="hard", model=kind.model) for pk, kind in known.items()))
    ContentType.objects.clear_cache()
    yield
    # Nothing else makes these again: later tests need them as they were.
    ContentType.objects.filter(app_label="hard").delete()
    put("default", *known.values(), *permissions)
    ContentType.objects.clear_cache()


def kind(model: type[models.Model], alias: str) -> ContentType:
    return ContentType.objects.using(alias).get(app_label="hard", model=model._meta.model_name)


def remark(alias: str, code: str, target: Any) -> Remark:
    of = {} if target is None else {"content_type": kind(type(target), alias), "object_id": str(target.pk)}
    return rows(Remark, alias).create(code=code, **of)


def targets(alias: str) -> dict[str, Any]:
    event = "5dc9c4a0-0000-4000-8000-000000000001"
    return {
        "node": rows(Node, alias).create(slug="n1"),
        "other": rows(Node, alias).create(slug="n2"),
        "nation": rows(Nation, alias).create(code="FR"),
        "event": rows(Event, alias).create(pk=event, title="fair"),
        "none": None,
    }


def about(alias: str) -> dict[str, str]:
    def name(one: Remark) -> str:
        target = (
            None if one.content_type_id is None else kind_model(one)._base_manager.using(alias).get(pk=one.object_id)
        )
        return str(getattr(target, "slug", None) or getattr(target, "code", None) or getattr(target, "title", None))

    def kind_model(one: Remark) -> Any:
        return ContentType.objects.using(alias).get(pk=one.content_type_id).model_class()

    return {one.code: name(one) for one in rows(Remark, alias)}


@pytest.mark.usefixtures("other_content_types")
def test_targets_of_several_kinds_of_primary_key(environments: Environments) -> None:
    rows(Node, "default").create(slug="shifts the counting")
    for code, target in targets("source").items():
        remark("source", code, target)
    bring(environments)
    assert about("default") == {"node": "n1", "other": "n2", "nation": "FR", "event": "fair", "none": "None"}


@pytest.mark.usefixtures("other_content_types")
def test_targets_change_to_another_row_another_model_and_nothing(environments: Environments) -> None:
    rows(Node, "default").create(slug="shifts the counting")
    there, here = targets("source"), targets("default")
    for code, new, old in (
        ("a", "node", "other"),
        ("b", "nation", "node"),
        ("c", "none", "event"),
        ("d", "event", "none"),
    ):
        remark("source", code, there[new])
        remark("default", code, here[old])
    changeset = bring(environments)
    assert {kind for (label, _), kind in operations(changeset).items() if label == "hard.remark"} == {Operation.UPDATE}
    assert about("default") == {"a": "n1", "b": "FR", "c": "None", "d": "fair"}


def test_a_new_target_is_needed_first(environments: Environments) -> None:
    remark("source", "r1", rows(Node, "source").create(slug="new"))
    changeset = pending(environments)
    node, one = changeset.changes.get(model="hard.node"), changeset.changes.get(model="hard.remark")
    assert one.requires == [node.number]


def test_targets_that_are_named_otherwise_here_are_left_out_though_their_model_is_not_pulled(
    environments: Environments,
) -> None:
    """What the source calls A-17 is not the row here whose title is that."""
    for alias in SIDES:
        remark(alias, "same", rows(Node, alias).create(slug="A-17", title="meant"))
        remark(alias, "other", rows(Node, alias).create(slug="B-2", title="A-17"))
    rows(Remark, "source").filter(code="other").update(object_id=rows(Node, "source").get(slug="A-17").pk)
    remark("source", "new", None)
    with registered(Node, natural_key=("title",)):
        changeset = environments.changeset("hard.remark")
    assert operations(changeset) == {("hard.remark", "new"): Operation.CREATE}
    assert changeset.omitted == {"hard.remark": ["about"]}
    assert changeset.state == ChangesetState.BLOCKED
    assert "about can refer to hard.node, which has key ['title'] here and ['slug'] at" in changeset.state_reason


def test_bases_from_before_targets_got_other_names_are_unknown(
    environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sides name nodes by another field now: that is no edit of the remarks here."""
    for alias in SIDES:
        nodes = [rows(Node, alias).create(slug=name, title=name.upper()) for name in ("a", "b")]
        remark(alias, "r", nodes[0])
    assert environments.pull().state == PullState.DONE
    remark_there = rows(Remark, "source").filter(code="r")
    remark_there.update(object_id=rows(Node, "source").get(slug="b").pk)
    with registered(Node, natural_key=("title",)):
        source = Direct()
        monkeypatch.setattr(sources, "open_source", lambda _: source)
        changeset = environments.changeset("hard.remark")
    change = changeset.changes.get()
    assert change.after == {"code": "r", "about": ["hard.node", ["B"]]}
    assert (change.base_digest, changeset.conflicts) == ("", 0)


def mark(alias: str, code: str, node: Node) -> None:
    rows(Mark, alias).create(code=code, kind=kind(Node, alias), row=node.pk)


@pytest.mark.usefixtures("other_content_types")
def test_targets_that_are_unique_are_exchanged(environments: Environments) -> None:
    for alias, order in (("source", "abc"), ("default", "bca")):
        nodes = {slug: rows(Node, alias).create(slug=slug) for slug in sorted(order, reverse=alias == "source")}
        for number, slug in enumerate(order):
            mark(alias, f"m{number}", nodes[slug])
    bring(environments)
    slugs = dict(rows(Node, "default").values_list("pk", "slug"))
    assert {one.code: slugs[one.row] for one in rows(Mark, "default")} == {"m0": "a", "m1": "b", "m2": "c"}


@pytest.mark.usefixtures("other_content_types")
def test_a_content_type_that_is_not_here_yet_is_made_by_the_apply_not_by_the_pull(environments: Environments) -> None:
    node, _ = environments.add(Node, slug="n")
    mark("source", "m", node)
    here = ContentType.objects.filter(app_label="hard", model="node")
    here.delete()
    ContentType.objects.clear_cache()
    changeset = pending(environments)
    assert not here.exists()
    applied(environments, changeset)
    assert rows(Mark, "default").get().kind == here.get()


def test_a_target_that_is_not_registered_is_an_error_that_names_the_row(environments: Environments) -> None:
    owner = rows(Owner, "source").create(name="o")
    local = rows(LocalProtect, "source").create(owner=owner)
    one = remark("source", "odd one", local)
    with environments.untouched():
        pulled = environments.pull()
    assert pulled.state == PullState.FAILED
    assert f"hard.Remark with primary key {one.pk}" in pulled.error and "hard.localprotect" in pulled.error.lower()


def test_a_target_that_is_gone_at_the_source_is_an_error_that_names_the_row(environments: Environments) -> None:
    node = rows(Node, "source").create(slug="n1")
    one = remark("source", "dangling", node)
    rows(Node, "source").filter(pk=node.pk)._raw_delete("source")
    with environments.untouched():
        pulled = environments.pull()
    assert pulled.state == PullState.FAILED
    assert f"hard.Remark with primary key {one.pk}" in pulled.error


def test_rows_of_the_target_that_refer_to_a_deleted_row_hold_it_or_go_along(environments: Environments) -> None:
    """`Node` has a GenericRelation, so Django deletes its remarks with it; `Mark` would be left dangling."""
    node = rows(Node, "default").create(slug="gone")
    remark("default", "goes", node)
    mark("default", "goes too", node)
    rows(Node, "source").create(slug="stays")
    bring(environments)
    assert not rows(Remark, "default").exists() and not rows(Mark, "default").exists()


def test_a_holder_that_stays_forbids_the_delete_by_name(environments: Environments) -> None:
    """Marks are not pulled, so nothing moves the one that refers to the row away."""
    mark("default", "stays", rows(Node, "default").create(slug="gone"))
    rows(Node, "source").create(slug="other", title="something else")
    changeset = pending(environments, "hard.node")
    assert problems(changeset) == {("hard.node", "gone"): ["protected"]}
