"""References to rows of the same model, optional and required, however deep and in whatever order."""

from __future__ import annotations

import itertools
import random

import pytest
from django.db import connections

from data_sync.core.states import ChangesetState, Operation
from tests.environments import Environments

from .bringing import bring, operations, pending, problems, put, rows, words
from .models import Chapter, Horse, Node, Region

pytestmark = pytest.mark.usefixtures("both_ways_on_sqlite")

DEPTH = 50


def branch(alias: str, order: list[int], seed: int) -> None:
    """Nodes of which each is the parent of the next; inserted, and counted, in a random order."""
    chance = random.Random(seed)
    nodes = {number: rows(Node, alias).create(slug=f"n{number}") for number in chance.sample(order, len(order))}
    for parent, child in itertools.pairwise(order):
        rows(Node, alias).filter(pk=nodes[child].pk).update(parent=nodes[parent])


def parents(alias: str) -> dict[str, str | None]:
    return dict(rows(Node, alias).values_list("slug", "parent__slug"))


def test_a_deep_tree_arrives_in_whatever_order_its_rows_were_made(environments: Environments) -> None:
    branch("source", list(range(DEPTH)), 1)
    bring(environments)
    assert parents("default") == {"n0": None} | {f"n{n}": f"n{n - 1}" for n in range(1, DEPTH)}


def test_a_tree_can_be_turned_upside_down(environments: Environments) -> None:
    branch("source", list(range(DEPTH)), 1)
    branch("default", list(reversed(range(DEPTH))), 2)
    before = set(rows(Node, "default").values_list("pk", "slug"))
    bring(environments)
    assert parents("default") == {"n0": None} | {f"n{n}": f"n{n - 1}" for n in range(1, DEPTH)}
    assert set(rows(Node, "default").values_list("pk", "slug")) == before


def test_branches_go_and_others_are_grafted_on(environments: Environments) -> None:
    for alias in ("source", "default"):
        branch(alias, list(range(DEPTH)), 3)
    rows(Node, "source").get(slug="n40").delete()
    graft = rows(Node, "source").create(slug="graft")
    rows(Node, "source").filter(slug="n20").update(parent=graft)
    changeset = bring(environments)
    assert sum(change == Operation.DELETE for change in operations(changeset).values()) == DEPTH - 40
    assert parents("default")["n20"] == "graft"


def chapters(alias: str, parents: dict[str, str], first: int = 900_000) -> None:
    numbers = {path: first + number for number, path in enumerate(parents)}
    known = numbers | dict(rows(Chapter, alias).values_list("path", "pk"))
    put(alias, *(Chapter(pk=numbers[path], path=path, parent_id=known[parent]) for path, parent in parents.items()))


def shuffled_chapters(seed: int) -> dict[str, str]:
    paths = [f"c{number}" for number in range(1, DEPTH)]
    return {path: f"c{int(path[1:]) - 1}" for path in random.Random(seed).sample(paths, len(paths))}


def test_a_deep_tree_with_required_parents_arrives_below_a_root_that_is_there(environments: Environments) -> None:
    for alias, first in (("source", 800_000), ("default", 700_000)):
        chapters(alias, {"c0": "c0"}, first)
    chapters("source", shuffled_chapters(4))
    bring(environments)
    arrived = dict(rows(Chapter, "default").values_list("path", "parent__path"))
    assert arrived == {"c0": "c0"} | {f"c{n}": f"c{n - 1}" for n in range(1, DEPTH)}


def test_required_parents_move_and_go(environments: Environments) -> None:
    for alias, first in (("source", 800_000), ("default", 700_000)):
        chapters(alias, {"c0": "c0"}, first)
        chapters(alias, shuffled_chapters(first))
    rows(Chapter, "source").filter(path="c30").update(parent=rows(Chapter, "source").get(path="c5"))
    for number in range(29, 19, -1):
        rows(Chapter, "source").get(path=f"c{number}").delete()
    changeset = bring(environments)
    assert operations(changeset)["hard.chapter", "c30"] == Operation.UPDATE
    assert sum(change == Operation.DELETE for change in operations(changeset).values()) == 10


def test_a_root_becomes_a_child_and_a_child_the_root(environments: Environments) -> None:
    chapters("source", {"a": "a", "b": "a"})
    chapters("default", {"b": "b", "a": "b"})
    bring(environments)
    assert dict(rows(Chapter, "default").values_list("path", "parent__path")) == {"a": "a", "b": "a"}


def test_a_row_that_is_its_own_parent_gets_no_number_that_another_had(environments: Environments) -> None:
    had = []
    for path in ("first", "second"):
        put("source", Chapter(pk=100, path=path, parent_id=100))
        bring(environments)
        had.append(rows(Chapter, "default").get().pk)
        for alias in ("source", "default"):
            with connections[alias].constraint_checks_disabled():
                rows(Chapter, alias).all().delete()
    assert len(set(had)) == 2


def test_a_new_row_that_is_its_own_required_parent_arrives(environments: Environments) -> None:
    chapters("source", {"a": "a", "b": "a"})
    bring(environments)
    assert dict(rows(Chapter, "default").values_list("path", "parent__path")) == {"a": "a", "b": "a"}


@pytest.mark.parametrize("parents", [{"a": "b", "b": "a"}, {"a": "b", "b": "c", "c": "a"}], ids=["two", "three"])
def test_new_rows_that_need_each_other_are_refused_by_name(environments: Environments, parents: dict[str, str]) -> None:
    """A required cycle of new rows: no order of writing them has every parent in place."""
    chapters("source", parents)
    found = problems(pending(environments))
    assert found == {("hard.chapter", path): ["self_reference"] for path in parents}


def test_new_rows_that_need_each_other_by_different_references_are_refused_by_name(environments: Environments) -> None:
    put("source", Horse(pk=1, name="a", father_id=2, mother_id=1), Horse(pk=2, name="b", father_id=2, mother_id=1))
    put("source", Horse(pk=3, name="foal", father_id=2, mother_id=1), Horse(pk=4, name="c", father_id=4, mother_id=4))
    changeset = pending(environments)
    assert problems(changeset) == {("hard.horse", "a"): ["self_reference"], ("hard.horse", "b"): ["self_reference"]}
    assert "father refers to new rows that need this one" in words(changeset, "self_reference")
    environments.accept(changeset, changeset.changes.get(key_text="c").number)
    assert environments.apply(environments.approve(changeset)).state == ChangesetState.APPLIED


@pytest.mark.parametrize("renamed", [False, True])
def test_keys_are_made_of_keys_of_the_same_model(environments: Environments, renamed: bool) -> None:
    for alias, first in (("source", 800_000), ("default", 700_000)):
        put(alias, Region(pk=first, slug="world", parent_id=first))
        europe = rows(Region, alias).create(slug="europe", title="A continent", parent_id=first)
        rows(Region, alias).create(slug="france", title=alias, parent=europe)
        if alias == "source":
            spain = rows(Region, alias).create(slug="spain", parent=europe)
            rows(Region, alias).create(slug="galicia", parent=spain)
            if renamed:
                rows(Region, alias).filter(slug="europe").update(slug="eu")
    bring(environments)
