"""What is told of a database's refusal."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.db import Error, IntegrityError, transaction

from data_sync.orm.refusals import words_of
from tests.testapp.models import Customer


def refusal(sqlstate: str, primary: str, detail: str) -> IntegrityError:
    """As psycopg and Django make them."""
    cause = Exception(f"{primary}\nDETAIL:  {detail}")
    cause.diag = SimpleNamespace(sqlstate=sqlstate, message_primary=primary, constraint_name=None)  # type: ignore[attr-defined]
    error = IntegrityError(str(cause))
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("sqlstate", "primary"),
    [
        ("23502", 'null value in column "name" of relation "shop" violates not-null constraint'),
        ("23514", 'new row for relation "shop" violates check constraint "positive"'),
    ],
)
def test_the_row_that_postgresql_adds_is_left_out(sqlstate: str, primary: str) -> None:
    """It has every column of the table, also those that are not synced."""
    assert words_of(refusal(sqlstate, primary, "Failing row contains (7, null, secret)."), ()) == primary


def test_a_key_that_postgresql_adds_is_told() -> None:
    said = words_of(refusal("23505", 'duplicate key value violates "k"', "Key (a)=(1) already exists."), ())
    assert said == 'duplicate key value violates "k" DETAIL: Key (a)=(1) already exists.'


@pytest.mark.django_db
def test_no_database_tells_of_other_columns() -> None:
    Customer.objects.create(name="ada", account="canary", city="Bonn")
    with pytest.raises(Error) as raised, transaction.atomic():
        Customer.objects.update(city=None)
    said = words_of(raised.value, ())
    assert "city" in said and "canary" not in said
