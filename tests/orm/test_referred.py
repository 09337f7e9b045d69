"""Columns that rows refer to by `to_field`: a new value there is found out before the database refuses it."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from data_sync.core.records import Record
from data_sync.orm.referred import ReferredColumns, Update
from data_sync.orm.resolution import schemas
from tests.hard.models import Gauge, Unit

pytestmark = pytest.mark.django_db


def update(name: str, before: str, after: str) -> Update:
    records = (Record(model="hard.unit", key=(name,), fields={"name": name, "symbol": one}) for one in (before, after))
    return (schemas()["hard.unit"], *records)


def problems(*updates: Update) -> list[dict[str, Any]]:
    found = ReferredColumns(updates, "default")
    return [one for given in updates for one in found.problems(*given)]


def test_a_value_that_rows_refer_to_cannot_change_under_them() -> None:
    Unit.objects.create(name="metre", symbol="m")
    litre = Unit.objects.create(name="litre", symbol="l")
    for name in ("jug", "cup"):
        Gauge.objects.create(name=name, unit=litre)
    [found] = problems(update("litre", "l", "dl"), update("metre", "m", "mm"))
    assert (found["code"], found["field"]) == ("referred_to", "symbol")
    assert "symbol is the column that 2 rows of hard.gauge here refer to by unit" in found["message"]


def test_other_values_may_change() -> None:
    litre = Unit.objects.create(name="litre", symbol="l")
    Gauge.objects.create(name="jug", unit=litre)
    schema, before, after = update("litre", "l", "l")
    assert problems((schema, before, Record(model=after.model, key=("x",), fields={**after.fields, "name": "x"}))) == []


def test_many_updates_are_one_query_a_column() -> None:
    updates = [update(f"u{number}", str(number), f"{number}!") for number in range(100)]
    with CaptureQueriesContext(connection) as captured:
        assert problems(*updates) == []
    assert len(captured) == 1
    seat = schemas()["hard.seat"]
    records = [Record(model="hard.seat", key=("s",), fields={"name": "s", "place": n, "badge": None}) for n in (1, 2)]
    with CaptureQueriesContext(connection) as captured:
        assert problems((seat, records[0], records[1])) == []
    assert len(captured) == 0
