"""What validators of a model say of changed values: warnings, whatever the validators do."""

from __future__ import annotations

from typing import Any

import pytest

from data_sync.core.records import Record
from data_sync.orm.resolution import schemas
from data_sync.orm.validators import warnings
from tests.hard.models import Checked
from tests.testapp.models import Everything

pytestmark = pytest.mark.no_database

SOUND = {"name": "a", "number": 2, "colour": "red", "mail": ""}


def record(**fields: Any) -> Record:
    return Record(model="hard.checked", key=("a",), fields={**SOUND, **fields})


def found(after: Record, before: Record | None = None) -> list[tuple[str, str, str]]:
    return [(one["code"], one["field"], one["message"]) for one in warnings(schemas()["hard.checked"], before, after)]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, []),
        ({"number": 4, "colour": "blue", "mail": "a@example.org"}, []),
        ({"number": 3}, [("validator", "number", "number: 3 is odd.")]),
        (
            {"number": -11},
            [
                ("validator", "number", "number: -11 is odd."),
                ("validator", "number", "number: Ensure this value is greater than or equal to -10."),
            ],
        ),
        ({"colour": "pink"}, [("choices", "colour", "colour is 'pink', which is none of its choices here.")]),
        ({"mail": "nobody"}, [("validator", "mail", "mail: Enter a valid email address.")]),
        ({"number": "three"}, []),
        ({"number": None}, []),
    ],
    ids=str,
)
def test_values_that_forms_would_refuse_are_named(fields: dict[str, Any], expected: list[Any]) -> None:
    assert sorted(found(record(**fields))) == sorted(expected)


def test_only_values_that_change_are_looked_at() -> None:
    assert found(record(number=3, mail="x"), before=record(number=3, mail="y")) == [
        ("validator", "mail", "mail: Enter a valid email address.")
    ]


def test_a_validator_that_fails_is_a_warning_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(value: Any) -> None:
        raise KeyError("settings")

    monkeypatch.setattr(Checked._meta.get_field("number"), "validators", [broken])
    assert found(record()) == [("validator", "number", "number: a validator failed with KeyError: 'settings'")]


def test_a_json_null_has_nothing_to_validate() -> None:
    after = Record(model="testapp.everything", key=("a",), fields={"name": "a", "json": {"$json": None}})
    assert warnings(schemas()[Everything._meta.label_lower], None, after) == []
