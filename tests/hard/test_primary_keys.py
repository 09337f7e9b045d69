"""Primary keys that are no numbers, that are references, that are natural keys; and references to other columns."""

from __future__ import annotations

import uuid

import pytest
from django.db import connections, transaction

from data_sync.core.states import Operation
from tests.environments import Environments

from .bringing import SIDES, bring, operations, pending, problems, rows, words
from .models import City, Event, Gauge, Member, Nation, Portrait, Profile, Stall, Ticket, Unit

pytestmark = pytest.mark.usefixtures("both_ways_of_reading")


def test_a_uuid_of_each_side_s_own_is_no_difference(environments: Environments) -> None:
    for alias in SIDES:
        rows(Ticket, alias).create(code="same", title="same")
    rows(Ticket, "source").create(code="new", title="new")
    rows(Ticket, "source").filter(code="same").update(title="edited")
    kept = rows(Ticket, "default").get(code="same").pk
    changeset = bring(environments)
    assert operations(changeset) == {
        ("hard.ticket", "same"): Operation.UPDATE,
        ("hard.ticket", "new"): Operation.CREATE,
    }
    assert rows(Ticket, "default").get(code="same").pk == kept
    assert isinstance(rows(Ticket, "default").get(code="new").pk, uuid.UUID)


def test_a_uuid_that_is_the_natural_key_travels(environments: Environments) -> None:
    first, second, third = (uuid.uuid4() for _ in range(3))
    rows(Event, "source").create(pk=first, title="one")
    rows(Event, "source").create(pk=second, title="two")
    rows(Event, "default").create(pk=second, title="2")
    rows(Event, "default").create(pk=third, title="3")
    bring(environments)
    assert dict(rows(Event, "default").values_list("pk", "title")) == {first: "one", second: "two"}


def test_references_to_every_kind_of_primary_key(environments: Environments) -> None:
    event = uuid.uuid4()
    for alias, code in (("source", "FR"), ("default", "DE")):
        nation = rows(Nation, alias).create(code=code, name=code)
        rows(City, alias).create(
            nation=nation,
            name="Town",
            event=rows(Event, alias).create(pk=event, title="fair"),
            ticket=rows(Ticket, alias).create(code="t"),
        )
    bring(environments)
    city = rows(City, "default").get()
    assert (city.nation_id, city.event_id, city.ticket.code) == ("FR", event, "t")


def test_a_text_primary_key_that_changes_is_another_row(environments: Environments) -> None:
    """The key is what others refer to: the old row goes, with its cities, and the new one comes, with its."""
    for alias, code in (("source", "GB"), ("default", "UK")):
        nation = rows(Nation, alias).create(code=code, name="Britain")
        rows(City, alias).create(nation=nation, name="Leeds")
    changeset = bring(environments)
    assert Operation.RENAME not in {
        kind for (label, _), kind in operations(changeset).items() if label == "hard.nation"
    }
    assert rows(City, "default").get().nation_id == "GB"


def test_a_primary_key_that_travels_cannot_change_and_the_review_says_so(environments: Environments) -> None:
    rows(Stall, "source").create(code="A 1", name="new")
    environments.add(Stall, code="B 1", name="same")
    environments.add(Stall, code=("C 2", "C 1"), name="moved")
    changeset = pending(environments)
    assert problems(changeset) == {("hard.stall", "moved"): ["primary_key"]}
    assert "code" in words(changeset, "primary_key")
    rows(Stall, "default").get(name="moved").delete()
    bring(environments)
    assert dict(rows(Stall, "default").values_list("name", "code")) == {"new": "A 1", "same": "B 1", "moved": "C 2"}


def test_a_one_to_one_that_is_the_primary_key_of_a_primary_key(environments: Environments) -> None:
    rows(Member, "default").create(name="shifts the counting")
    for alias, names in (("source", "ab"), ("default", "bc")):
        for name in names:
            member = rows(Member, alias).create(name=name)
            profile = rows(Profile, alias).create(member=member, text=f"{alias} {name}")
            rows(Portrait, alias).create(profile=profile, style=f"{alias} {name}")
    changeset = bring(environments)
    assert operations(changeset)["hard.portrait", "b"] == Operation.UPDATE
    held = rows(Portrait, "default").values_list("profile__member__name", "profile__text", "style")
    assert set(held) == {("a", "source a", "source a"), ("b", "source b", "source b")}


def test_references_by_another_column(environments: Environments) -> None:
    for alias, units, measured in (
        ("source", {"metre": "m", "litre": "l", "mole": "mol"}, {"tape": "m", "jug": "l", "flask": "mol"}),
        ("default", {"metre": "m", "litre": "l", "inch": "in"}, {"tape": "in", "jug": "l"}),
    ):
        of = {symbol: rows(Unit, alias).create(name=name, symbol=symbol) for name, symbol in units.items()}
        for name, symbol in measured.items():
            rows(Gauge, alias).create(name=name, unit=of[symbol])
    bring(environments)
    assert dict(rows(Gauge, "default").values_list("name", "unit_id")) == {"tape": "m", "jug": "l", "flask": "mol"}


def test_a_column_that_others_refer_to_cannot_change_and_the_review_names_who_does(environments: Environments) -> None:
    """The gauges' own records stay the same, but their column would have to follow."""
    for alias in SIDES:
        unit = rows(Unit, alias).create(name="litre", symbol="l")
        rows(Gauge, alias).create(name="jug", unit=unit)
    with transaction.atomic(using="source"), connections["source"].constraint_checks_disabled():
        rows(Unit, "source").filter(name="litre").update(symbol="L")
        rows(Gauge, "source").filter(name="jug").update(unit_id="L")
    changeset = pending(environments)
    assert problems(changeset) == {("hard.unit", "litre"): ["referred_to"]}
    said = words(changeset, "referred_to")
    assert "symbol" in said and "hard.gauge" in said


def test_columns_that_others_could_refer_to_are_not_exchanged(environments: Environments) -> None:
    """No value can be parked in between."""
    for alias, symbols in (("source", "xy"), ("default", "yx")):
        for name, symbol in zip(("first", "second"), symbols, strict=True):
            rows(Unit, alias).create(name=name, symbol=symbol)
    assert problems(pending(environments)) == {
        ("hard.unit", "first"): ["unique_exchange"],
        ("hard.unit", "second"): ["unique_exchange"],
    }
