"""The number of statements of an apply grows with batches, never with rows; a plan is not held in memory."""

from __future__ import annotations

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test.utils import CaptureQueriesContext

from data_sync.core.states import ChangesetState
from data_sync.orm import target_rows
from data_sync.orm.tables import table
from data_sync.services import apply, plan
from tests.environments import Environments
from tests.hard.models import (
    Acquaintance,
    Actor,
    Car,
    Chapter,
    Edition,
    Lesson,
    Member,
    Node,
    Remark,
    Room,
    Seat,
    Stamp,
)

from .bringing import bring, pending, put, rows


def fill(environments: Environments, first: int, count: int) -> None:
    """As many creates, updates and deletes, of models of several kinds, links among them."""
    for alias in ("source", "default"):
        room = rows(Room, alias).get_or_create(name="hall")[0]
        both = range(first, first + count)
        own = (
            range(first + count, first + 2 * count)
            if alias == "source"
            else range(first + 2 * count, first + 3 * count)
        )
        for number in (*both, *own):
            car = rows(Car, alias).create(plate=f"car-{number}", wheels=4 if alias == "source" else 3)
            car.parked.add(room)
        rows(Lesson, alias).bulk_create(
            Lesson(code=f"l{number}", room=room, hour=number if alias == "source" else 5000 + number)
            for number in (*both, *own)
        )
        root = rows(Node, alias).get_or_create(slug="root")[0]
        rows(Node, alias).bulk_create(Node(slug=f"node-{number}", parent=root, title=alias) for number in (*both, *own))
        for number in (*both, *own):
            member = rows(Member, alias).create(name=f"member-{number}")
            if alias == "source":
                member.follows.add(member)
        rows(Stamp, alias).bulk_create(Stamp(name=f"s{number}", text=alias) for number in (*both, *own))


def statements(environments: Environments) -> int:
    changeset = pending(environments)
    environments.accept_all(changeset)
    environments.approve(changeset)
    apply.request_apply(changeset.pk, environments.actor)
    with CaptureQueriesContext(connection) as captured:
        assert apply.run_apply(changeset.pk).state == ChangesetState.APPLIED
    environments.assert_equal()
    return len(captured)


def pull_statements(environments: Environments) -> int:
    with CaptureQueriesContext(connection) as captured:
        pending(environments)
    return len(captured)


def fill_with_exchanges(environments: Environments, first: int, count: int) -> None:
    """Rows that hand on unique values and the conditions of some, and rows that must refer to themselves."""
    numbers = range(first, first + count)
    for number in numbers:
        environments.add(Seat, name=f"seat-{number}", place=(first + (number + 1 - first) % count, number))
        room = environments.add(Room, name=f"room-{number}")
        for name, active in ((f"{number}-a", (False, True)), (f"{number}-b", (True, False))):
            environments.add(Edition, name=name, room=room, active=active)
    put("source", *(Chapter(pk=900_000 + n, path=f"chapter-{n}", parent_id=900_000 + n) for n in numbers))


def test_twice_the_rows_take_no_more_statements(environments: Environments) -> None:
    fill(environments, 0, 10)
    few = statements(environments)
    fill(environments, 1000, 30)
    assert statements(environments) <= few + 10


def test_rows_that_exchange_values_take_no_more_statements(environments: Environments) -> None:
    """Neither at the pull nor in the apply."""
    fill_with_exchanges(environments, 0, 10)
    few = pull_statements(environments), statements(environments)
    fill_with_exchanges(environments, 1000, 50)
    many = pull_statements(environments), statements(environments)
    assert max(more - less for more, less in zip(many, few, strict=True)) < 30, (few, many)


@pytest.mark.parametrize("remembered", [0, 20_000])
def test_small_batches_and_plans_that_are_read_anew_come_to_the_same(
    environments: Environments, monkeypatch: pytest.MonkeyPatch, remembered: int
) -> None:
    monkeypatch.setattr(plan, "BATCH", 7)
    monkeypatch.setattr(plan, "REMEMBERED", remembered)
    fill(environments, 0, 20)
    for alias in ("source", "default"):
        node = rows(Node, alias).order_by("-pk")[0]
        kind = table(ContentType, alias).get_or_create(app_label="hard", model="node")[0]
        rows(Remark, alias).create(code="r", content_type=kind, object_id=str(node.pk))
    statements(environments)


@pytest.mark.parametrize("remembered", [0, 3])
def test_rows_that_refer_twice_to_more_rows_than_are_remembered(
    environments: Environments, monkeypatch: pytest.MonkeyPatch, remembered: int
) -> None:
    monkeypatch.setattr(plan, "BATCH", 7)
    monkeypatch.setattr(target_rows, "REMEMBERED", remembered)
    actors = [environments.add(Actor, name=f"{number}")[0] for number in range(10)]
    members = [environments.add(Member, name=f"{number}")[0] for number in range(10)]
    for number in range(10):
        rows(Acquaintance, "source").create(one=actors[number], other=actors[number - 1])
        members[number].follows.add(members[number - 1])
        members[number].friends.add(members[number - 2])
    bring(environments)
