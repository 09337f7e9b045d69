"""What a first pull found waits for a person: a second pull knows no more of it than the first."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from data_sync.models import Changeset, DataPull, DataSource
from data_sync.services.first_pulls import unreviewed

pytestmark = pytest.mark.django_db

TAG, TERM = "testapp.tag", "testapp.term"


@pytest.fixture
def source() -> DataSource:
    return DataSource.objects.create(name="Staging", url="https://staging.example.org")


def pulled(source: DataSource, *labels: str, state: str = "", is_new: bool = True, **values: Any) -> DataPull:
    """A pull of these models; with a changeset in a state, or without, as nothing differed."""
    rows = [{"label": label, "is_new": is_new, "create": int(bool(state)), "update": 0} for label in labels]
    report = {"schema": {}, "models": rows}
    pull = DataPull.objects.create(source=source, source_name="Staging", state="done", report=report)
    if state:
        Changeset.objects.create(pull=pull, source=source, source_name="Staging", state=state, **values)
    return pull


@pytest.mark.parametrize("state", ["pending", "blocked", "approved", "superseded", "stale", "failed"])
def test_as_long_as_nobody_has_applied_or_rejected_it(source: DataSource, state: str) -> None:
    pulled(source, TAG, state=state)
    assert unreviewed(source, [TAG, TERM]) == {TAG}


@pytest.mark.parametrize("state", ["applied", "reverted", "rejected"])
def test_not_when_somebody_has(source: DataSource, state: str) -> None:
    pulled(source, TAG, state="superseded")
    pulled(source, TAG, state=state)
    assert unreviewed(source, [TAG]) == set()


def test_not_when_both_sides_were_found_equal_since(source: DataSource) -> None:
    pulled(source, TAG, state="superseded")
    pulled(source, TAG)
    assert unreviewed(source, [TAG]) == set()


def test_not_of_a_pull_that_was_not_the_first(source: DataSource) -> None:
    pulled(source, TAG, state="pending", is_new=False)
    assert unreviewed(source, [TAG]) == set()


def test_not_where_only_fields_were_left_out(source: DataSource) -> None:
    """Then what was agreed on of the whole is still there."""
    pulled(source, TAG, state="superseded", omitted={TAG: ["name"]})
    assert unreviewed(source, [TAG]) == set()


def test_the_latest_pull_of_each_model_counts(source: DataSource) -> None:
    pulled(source, TAG, TERM, state="pending")
    pulled(source, TERM, state="applied")
    other = DataSource.objects.create(name="Other", url="https://other.example.org")
    pulled(other, TAG, state="applied")
    DataPull.objects.create(source=source, source_name="Staging", state="failed")
    assert unreviewed(source, [TAG, TERM]) == {TAG}
    assert unreviewed(other, [TAG]) == set()
    assert unreviewed(None, [TAG]) == set()


def test_one_query_however_many_pulls_there_were(source: DataSource) -> None:
    for _ in range(50):
        pulled(source, TAG, TERM, state="superseded")
    with CaptureQueriesContext(connection) as captured:
        assert unreviewed(source, [TAG, TERM]) == {TAG, TERM}
    assert len(captured) == 1
    for _ in range(50):
        pulled(source, TERM, state="superseded")
    with CaptureQueriesContext(connection) as captured:
        assert unreviewed(source, [TAG, TERM]) == {TAG, TERM}
    assert len(captured) == 2
