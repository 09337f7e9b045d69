"""What a record from outside must look like, and what no column here can take: relations and primary keys."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from data_sync.core.errors import MalformedStream
from data_sync.core.records import Record
from data_sync.orm.limits import changed_primary_key, required_problems, validate, value_problems
from data_sync.orm.resolution import schemas

pytestmark = pytest.mark.no_database


def record(label: str, *key: Any, **fields: Any) -> Record:
    return Record(model=label, key=key, fields=fields)


def problems(before: Record | None, after: Record) -> list[tuple[str, str]]:
    found = value_problems(schemas()[after.model], before, after, "default")
    assert all(one["message"] for one in found)
    return [(one["code"], one["field"]) for one in found]


@pytest.mark.parametrize(
    "value", [None, ["hard.node", ["root"]], ["hard.city", ["FR", "Lyon"]], ["gone.model", [1, "a", True]]], ids=str
)
def test_a_generic_member_is_a_label_with_a_key(value: Any) -> None:
    validate(schemas()["hard.remark"], record("hard.remark", "a", code="a", about=value))


@pytest.mark.parametrize(
    "value",
    [
        "hard.node",
        ["root"],
        {"hard.node": ["root"]},
        ["hard.node", "root"],
        ["hard.node", ["root"], 1],
        ["hard.node", ["root", "more"]],
        ["hard.node", []],
        ["hard.node", [["root"]]],
        [None, ["root"]],
        7,
        [],
    ],
    ids=str,
)
def test_anything_else_in_its_place_is_refused(value: Any) -> None:
    with pytest.raises(MalformedStream, match=r'hard\.remark \["a"\] has a about'):
        validate(schemas()["hard.remark"], record("hard.remark", "a", code="a", about=value))


@pytest.mark.parametrize(
    ("key", "fields"),
    [
        (["Hall", 1], {"library": ["Attic"], "shelf": 1}),
        (["Hall", 1], {"library": ["Hall"], "shelf": 2}),
        (["Hall", 1], {"library": ["Hall"], "shelf": True}),
        (["Hall", 1], {"library": ["Hall"], "shelf": 1.0}),
    ],
    ids=str,
)
def test_a_key_is_what_the_fields_say(key: list[Any], fields: dict[str, Any]) -> None:
    schema = schemas()["hard.book"]
    validate(schema, record("hard.book", *key, library=["Hall"], shelf=1, title=""))
    with pytest.raises(MalformedStream, match="than its key says"):
        validate(schema, record("hard.book", *key, title="", **fields))


def test_a_generic_target_that_is_not_registered_is_a_problem() -> None:
    assert problems(None, record("hard.remark", "a", code="a", about=["gone.model", [1]])) == [
        ("missing_reference", "about")
    ]
    assert problems(None, record("hard.remark", "a", code="a", about=["hard.vehicle", [1]])) == [
        ("missing_reference", "about")
    ]


def test_a_generic_foreign_key_is_null_only_where_its_columns_can_be() -> None:
    assert problems(None, record("hard.remark", "a", code="a", about=None)) == []
    assert problems(None, record("hard.mark", "a", code="a", marked=None)) == [("null", "marked")]


def test_a_primary_key_that_would_change_is_a_problem_by_name() -> None:
    before = record("hard.profile", "ann", member=["ann"], text="")
    assert problems(before, record("hard.profile", "ann", member=["ann"], text="new")) == []
    after = record("hard.profile", "bob", member=["bob"], text="")
    assert problems(before, after) == [("primary_key", "member")]
    assert changed_primary_key(schemas()["hard.profile"], before, after) == "member"
    assert changed_primary_key(schemas()["hard.profile"], None, after) is None
    one, other = str(uuid.uuid4()), str(uuid.uuid4())
    before, after = (record("hard.event", pk, id=pk, title="") for pk in (one, other))
    assert problems(before, after) == [("primary_key", "id")]


def test_a_row_that_would_become_another_parents_is_a_problem() -> None:
    before, after = (record("hard.taxi", plate, number=1, car_ptr=[plate]) for plate in ("T1", "T2"))
    assert problems(before, after) == [("primary_key", "car_ptr")]
    assert problems(None, record("hard.taxi", "T1", number=1, car_ptr=None)) == [("null", "car_ptr")]


@pytest.mark.parametrize(
    ("label", "left_out", "expected"),
    [
        ("hard.mark", [], []),
        ("hard.mark", ["marked"], ["kind", "row"]),
        ("hard.remark", ["about"], []),
        ("hard.lesson", ["hour"], ["hour"]),
        ("hard.booking", ["start", "end"], ["end", "start"]),
        ("hard.gauge", ["unit"], ["unit"]),
        ("hard.tower", ["worth", "bells"], []),
        ("hard.total", ["count"], []),
    ],
)
def test_fields_left_out_because_the_sides_differ_are_said_to_be(
    label: str, left_out: list[str], expected: list[str]
) -> None:
    found = required_problems(schemas()[label].without(left_out))
    assert sorted(one["field"] for one in found) == expected
    assert all("was left out: what was read does not have it" in one["message"] for one in found)


def test_what_a_redacted_value_is_stands_in_no_problem() -> None:
    schema = schemas()["testapp.customer"]
    fields = {"name": "a", "city": "", "account": "secret" * 10, "limit": "secret", "notes": {}}
    after = Record(model=schema.label, key=("a",), fields={**fields, "adviser": None, "groups": []})
    found = value_problems(schema, None, after, "default")
    assert [(one["code"], one["field"]) for one in found] == [("capacity", "account"), ("type", "limit")]
    assert not any(told in one["message"] for one in found for told in ("secret", "60"))
