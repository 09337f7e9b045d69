"""Values that nobody has, for every type of column that rows can wait in."""

from __future__ import annotations

from typing import Any

import pytest

from data_sync.orm.free_values import can_be_free, free_values
from tests.hard.models import Nation, Seat
from tests.testapp.models import Everything

PARKABLE = [
    field.name
    for field in Everything._meta.concrete_fields
    if not field.primary_key and not field.null and field.name not in ("boolean", "json", "path")
]


def stored(name: str, values: list[Any]) -> list[Any]:
    for number, value in enumerate(values):
        Everything.objects.create(**{"name": f"row-{number}", **{name: value}})
    return list(Everything.objects.order_by("pk").values_list(name, flat=True))


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
