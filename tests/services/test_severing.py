"""What an update takes away without deleting a row."""

from __future__ import annotations

from typing import Any

import pytest

from data_sync.models import Change
from data_sync.orm.resolution import schemas
from data_sync.services.severing import severed

pytestmark = pytest.mark.no_database

RECORD: dict[str, Any] = {"sku": "a", "name": "A", "category": ["shoes"], "tags": [["new"], ["old"]], "related": []}


@pytest.mark.parametrize(
    ("after", "count"),
    [
        ({}, 0),
        ({"name": ""}, 0),
        ({"category": None}, 1),
        ({"category": ["boots"]}, 0),
        ({"tags": [["new"]]}, 1),
        ({"tags": [["new"], ["newer"]]}, 1),
        ({"tags": [["new"], ["newer"], ["old"]]}, 0),
        ({"tags": [], "category": None}, 3),
    ],
)
def test_links_and_references_that_go_are_counted(after: dict[str, Any], count: int) -> None:
    schema = schemas()["testapp.product"]
    before = {name: RECORD.get(name) for name in schema.field_names}
    assert severed(schema, Change(before=before, after=before | after)) == count


def test_what_comes_gains_and_what_goes_is_a_delete() -> None:
    schema = schemas()["testapp.product"]
    assert severed(schema, Change(before=None, after=RECORD)) == 0
    assert severed(schema, Change(before=RECORD, after=None)) == 0


def test_a_generic_reference_counts_too() -> None:
    schema = next(schema for schema in schemas().values() if schema.generics and not schema.links)
    [generic] = schema.generics
    before = {name: None for name in schema.field_names}
    change = Change(before=before | {generic.name: ["testapp.tag", ["new"]]}, after=before)
    assert severed(schema, change) == 1
