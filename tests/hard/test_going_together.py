"""Rows that go together and refer to each other: each goes by its own change, and nothing goes unseen."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.db.models.signals import post_delete, pre_delete, pre_save
from django.test.utils import CaptureQueriesContext

from data_sync.core.states import ChangesetState, Operation
from data_sync.models import Changeset
from data_sync.orm import write
from data_sync.services.rehearsal import rehearse
from tests.environments import Environments

from .bringing import applied, bring, operations, pending, problems, put, rows, without_renames, words
from .models import (
    Bar,
    Bead,
    Booth,
    Branch,
    Chapter,
    Clerk,
    Dancer,
    Item,
    Line,
    Owner,
    Place,
    PlaceNote,
    Restaurant,
    Room,
    Shop,
    Stop,
)

LOOKS_AT_ONCE = connection.vendor == "mysql"


def cascades(changeset: Changeset) -> dict[tuple[str, str], list[str]]:
    """Models of the rows that go along, by label and readable key of the delete; of one that takes none, nothing."""
    return {
        (change.model, change.key_text): sorted(cascade["model"] for cascade in change.cascades)
        for change in changeset.changes.all()
        if change.cascades
    }


def rehearsed(environments: Environments, changeset: Changeset) -> None:
    """Rehearses everything, which must come to what the apply comes to."""
    with environments.untouched():
        found = rehearse(changeset.pk, environments.actor, changeset.changes.values_list("number", flat=True))
    assert (found.errors, found.dependents, found.written) == ({}, {}, changeset.changes.count())


# A child goes, and its registered parent stays


def test_the_parents_row_stays_where_a_child_goes_in_a_cycle(environments: Environments) -> None:
    rows(Place, "source").create(slug="p")
    stop = rows(Stop, "default").create(slug="p")
    line = rows(Line, "default").create(name="l", terminus=stop)
    rows(Stop, "default").update(line=line)
    note = rows(PlaceNote, "default").create(place_id=stop.pk)
    changeset = pending(environments)
    assert operations(changeset) == {("hard.line", "l"): Operation.DELETE, ("hard.stop", "p"): Operation.DELETE}
    assert cascades(changeset) == {}
    rehearsed(environments, changeset)
    bring(environments)
    assert rows(Place, "default").get().pk == stop.pk
    assert rows(PlaceNote, "default").get().pk == note.pk


def test_the_parents_rows_stay_where_a_ring_of_children_goes_in_batches(
    environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "BATCH", 2)
    for number in range(5):
        rows(Place, "source").create(slug=f"p{number}")
    stops = [rows(Stop, "default").create(slug=f"p{number}") for number in range(5)]
    for one, following in itertools.pairwise([*stops, stops[0]]):
        rows(Stop, "default").filter(pk=one.pk).update(next=following)
        rows(PlaceNote, "default").create(place_id=one.pk)
    changeset = pending(environments)
    assert cascades(changeset) == {}
    rehearsed(environments, changeset)
    bring(environments)
    assert rows(Place, "default").count() == rows(PlaceNote, "default").count() == 5


def test_an_unregistered_child_goes_along_and_leaves_the_parents_row(environments: Environments) -> None:
    rows(Place, "source").create(slug="p")
    bar = rows(Bar, "default").create(slug="p")
    rows(PlaceNote, "default").create(place_id=bar.pk)
    changeset = pending(environments)
    assert cascades(changeset) == {("hard.restaurant", "p"): ["hard.bar"]}
    rehearsed(environments, changeset)
    bring(environments)
    assert rows(Place, "default").get().pk == bar.pk
    assert rows(PlaceNote, "default").exists()
    assert not rows(Restaurant, "default").exists() and not rows(Bar, "default").exists()


# Rows known by a proxy


def test_rows_registered_by_a_proxy_go_with_what_they_refer_to(environments: Environments) -> None:
    environments.add(Owner, name="stays")
    owner = rows(Owner, "default").create(name="gone")
    first = rows(Item, "default").create(code="first", owner=owner)
    rows(Item, "default").create(code="second", owner=owner, above=first)
    changeset = pending(environments)
    assert len(operations(changeset)) == 3 and cascades(changeset) == {}
    rehearsed(environments, changeset)
    bring(environments)


def test_a_tree_registered_by_a_proxy_goes(environments: Environments) -> None:
    _, owner = environments.add(Owner, name="stays")
    above = None
    for code in "abc":
        above = rows(Item, "default").create(code=code, owner=owner, above=above)
    bring(environments)


def test_a_tree_registered_by_a_proxy_arrives_in_whatever_order(environments: Environments) -> None:
    above = None
    for code in "zma":
        above = rows(Item, "source").create(code=code, above=above)
    bring(environments)


# What protects, restricts or does nothing


@pytest.mark.parametrize("column", ["main", "spare", "first"])
def test_rows_that_forbid_each_others_delete_go_together(environments: Environments, column: str) -> None:
    for name in ("one", "two"):
        shop = rows(Shop, "default").create(name=name)
        branch = rows(Branch, "default").create(name=f"branch of {name}", shop=shop)
        rows(Shop, "default").filter(pk=shop.pk).update(**{column: branch})
    environments.add(Shop, name="stays")
    changeset = pending(environments)
    assert len(operations(changeset)) == 4 and cascades(changeset) == {}
    rehearsed(environments, changeset)
    bring(environments)


@pytest.mark.parametrize("bosses", [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "b", "b": "c", "c": "a", "d": "a"}])
def test_rows_of_one_model_that_forbid_each_others_delete_go_together(
    environments: Environments, bosses: dict[str, str]
) -> None:
    clerks = {name: rows(Clerk, "default").create(name=name) for name in bosses}
    for name, boss in bosses.items():
        rows(Clerk, "default").filter(name=name).update(boss=clerks[boss])
    environments.add(Clerk, name="stays")
    rehearsed(environments, pending(environments))
    bring(environments)


def test_a_row_that_stays_forbids_the_delete_all_the_same(environments: Environments) -> None:
    shop = rows(Shop, "default").create(name="gone")
    branch = rows(Branch, "default").create(name="branch", shop=shop)
    rows(Shop, "default").update(main=branch)
    environments.add(Shop, name="stays")
    changeset = pending(environments)
    shops = changeset.changes.get(model="hard.branch").requires
    assert shops == [changeset.changes.get(model="hard.shop").number]


# References that must not be null


def dancers(partners: dict[str, str]) -> list[Dancer]:
    numbers = {name: number for number, name in enumerate(partners, 900_001)}
    return [Dancer(pk=numbers[name], name=name, partner_id=numbers[other]) for name, other in partners.items()]


def chapters(parents: dict[str, str]) -> list[Chapter]:
    numbers = {path: number for number, path in enumerate(parents, 900_001)}
    return [Chapter(pk=numbers[path], path=path, parent_id=numbers[other]) for path, other in parents.items()]


def refused_at_the_pull(environments: Environments, label: str, keys: str, column: str) -> None:
    """MariaDB looks at each row at once: it lets none of them go, whatever the order."""
    changeset = pending(environments)
    assert problems(changeset) == {(label, key): ["self_reference"] for key in keys}
    assert column in words(changeset, "self_reference")


@pytest.mark.parametrize("partners", [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "b", "b": "c", "c": "a"}])
def test_a_ring_that_is_unique_goes_or_is_refused_by_name(environments: Environments, partners: dict[str, str]) -> None:
    put("default", *dancers(partners), Dancer(pk=99, name="stays", partner_id=99))
    put("source", Dancer(pk=9, name="stays", partner_id=9))
    if LOOKS_AT_ONCE:
        refused_at_the_pull(environments, "hard.dancer", "".join(partners), "partner")
    else:
        rehearsed(environments, pending(environments))
        bring(environments)


@pytest.mark.parametrize("others", [{}, {"d": "a", "e": "d"}])
def test_a_ring_that_is_the_whole_table_goes_or_is_refused_by_name(
    environments: Environments, others: dict[str, str]
) -> None:
    put("default", *chapters({"a": "b", "b": "c", "c": "a"} | others))
    environments.add(Room, name="stays")
    if LOOKS_AT_ONCE:
        refused_at_the_pull(environments, "hard.chapter", "abc", "parent")
    else:
        bring(environments)


def test_a_ring_goes_where_another_row_stays(environments: Environments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "BATCH", 2)
    put("default", *chapters({"a": "b", "b": "c", "c": "d", "d": "e", "e": "a", "f": "a", "own": "own", "z": "z"}))
    put("source", Chapter(pk=9, path="z", parent_id=9))
    rehearsed(environments, pending(environments))
    bring(environments)


def test_a_ring_goes_where_another_row_comes(environments: Environments) -> None:
    put("default", *chapters({"a": "b", "b": "a"}))
    put("source", Chapter(pk=9, path="z", parent_id=9))
    bring(environments)


def test_a_ring_needs_the_row_that_comes_where_no_other_stays(environments: Environments) -> None:
    put("default", *chapters({"a": "b", "b": "a"}))
    put("source", *(Chapter(pk=number, path=path, parent_id=number) for number, path in enumerate("yz", 8)))
    changeset = pending(environments)
    needed = {changeset.changes.get(key_text="y").number}
    for gone in changeset.changes.filter(operation=Operation.DELETE):
        assert (needed <= set(gone.requires)) == LOOKS_AT_ONCE
    bring(environments)


def test_a_row_that_is_its_own_at_a_place_that_another_has_goes_or_is_refused_by_name(
    environments: Environments,
) -> None:
    put("default", *(Bead(pk=number, name=name, above_id=number, place=1) for number, name in ((91, "a"), (92, "z"))))
    put("source", Bead(pk=9, name="z", above_id=9, place=1))
    if LOOKS_AT_ONCE:
        refused_at_the_pull(environments, "hard.bead", "a", "above")
    else:
        bring(environments)


# No more than was shown


@contextmanager
def receiving(signal: Any, sender: Any, receiver: Any) -> Iterator[None]:
    signal.connect(receiver, sender=sender)
    try:
        yield
    finally:
        signal.disconnect(receiver, sender=sender)


def test_a_row_that_a_receiver_adds_does_not_go_unseen(environments: Environments) -> None:
    """The line goes first; its receiver has something refer to the place, whose turn comes later."""
    stop = rows(Stop, "default").create(slug="p")
    rows(Line, "default").create(name="l", terminus=stop)
    environments.add(Place, name="stays")

    def receiver(**_: Any) -> None:
        PlaceNote.objects.create(place_id=stop.pk)

    changeset = pending(environments)
    environments.accept_all(changeset)
    approved = environments.approve(changeset)
    with receiving(pre_delete, Line, receiver), environments.untouched():
        done = environments.apply(approved)
    assert done.state == ChangesetState.STALE
    reason = done.changes.get(model="hard.place").outcome_reason
    assert "hard.placenote" in reason and "not shown. Pull again." in reason


def test_a_new_row_is_not_taken_for_the_deleted_one_that_had_its_primary_key(environments: Environments) -> None:
    owner = rows(Owner, "default").create(name="gone")
    rows(Booth, "default").create(code="A", name="gone")
    rows(Booth, "source").create(code="A", name="new")
    environments.add(Owner, name="stays")

    def receiver(instance: Booth, **_: Any) -> None:
        instance.tenant = owner

    changeset = without_renames(environments)
    environments.accept_all(changeset)
    approved = environments.approve(changeset)
    with receiving(pre_save, Booth, receiver), environments.untouched():
        done = environments.apply(approved)
    assert done.state == ChangesetState.STALE
    assert "hard.booth A" in done.changes.get(model="hard.owner").outcome_reason


def test_receivers_hear_of_each_row_that_goes_once_and_see_what_it_had(environments: Environments) -> None:
    shop = rows(Shop, "default").create(name="gone")
    branch = rows(Branch, "default").create(name="branch", shop=shop)
    rows(Shop, "default").update(main=branch)
    bar = rows(Bar, "default").create(slug="p")
    environments.add(Shop, name="stays")
    rows(Place, "source").create(slug="p")
    heard: list[tuple[str, str, Any]] = []

    def receiver(sender: Any, instance: Any, signal: Any, **_: Any) -> None:
        heard.append(("pre" if signal is pre_delete else "post", sender.__name__, instance.pk))

    changeset = pending(environments)
    with receiving(pre_delete, None, receiver), receiving(post_delete, None, receiver):
        rehearsed(environments, changeset)
        assert heard == []
        applied(environments, changeset)
    gone = {("Shop", shop.pk), ("Branch", branch.pk), ("Restaurant", bar.pk), ("Bar", bar.pk)}
    ours = [one for one in heard if one[1:] in gone]
    assert sorted(ours) == sorted((when, *row) for when in ("pre", "post") for row in gone)
    assert ours.index(("pre", "Restaurant", bar.pk)) < ours.index(("post", "Restaurant", bar.pk))


def test_deletes_of_rows_that_refer_to_each_other_take_statements_by_the_batch(environments: Environments) -> None:
    counts = []
    for count in (3, 40):
        for number in range(count):
            shop = rows(Shop, "default").create(name=f"s{count}-{number}")
            branch = rows(Branch, "default").create(name=f"b{count}-{number}", shop=shop)
            rows(Shop, "default").filter(pk=shop.pk).update(main=branch, first=branch)
            rows(Clerk, "default").create(name=f"c{count}-{number}")
        rows(Clerk, "default").update(boss=rows(Clerk, "default").first())
        changeset = pending(environments, "hard.shop", "hard.branch", "hard.clerk")
        environments.accept_all(changeset)
        approved = environments.approve(changeset)
        with CaptureQueriesContext(connection) as captured:
            environments.apply(approved)
        counts.append(len(captured))
    assert counts[1] <= counts[0]
