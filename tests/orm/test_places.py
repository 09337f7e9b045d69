"""Where rows can wait that have to let go of unique values."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import models
from django.db.models import F, Q

from data_sync.core.records import Record
from data_sync.orm.places import Places
from data_sync.orm.resolution import schema_of
from data_sync.registry.unique_sets import UniqueSet
from tests.hard.models import Checked, Edition


def way_out(
    model: type[models.Model], condition: Q, before: dict[str, Any], after: dict[str, Any] | None
) -> tuple[str, Any] | None:
    schema = schema_of(model)
    assert schema is not None
    records = [
        None if fields is None else Record(model=schema.label, key=("a",), fields=fields) for fields in (before, after)
    ]
    assert records[0] is not None
    places = Places(schema, UniqueSet(names=("name",), condition=condition), "default")
    found = places.way_out(records[0], records[1])
    return None if found is None else (found[0].name, found[1])


EDITION = {"name": "a", "room": ["hall"], "active": True}
CHECKED = {"name": "a", "number": 0, "colour": "red", "mail": ""}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("model", "condition", "before", "after", "expected"),
    [
        (Edition, Q(active=True), EDITION, None, ("active", False)),
        (Edition, Q(active=True), EDITION, EDITION, ("active", False)),
        (Checked, Q(colour="red"), CHECKED, {**CHECKED, "colour": "green"}, ("colour", "green")),
        (Checked, Q(colour="red"), CHECKED, None, ("colour", "blue")),
        (Checked, Q(number=0), CHECKED, CHECKED, ("number", 1)),
        (Checked, Q(number__isnull=False), CHECKED, CHECKED, None),
        (Checked, Q(mail__contains="@"), CHECKED, None, None),
    ],
)
def test_a_row_leaves_the_condition_of_a_set(
    model: type[models.Model],
    condition: Q,
    before: dict[str, Any],
    after: dict[str, Any] | None,
    expected: tuple[str, Any] | None,
) -> None:
    assert way_out(model, condition, before, after) == expected


def test_it_does_not_leave_by_what_a_check_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    check = models.CheckConstraint(condition=Q(active=True) | Q(name=F("name"), room__isnull=True), name="a_check")
    monkeypatch.setattr(Edition._meta, "constraints", [check])
    assert way_out(Edition, Q(active=True), EDITION, None) is None
    assert way_out(Edition, Q(active=True), {**EDITION, "room": None}, None) == ("active", False)
