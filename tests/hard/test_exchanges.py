"""Unique values that rows exchange, hand on and take over."""

from __future__ import annotations

import pytest
from django.db import connection

from data_sync.core.errors import InvalidTransition
from data_sync.core.states import ChangesetState, Operation
from tests.environments import Environments

from .bringing import bring, pending, problems, rows, words
from .models import Account, Edition, Lesson, Locker, Permit, Room, Seat

Seats = dict[str, tuple[int, str | None]]


def seats(alias: str, taken: Seats) -> None:
    for name, (place, badge) in taken.items():
        rows(Seat, alias).create(name=name, place=place, badge=badge)


def taken(alias: str) -> Seats:
    return {name: (place, badge) for name, place, badge in rows(Seat, alias).values_list("name", "place", "badge")}


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ({"a": (1, "x"), "b": (2, "y")}, {"a": (2, "x"), "b": (1, "y")}),
        ({"a": (1, "x"), "b": (2, "y")}, {"a": (2, "y"), "b": (1, "x")}),
        ({"a": (1, "x"), "b": (2, "y"), "c": (3, "z")}, {"a": (2, "y"), "b": (3, "z"), "c": (1, "x")}),
        ({"a": (1, "x"), "b": (2, "y"), "c": (3, "z")}, {"a": (3, "y"), "b": (1, "z"), "c": (2, "x")}),
        ({"a": (1, None), "b": (2, "y")}, {"a": (2, "y"), "b": (3, None)}),
        ({"a": (1, "x"), "b": (2, "y"), "c": (3, "z")}, {"a": (2, "x"), "b": (3, "y"), "c": (4, "z")}),
        ({"a": (1, "x"), "gone": (2, "y")}, {"a": (2, "y"), "new": (1, "x")}),
        ({"gone": (1, "x"), "away": (2, "y")}, {"new": (1, "y"), "newer": (2, "x")}),
    ],
    ids=["two", "two, both", "three", "three, two ways", "with null", "a chain", "with a new and a gone", "all new"],
)
def test_rows_exchange_unique_values(environments: Environments, here: Seats, there: Seats) -> None:
    seats("default", here)
    seats("source", there)
    kept = dict(rows(Seat, "default").filter(name__in=there).values_list("name", "pk"))
    bring(environments)
    assert taken("default") == there
    assert kept.items() <= dict(rows(Seat, "default").values_list("name", "pk")).items()


def test_many_rows_rotate_in_more_than_one_batch(environments: Environments) -> None:
    count = 1500
    for alias, step in (("default", 0), ("source", 1)):
        rows(Seat, alias).bulk_create(
            Seat(name=f"s{n}", place=(n + step) % count, badge=f"b{(n * 7 + step) % count}") for n in range(count)
        )
    bring(environments)


def test_half_an_exchange_is_not_approved(environments: Environments) -> None:
    seats("default", {"a": (1, None), "b": (2, None)})
    seats("source", {"a": (2, None), "b": (1, None)})
    changeset = pending(environments)
    first, second = changeset.changes.order_by("number")
    assert (first.requires, second.requires) == ([second.number], [first.number])
    environments.accept(changeset, first.number)
    with environments.untouched(), pytest.raises(InvalidTransition, match=r"(?s)\ba\b.*\bb\b"):
        environments.approve(changeset)


def test_what_a_deleted_row_holds_is_not_written_without_the_delete(environments: Environments) -> None:
    seats("default", {"a": (1, None), "gone": (2, None)})
    seats("source", {"a": (2, None)})
    changeset = pending(environments)
    numbers = {change.operation: change.number for change in changeset.changes.all()}
    environments.accept(changeset, numbers[Operation.UPDATE])
    with environments.untouched(), pytest.raises(InvalidTransition, match=r"(?s)\ba\b.*\bgone\b"):
        environments.approve(changeset)


