"""Conditions of constraints, asked of records."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import F, Q
from django.db.models.functions import Length

from data_sync.core.records import Record
from data_sync.orm.conditions import forbids, held_by, is_met
from data_sync.orm.resolution import schema_of
from tests.hard.models import Edition


@pytest.mark.parametrize(
    ("condition", "fields", "expected"),
    [
        (Q(active=True), {"active": True}, True),
        (Q(active=True), {"active": False}, False),
        (~Q(active=True), {"active": False}, True),
        (Q(active=True, name="a"), {"active": True}, True),
        (Q(active=True, name="b"), {"active": True}, False),
        (Q(active=True) | Q(name="b"), {"active": False}, False),
        (Q(active=True) | Q(name__in=["a", "b"]), {"active": False}, True),
        (Q(room__isnull=True), {"room": ["hall"]}, False),
        (Q(name__gte="a"), {}, True),
        (Q(name__regex="a"), {}, None),
        (Q(name=F("room")), {}, None),
        (Q(active=False) & Q(name__regex="a"), {"active": True}, False),
        (Q(active=True) | Q(name__regex="a"), {"active": True}, True),
        (Q(Length("name")), {}, None),
        (Q(name__range=("a", "b")), {}, True),
        (Q(name=None), {}, False),
        (Q(room=None), {"room": None}, True),
        (Q(name__in=["x", F("room")]), {}, None),
        (~Q(active=F("active")), {}, False),
        (Q(name=F("name")), {"name": None}, False),
        (Q(name=1), {}, None),
        (Q(active=1), {}, True),
    ],
)
def test_only_the_database_can_tell_some_of_them(condition: Q, fields: dict[str, Any], expected: bool | None) -> None:
    schema = schema_of(Edition)
    assert schema is not None
    record = Record(model=schema.label, key=("a",), fields={"name": "a", "room": ["x"], "active": True, **fields})
    assert is_met(schema, condition, record) is expected


@pytest.mark.parametrize(
    ("check", "expected"),
    [(Q(name="b"), True), (Q(name="a"), False), (Q(room="b"), False), (Q(name__lt=F("room")), False)],
)
def test_a_check_lets_pass_what_null_leaves_open(check: Q, expected: bool) -> None:
    schema = schema_of(Edition)
    assert schema is not None
    record = Record(model=schema.label, key=("a",), fields={"name": "a", "room": None, "active": True})
    assert forbids(check, held_by(schema, record)) is expected
