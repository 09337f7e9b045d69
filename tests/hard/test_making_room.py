"""Rows that hold a unique value which another needs: deleted early, waiting elsewhere, or named at the pull."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, models
from django.db.models.signals import pre_delete, pre_save

from data_sync.core.states import ChangesetState
from data_sync.services.rehearsal import rehearse
from tests.environments import Environments

from .bringing import applied, bring, described, pending, problems, put, rows, without_renames, words
from .models import (
    Barrow,
    Cabinet,
    Cart,
    Chapter,
    Desk,
    Drawer,
    Edition,
    Furniture,
    Grade,
    Lamp,
    Member,
    Page,
    Plate,
    Room,
    Seat,
    Sledge,
    Sticker,
)

needs_conditions = pytest.mark.skipif(
    not connection.features.supports_partial_indexes, reason="this database knows no constraint with a condition"
)


@contextmanager
def heard(signal: Any, model: type[models.Model], name: str) -> Iterator[list[Any]]:
    """What receivers of a signal see in one column."""
    seen: list[Any] = []

    def receiver(instance: Any, **_: Any) -> None:
        seen.append(getattr(instance, name))

    signal.connect(receiver, sender=model)
    try:
        yield seen
    finally:
        signal.disconnect(receiver, sender=model)


@contextmanager
def referred_to_by_a_table_of_others(row: models.Model) -> Iterator[None]:
    """One that Django does not know: the database alone refuses that the row goes."""
    table, pk = row._meta.db_table, row._meta.pk.column
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE hard_others (row_id bigint, FOREIGN KEY (row_id) REFERENCES {table} ({pk}))")
        try:
            cursor.execute("INSERT INTO hard_others VALUES (%s)", [row.pk])
            yield
        finally:
            cursor.execute("DROP TABLE hard_others")


def desks(environments: Environments) -> Any:
    """Ann sits at another desk at the source, and her old one is gone. Gives the old one."""
    there, here = environments.add(Member, name="ann")
    rows(Desk, "source").create(name="new", sitter=there)
    return rows(Desk, "default").create(name="old", sitter=here)


# Deleted early


def test_a_row_that_goes_with_what_was_shown_goes_before_its_value_is_taken(environments: Environments) -> None:
    """A required one-to-one can hold nothing else meanwhile."""
    rows(Sticker, "default").create(desk=desks(environments))
    changeset = pending(environments)
    assert [change.cascades[0]["model"] for change in changeset.changes.filter(has_cascades=True)] == ["hard.sticker"]
    assert rehearse(changeset.pk, environments.actor).errors == {}
    applied(environments, changeset)
    environments.assert_equal()
    assert not rows(Sticker, "default").exists()


def test_rows_that_changes_of_their_own_delete_go_along(environments: Environments) -> None:
    old = desks(environments)
    for number in range(3):
        rows(Drawer, "default").create(name=f"d{number}", desk=old)
    with heard(pre_delete, Drawer, "name") as seen:
        bring(environments)
    assert sorted(seen) == ["d0", "d1", "d2"]


@pytest.mark.parametrize("stays", [True, False])
def test_a_child_goes_along_and_leaves_the_parents_row(environments: Environments, stays: bool) -> None:
    cabinet = rows(Cabinet, "default").create(name="c", desk=desks(environments))
    rows(Furniture, "source").create(name="c" if stays else "other")
    bring(environments)
    assert rows(Furniture, "default").filter(pk=cabinet.pk).exists() == stays


def test_rows_that_forbid_the_delete_and_go_too_go_along(environments: Environments) -> None:
    old = desks(environments)
    other = rows(Desk, "default").create(name="o", sitter=environments.add(Member, name="eve")[1])
    rows(Lamp, "default").create(name="l", desk=old, spare=other)
    bring(environments)


@needs_conditions
def test_what_would_have_gone_along_with_a_refused_delete_goes_by_itself(environments: Environments) -> None:
    there, here = environments.add(Room, name="hall")
    old = rows(Edition, "default").create(name="old", room=here, active=True)
    rows(Page, "default").create(name="p", edition=old)
    rows(Edition, "source").create(name="new", room=there, active=True)
    changeset = without_renames(environments)
    number = changeset.changes.get(model="hard.edition", operation="delete").number
    with referred_to_by_a_table_of_others(old):
        found = rehearse(changeset.pk, environments.actor)
    assert found.errors.keys() == {number} and "refused" in found.errors[number]


def test_a_row_more_than_was_shown_ends_the_apply_by_name(environments: Environments) -> None:
    old = desks(environments)
    changeset = environments.approved()
    rows(Sticker, "default").create(desk=old)
    number = changeset.changes.get(operation="delete").number
    with environments.untouched():
        assert rehearse(changeset.pk, environments.actor).errors.keys() == {number}
        done = environments.apply(changeset)
    assert done.state == ChangesetState.FAILED
    reasons = {key: reason for _, _, key, reason in described(done)}
    assert "not shown" in reasons["old"] and "Pull again" in reasons["old"]


@needs_conditions
def test_an_active_row_goes_with_what_was_shown(environments: Environments) -> None:
    room = environments.add(Room, name="hall")
    old = rows(Edition, "default").create(name="old", room=room[1], active=True)
    rows(Page, "default").create(name="p", edition=old)
    rows(Edition, "source").create(name="new", room=room[0], active=True)
    applied(environments, without_renames(environments))
    environments.assert_equal()


def test_receivers_of_deletes_see_what_the_row_had(environments: Environments) -> None:
    old = rows(Seat, "default").create(name="old", place=7, badge="x")
    rows(Sticker, "default").create(seat=old)
    rows(Seat, "source").create(name="new", place=7)
    with heard(pre_delete, Seat, "place") as places:
        bring(environments)
    assert places == [7]


# What cannot go early


def test_a_value_that_is_let_go_too_late_is_named_at_the_pull(environments: Environments) -> None:
    """The drawer is moved to a desk that has to be there first; until then the old desk cannot go."""
    rows(Drawer, "default").create(name="d", desk=desks(environments))
    rows(Drawer, "source").create(name="d", desk=rows(Desk, "source").get())
    changeset = pending(environments)
    assert problems(changeset) == {("hard.desk", "new"): ["unique_exchange"]}
    said = words(changeset, "unique_exchange")
    assert '["old"]' in said and '["new"]' in said and "sitter" in said


@needs_conditions
def test_an_active_row_that_cannot_go_early_is_put_out_of_action(environments: Environments) -> None:
    there, here = environments.add(Room, name="hall")
    old = rows(Edition, "default").create(name="old", room=here, active=True)
    rows(Page, "default").create(name="p", edition=old)
    new = rows(Edition, "source").create(name="new", room=there, active=True)
    rows(Page, "source").create(name="p", edition=new)
    bring(environments)


def test_rows_leave_a_condition_that_asks_for_null_by_a_made_up_value(environments: Environments) -> None:
    first, second = (environments.add(Edition, name=name, room=environments.add(Room, name=name)) for name in "ab")
    environments.add(Page, name="p", edition=(first[0], second[1]))
    environments.add(Page, name="q", edition=(second[0], first[1]))
    bring(environments)
    assert not rows(Page, "default").exclude(withdrawn=None).exists()


# Waiting where checks allow it


def grades(alias: str, letters: str) -> None:
    for number, letter in enumerate(letters.split()):
        rows(Grade, alias).create(name=f"g{number}", letter=letter)


@pytest.mark.parametrize(("here", "there"), [("A B", "B A"), ("A A- B", "B A A-")], ids=["two are free", "one is free"])
def test_checked_values_are_exchanged_by_way_of_those_that_are_free(
    environments: Environments, here: str, there: str
) -> None:
    grades("default", here)
    grades("source", there)
    bring(environments)


def test_checked_values_none_of_which_is_free_are_named_at_the_pull(environments: Environments) -> None:
    grades("default", "A A- B B-")
    grades("source", "B A B- A-")
    changeset = pending(environments)
    assert {code for of_change in problems(changeset).values() for code in of_change} == {"unique_exchange"}
    assert "letter" in words(changeset, "unique_exchange")


def test_a_rehearsal_makes_room_as_an_apply_does(environments: Environments) -> None:
    grades("default", "A B")
    grades("source", "B A")
    rows(Sticker, "default").create(desk=desks(environments))
    changeset = pending(environments)
    with environments.untouched():
        found = rehearse(changeset.pk, environments.actor)
    assert (found.written, found.errors, found.dependents) == (changeset.changes.count(), {}, {})
    applied(environments, changeset)


# Rows of several models in the table of one parent


@pytest.mark.parametrize("giver", [Barrow, Cart, Sledge])
@pytest.mark.parametrize("taker", [Barrow, Cart, Sledge])
def test_a_value_moves_between_models_that_share_a_table(
    environments: Environments, giver: type[models.Model], taker: type[models.Model]
) -> None:
    """By whatever primary keys their rows are in it, and whichever of them is written first."""
    rows(Plate, "default").create(serial=5)
    environments.add(giver, name="gives", serial=(2, 1))
    rows(taker, "source").create(name="takes", serial=1)
    bring(environments)


@pytest.mark.parametrize("giver", [Barrow, Cart])
@pytest.mark.parametrize("taker", [Barrow, Cart, Sledge])
def test_a_value_moves_from_a_row_that_goes_to_one_of_another_model(
    environments: Environments, giver: type[models.Model], taker: type[models.Model]
) -> None:
    rows(Plate, "default").create(serial=5)
    environments.add(giver, name="stays", serial=9)
    rows(giver, "default").create(name="gone", serial=1)
    rows(taker, "source").create(name="takes", serial=1)
    bring(environments)


@pytest.mark.parametrize("taker", [Barrow, Cart])
def test_who_keeps_a_value_is_named_by_its_own_model(environments: Environments, taker: type[models.Model]) -> None:
    rows(Sledge, "default").create(name="keeps", serial=1)
    rows(Plate, "default").create(pk=77, serial=2)
    for serial in (1, 2):
        rows(taker, "source").create(name=f"takes {serial}", serial=serial)
    changeset = pending(environments)
    assert {codes[0] for codes in problems(changeset).values()} == {"unique_collision"}
    said = words(changeset, "unique_collision")
    assert 'that of hard.sledge ["keeps"] here' in said and "that of hard.plate 77 here" in said


# Own keys


def test_receivers_hear_once_of_each_row_that_refers_to_itself(environments: Environments) -> None:
    put("source", *(Chapter(pk=100 + n, path=f"n{n}", parent_id=100 + n) for n in range(5)))
    changeset = pending(environments)
    with heard(pre_save, Chapter, "path") as paths:
        applied(environments, changeset)
    assert sorted(paths) == [f"n{n}" for n in range(5)]
