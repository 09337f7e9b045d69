"""Check constraints that surely refuse a row, and those that only the database can judge by."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, models
from django.db.models import F, Q
from django.db.models.functions import Length

from data_sync.core.records import Record
from data_sync.orm.check_problems import check_problems
from data_sync.orm.resolution import schemas
from data_sync.orm.rows import RowReader
from tests.testapp.models import Everything

FOLDS = connection.vendor == "mysql"
SCHEMA = "testapp.everything"


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Gives the fields of the problems that a table with a check has with a record."""

    def fields(check: Q, after: Record, before: Record | None = None) -> list[str]:
        constraint = models.CheckConstraint(condition=check, name="a_check")
        monkeypatch.setattr(Everything._meta, "constraints", [constraint])
        found = list(check_problems(schemas()[SCHEMA], before, after, "default"))
        assert all(one["code"] == "check" and '"a_check"' in one["message"] for one in found)
        return [one["field"] for one in found]

    return fields


def stored(**values: Any) -> Record:
    row = Everything.objects.create(name="row", **values)
    return RowReader(schemas()[SCHEMA], "default").by_pk([row.pk])[row.pk].record()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("check", "values", "is_refused"),
    [
        (Q(integer__gte=0), {"integer": -1}, True),
        (Q(integer__gte=0), {"integer": 0}, False),
        (Q(integer__gte=0.5), {"integer": 0}, True),
        (Q(integer_or_null__gte=0), {"integer_or_null": None}, False),
        (Q(amount__gte=0.1), {"amount": Decimal("0.1")}, False),
        (Q(amount__lt=0.1), {"amount": Decimal("0.1")}, True),
        (Q(number__lte=0.1), {"number": 0.1}, False),
        (Q(number__lte=0.1), {"number": 0.2}, True),
        (Q(number__lte=F("amount")), {"number": 0.2, "amount": Decimal("0.1")}, False),
        (Q(positive__lte=F("integer")), {"positive": 2, "integer": 1}, True),
        (Q(boolean=True) | Q(char="a"), {"boolean": False, "char": "b"}, True),
        (Q(char__in=["a", "b"]), {"char": "c"}, True),
        (Q(char="a"), {"char": "A"}, not FOLDS),
        (Q(char__gte="a"), {"char": "A"}, False),
        (Q(char__regex="b"), {"char": "a"}, False),
        (Q(Length("char")), {"char": ""}, False),
        (Q(date__lte=date(2026, 1, 1)), {"date": date(2026, 1, 2)}, True),
        (Q(moment__gt=datetime(2026, 1, 1, tzinfo=UTC)), {"moment": datetime(2026, 1, 1, tzinfo=UTC)}, True),
        (Q(moment=date(2026, 1, 1)), {"moment": datetime(2026, 1, 1, tzinfo=UTC)}, False),
        (Q(json={"a": 1}), {"json": {"a": 2}}, False),
    ],
    ids=str,
)
def test_only_what_the_database_would_refuse_is_a_problem(
    refused: Any, check: Q, values: dict[str, Any], is_refused: bool
) -> None:
    record = stored(**values)
    assert bool(refused(check, record)) is (is_refused and not (FOLDS and "char" in values))
    if is_refused:
        assert not Everything.objects.filter(check).exists()


@pytest.mark.django_db
def test_what_does_not_change_is_no_problem(refused: Any) -> None:
    """The row is in the table already: the check is younger, or not enforced."""
    before = stored(integer=-1)
    check = Q(integer__gte=0)
    after = replace(before, fields={**before.fields, "char": "other"})
    assert refused(check, after, before) == []
    after = replace(before, fields={**before.fields, "integer": -2})
    assert refused(check, after, before) == ["integer"]