def lessons(alias: str, held: dict[str, tuple[str, int]]) -> None:
    for code, (room, hour) in held.items():
        its, _ = rows(Room, alias).get_or_create(name=room)
        rows(Lesson, alias).create(code=code, room=its, hour=hour)


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ({"maths": ("red", 9), "music": ("blue", 9)}, {"maths": ("blue", 9), "music": ("red", 9)}),
        ({"maths": ("red", 9), "music": ("blue", 10)}, {"maths": ("blue", 10), "music": ("red", 9)}),
        (
            {"maths": ("red", 9), "music": ("blue", 9), "art": ("green", 9)},
            {"maths": ("blue", 9), "music": ("green", 9), "art": ("red", 9)},
        ),
        ({"maths": ("red", 9), "music": ("red", 10)}, {"maths": ("red", 10), "art": ("red", 9)}),
        ({"maths": ("red", 9), "music": ("blue", 9)}, {"maths": ("new", 9), "music": ("red", 9)}),
    ],
    ids=["rooms", "rooms and hours", "three", "after one that goes", "from a room that goes into a new one"],
)
def test_references_that_are_unique_together_move(
    environments: Environments, here: dict[str, tuple[str, int]], there: dict[str, tuple[str, int]]
) -> None:
    lessons("default", here)
    lessons("source", there)
    bring(environments)
    held = rows(Lesson, "default").values_list("code", "room__name", "hour")
    assert {code: (room, hour) for code, room, hour in held} == there


def test_a_key_that_reaches_through_a_reference_moves(environments: Environments) -> None:
    for alias in ("source", "default"):
        for room in ("red", "blue"):
            its = rows(Room, alias).create(name=room)
            for number in (1, 2):
                rows(Locker, alias).create(room=its, number=number, colour=f"{room} {number}")
    # At the source, locker 2 of each room is carried into the other, and gets a new number there.
    red, blue = (rows(Room, "source").get(name=room) for room in ("red", "blue"))
    rows(Locker, "source").filter(colour="red 2").update(room=blue, number=3)
    rows(Locker, "source").filter(colour="blue 2").update(room=red, number=2)
    bring(environments)
    held = set(rows(Locker, "default").values_list("room__name", "number", "colour"))
    assert held == {("red", 1, "red 1"), ("red", 2, "blue 2"), ("blue", 1, "blue 1"), ("blue", 3, "red 2")}


def test_a_value_that_a_row_out_of_reach_holds_is_a_problem_that_names_both(environments: Environments) -> None:
    """No change of the changeset can make the row let go of it."""
    rows(Permit, "default").create(name="local", number=7, live=False)
    environments.add(Permit, name="moves", number=(7, 8))
    rows(Permit, "source").create(name="theirs", number=9)
    changeset = pending(environments)
    assert problems(changeset) == {("hard.permit", "moves"): ["unique_collision"]}
    assert '"local"' in words(changeset, "unique_collision")


@pytest.mark.skipif(connection.vendor == "mysql", reason="MariaDB knows no unique expressions")
def test_a_value_that_is_unique_by_an_expression_is_exchanged(environments: Environments) -> None:
    for alias, mails in (("source", ("x@e", "y@e")), ("default", ("Y@E", "X@E"))):
        for name, mail in zip("ab", mails, strict=True):
            rows(Account, alias).create(name=name, mail=mail)
    bring(environments)
    assert dict(rows(Account, "default").values_list("name", "mail")) == {"a": "x@e", "b": "y@e"}


@pytest.mark.skipif(connection.vendor == "mysql", reason="MariaDB knows no unique expressions")
def test_what_an_expression_takes_for_equal_is_refused_by_name_unless_the_other_row_lets_go(
    environments: Environments,
) -> None:
    """Only the database knows what the expression makes of a value: a rehearsal says so, or else the apply."""
    environments.add(Account, name="lets go", mail=("z@e", "X@E"))
    rows(Account, "source").create(name="new", mail="x@e")
    changeset = pending(environments)
    environments.accept(changeset, changeset.changes.get(key_text="new").number)
    with environments.untouched():
        done = environments.apply(environments.approve(changeset))
    assert done.state == ChangesetState.FAILED and 'hard.account ["new"]' in done.state_reason, done.state_reason
    bring(environments)


def test_one_active_row_hands_over_to_another(environments: Environments) -> None:
    """A constraint with a condition: at no moment may two rows of a room be active."""
    for alias, active in (("default", "old"), ("source", "new")):
        room = rows(Room, alias).create(name="hall")
        for name in ("old", "new"):
            rows(Edition, alias).create(name=name, room=room, active=name == active)
    bring(environments)
    assert rows(Edition, "default").get(active=True).name == "new"


def test_active_rows_change_rooms(environments: Environments) -> None:
    for alias, order in (("default", ["hall", "attic"]), ("source", ["attic", "hall"])):
        for name, room in zip(("first", "second"), order, strict=True):
            rows(Edition, alias).create(name=name, room=rows(Room, alias).create(name=room), active=True)
    bring(environments)
