"""Values that nobody has, for every type of column that rows can wait in."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.db import models
from django.db.models import Q

from data_sync.orm.free_values import can_be_free, free_values
from tests.hard.models import Nation, Seat
from tests.testapp.models import Everything

PARKABLE = [
    field.name
    for field in Everything._meta.concrete_fields
    if not field.primary_key and not field.null and field.name not in ("boolean", "json", "path")
]


def stored(name: str, values: list[Any], prefix: str = "row") -> list[Any]:
    rows = [
        Everything.objects.create(**{"name": f"{prefix}-{number}", **{name: value}})
        for number, value in enumerate(values)
    ]
    made = Everything.objects.filter(pk__in=[row.pk for row in rows])
    return list(made.order_by("pk").values_list(name, flat=True))


@pytest.mark.django_db
@pytest.mark.parametrize("name", PARKABLE)
def test_they_differ_are_free_and_can_be_stored(name: str) -> None:
    field = Everything._meta.get_field(name)
    values = free_values(field, 3, "default")
    assert len(values) == 3
    held = [bytes(value) if isinstance(value, memoryview) else value for value in stored(name, values)]
    assert len(set(held)) == 3
    more = free_values(field, 3, "default")
    assert not {*map(repr, more)} & {*map(repr, held)}


@pytest.mark.parametrize("name", ["boolean", "json", "path"])
def test_some_types_have_none(name: str) -> None:
    assert not can_be_free(Everything._meta.get_field(name))


@pytest.mark.django_db
def test_short_texts_are_counted_through_until_one_is_free() -> None:
    field = Nation._meta.get_field("code")
    first = free_values(field, 40, "default")
    Nation.objects.bulk_create(Nation(code=code) for code in first)
    assert len(first) == 40
    assert not set(first) & set(free_values(field, 40, "default"))


@pytest.mark.django_db
def test_integers_stay_close_to_what_is_there() -> None:
    """Checks of the column's own are likelier to allow them."""
    Seat.objects.create(name="a", place=7)
    assert free_values(Seat._meta.get_field("place"), 2, "default") == [8, 9]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "held", "check"),
    [
        ("integer", [7, 8], Q(integer__range=(7, 10))),
        ("integer", [7, 8], Q(integer__gt=5, integer__lte=10)),
        ("small", [0], Q(small__lt=0) | Q(small=0)),
        ("amount", [Decimal("0.5")], Q(amount__gte=0) & Q(amount__lte=1)),
        ("number", [0.5], Q(number__gte=0, number__lte=1)),
        ("date", [date(2026, 1, 1)], Q(date__year=2026, date__gte=date(2026, 1, 1))),
        ("char", ["AB-1"], Q(char__regex=r"^[A-Z]{2}-[0-9]$")),
        ("char", ["a"], Q(char__in=["a", "b", "c"])),
        ("slug", ["b"], ~Q(slug="")),
    ],
)
def test_they_meet_the_checks_of_the_column(
    monkeypatch: pytest.MonkeyPatch, name: str, held: list[Any], check: Q
) -> None:
    constraint = models.CheckConstraint(condition=check, name="a_check")
    stored(name, held)
    monkeypatch.setattr(Everything._meta, "constraints", [constraint])
    values = free_values(Everything._meta.get_field(name), 2, "default")
    assert len(values) == 2 and not set(values) & set(held)
    stored(name, values, "free")
    assert Everything.objects.filter(check, name__startswith="free").count() == 2


@pytest.mark.django_db
def test_a_column_is_full_when_its_check_allows_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    constraint = models.CheckConstraint(condition=Q(integer__range=(0, 3)), name="a_check")
    stored("integer", [0, 1, 3])
    monkeypatch.setattr(Everything._meta, "constraints", [constraint])
    assert free_values(Everything._meta.get_field("integer"), 5, "default") == [2]
