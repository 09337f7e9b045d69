"""For any two databases: equal sides have no changeset, and applying the whole of one makes them equal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_sync.core.source import Request
from data_sync.core.states import ChangesetState, PullState
from data_sync.models import Change, Changeset
from data_sync.orm.read import LocalSource
from data_sync.services import approval, sources
from tests.environments import Environments
from tests.testapp.models import (
    Category,
    Comment,
    Detail,
    Everything,
    Player,
    Product,
    Tag,
    Team,
    Visit,
)

NAMES = ["a", "b", "c", "d"]
names = st.sampled_from(NAMES)
some_names = st.sets(names, max_size=3)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.sampled_from(["", "é", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)

players = st.integers(0, 2)

#: What one side holds; names that nothing goes by are references to nothing, and left out when it is built.
worlds = st.fixed_dictionaries(
    {
        "tags": some_names,
        "categories": st.dictionaries(names, st.none() | names, max_size=4),
        "products": st.dictionaries(
            names, st.tuples(st.sampled_from(["x", "y", ""]), st.none() | names, some_names, some_names), max_size=4
        ),
        "details": st.dictionaries(names, st.sampled_from(["x", "y"]), max_size=3),
        "teams": st.dictionaries(names, st.tuples(st.sets(players), st.none() | players), max_size=2),
        "values": st.dictionaries(
            names,
            st.tuples(json_values, st.decimals(-9, 9, places=4), st.none() | st.text("aé\n ", max_size=3)),
            max_size=3,
        ),
    }
)

quietly = settings(
    max_examples=15,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def backwards(rows: Any) -> Any:
    return dict(reversed(rows.items())) if isinstance(rows, dict) else rows


def build(world: dict[str, Any], alias: str) -> None:
    tags = {name: Tag.objects.using(alias).create(name=name) for name in sorted(world["tags"])}
    categories = {name: Category.objects.using(alias).create(slug=name) for name in world["categories"]}
    for name, parent in world["categories"].items():
        categories[name].parent = categories.get(parent)
        categories[name].save()
    products = {}
    for sku, (name, category, _, _) in world["products"].items():
        products[sku] = Product.objects.using(alias).create(sku=sku, name=name, category=categories.get(category))
    for sku, (_, _, its_tags, related) in world["products"].items():
        products[sku].tags.set(tags[name] for name in its_tags if name in tags)
        products[sku].related.set(products[name] for name in related if name in products)
    for sku, text in world["details"].items():
        if sku in products:
            Detail.objects.using(alias).create(product=products[sku], text=text)
    for name, (numbers, captain) in world["teams"].items():
        team = Team.objects.using(alias).create(name=name)
        players = {number: Player.objects.using(alias).create(team=team, number=number) for number in numbers}
        team.captain = players.get(captain)
        team.save()
    for name, (value, amount, text) in world["values"].items():
        Everything.objects.using(alias).create(name=name, json_or_null=value, amount=amount, text_or_null=text)


class Direct(LocalSource):
    """The source's database, read in the thread in which a pull reads its source."""

    @contextmanager
    def stream(self, request: Request) -> Iterator[Iterator[bytes]]:
        try:
            with super().stream(request) as blocks:
                yield blocks
        finally:
            connections["source"].close()


@pytest.fixture
def direct(environments: Environments, monkeypatch: pytest.MonkeyPatch) -> Environments:
    """Reads the source's database in this process, because a server makes a hundred pulls slow."""
    monkeypatch.setattr(sources, "open_source", lambda _: Direct(using="source"))
    return environments


@contextmanager
def fresh(direct: Environments) -> Iterator[None]:
    """The databases as they are at the start of a test, but for the source."""
    try:
        yield
    finally:
        for alias in ("default", "source"):
            call_command("flush", database=alias)
        direct.source.save(force_insert=True)


def whole(direct: Environments) -> Changeset | None:
    pulled = direct.pull()
    assert pulled.state == PullState.DONE, pulled.error
    return Changeset.objects.filter(pull=pulled).first()


def apply_all(direct: Environments, changeset: Changeset) -> None:
    if changeset.state == ChangesetState.BLOCKED:
        approval.override(changeset.pk, direct.actor, "a test")
    direct.accept_all(changeset)
    applied = direct.apply(direct.approve(changeset))
    assert applied.state == ChangesetState.APPLIED, applied.state_reason


@quietly
@given(worlds)
def test_equal_sides_have_no_changeset(direct: Environments, world: dict[str, Any]) -> None:
    with fresh(direct):
        build(world, "source")
        build({kind: backwards(rows) for kind, rows in world.items()}, "default")
        assert whole(direct) is None


@quietly
@given(worlds, worlds, st.lists(names, max_size=4))
def test_applying_the_whole_makes_the_target_what_the_source_is(
    direct: Environments, there: dict[str, Any], here: dict[str, Any], local: list[str]
) -> None:
    with fresh(direct):
        build(there, "source")
        build(here, "default")
        for number, sku in enumerate(local):
            product = Product.objects.filter(sku=sku).first()
            if product is not None:
                (Comment if number % 2 else Visit).objects.create(product=product)
        comments = set(Comment.objects.values_list("pk", flat=True))
        changeset = whole(direct)
        if changeset is None:
            direct.assert_equal()
            return
        shown = {
            int(one["pk"])
            for cascades in Change.objects.filter(changeset=changeset).values_list("cascades", flat=True)
            for one in cascades
            if one["model"] == "testapp.comment"
        }
        apply_all(direct, changeset)
        direct.assert_equal()
        assert comments - set(Comment.objects.values_list("pk", flat=True)) == shown
        assert whole(direct) is None


@quietly
@given(worlds, worlds, st.randoms(use_true_random=False))
def test_a_part_and_then_the_rest_make_the_whole(
    direct: Environments, there: dict[str, Any], here: dict[str, Any], random: Any
) -> None:
    """Any part that is closed under what it requires can be applied; a new pull then finds the rest."""
    with fresh(direct):
        build(there, "source")
        build(here, "default")
        changeset = whole(direct)
        if changeset is None:
            return
        requires = dict(changeset.changes.values_list("number", "requires"))
        chosen = {number for number in requires if random.random() < 0.5}
        while more := {need for number in chosen for need in requires[number]} - chosen:
            chosen |= more
        if chosen:
            if changeset.state == ChangesetState.BLOCKED:
                approval.override(changeset.pk, direct.actor, "a test")
            direct.accept(changeset, *chosen)
            applied = direct.apply(direct.approve(changeset))
            assert applied.state == ChangesetState.APPLIED, (applied.state_reason, json.dumps(sorted(chosen)))
        rest = whole(direct)
        if rest is not None:
            apply_all(direct, rest)
        direct.assert_equal()
