"""However quick a column is read, its texts are those of Django's own way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, models

from data_sync.core import canonical
from data_sync.core.errors import RecordError
from data_sync.core.records import split_line
from data_sync.orm.columns import column_of
from data_sync.orm.resolution import schemas
from data_sync.orm.rows import RowReader
from tests.testapp.models import Everything

from .test_values import VALUES

pytestmark = pytest.mark.django_db

MORE: list[tuple[str, Any]] = [
    *VALUES,
    *(("amount", Decimal(number) / 10000) for number in (0, 1, -1, 5, 12_345, 99_999_999_9999, -99_999_999_9999)),
    *(("amount", Decimal(number)) for number in (0, 1, -1, 70, 12_345_678)),
    *(("moment", datetime(2024, 2, 29, tzinfo=UTC) + timedelta(microseconds=10**number)) for number in range(15)),
    ("moment", datetime(1, 1, 1, tzinfo=UTC)),
    ("moment", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    *(("number", number) for number in (0.0, -0.0, 1e15, 9999999999999998.0, 1e16, -1e16, 1e-7, 123.456, 5e-324)),
    *(("text", text) for text in ("", '"', "\\", "\x1f", "\x7f", "\xa0", "a\nb", "\u2028", "é", "\U0001f600", "</x>")),
    *(("json", value) for value in ("\\u0022", '"', [0.0, -0.0, 1e16, 1.5], {"b": 1, "a": {"d": 2, "c": []}}, 10**20)),
    *(("json", value) for value in ({"$json": 1}, {"$json": 1, "a": 2}, {"$": 1}, "null", [None], "x" * 2000, 10**999)),
    ("boolean", False),
    ("uuid", UUID(int=0)),
    ("uuid", UUID(int=2**128 - 1)),
]


def test_every_column_reads_as_django_does() -> None:
    for number, (name, value) in enumerate(MORE):
        if not (name == "json" and value in (10**20, 10**999) and connection.vendor == "mysql"):
            Everything.objects.create(name=f"{number:04}", **{name: value})
    schema = schemas()["testapp.everything"]
    rows = Everything.objects.order_by("pk")
    for value in schema.values:
        column = column_of(value.name, value.field, value.codec, "default")
        plainly = value.codec.expression(value.name) if value.codec.expression else value.name
        expected = [
            "null" if python is None else value.codec.to_text(python) for (python,) in rows.values_list(plainly)
        ]
        assert column.to_texts([found for (found,) in rows.values_list(column.selected)]) == expected, value.name


@pytest.mark.skipif(connection.vendor != "sqlite", reason="other databases keep to their columns' types")
@pytest.mark.parametrize(
    ("column", "stored", "plain"),
    [
        ("amount", 5, "5.0000"),
        ("amount", "2.5", "2.5000"),
        ("amount", 2.67495, "2.6750"),  # The double is below: its exact value would be rounded down.
        ("amount", 0.1 + 0.2, "0.3000"),
        ("amount", -0.00001, "0.0000"),
        ("amount", 1e-9, "0.0000"),
        ("moment", "2026-01-02T03:04:05", "2026-01-02T03:04:05+00:00"),
        ("moment", "2026-01-02 03:04:05.5", "2026-01-02T03:04:05.500000+00:00"),
        ("moment", "2026-01-02 03:04:05.000000", "2026-01-02T03:04:05+00:00"),
        ("moment", "2026-01-02 03:04:05+02:00", "2026-01-02T01:04:05+00:00"),
        ("moment", "2026-01-02", "2026-01-02T00:00:00+00:00"),
        ("boolean", 1, True),
        ("boolean", 0, False),
        ("uuid", "123456789ABC4EF0923456789ABCDEF0", "12345678-9abc-4ef0-9234-56789abcdef0"),
        ("uuid", "12345678-9abc-4ef0-9234-56789abcdef0", "12345678-9abc-4ef0-9234-56789abcdef0"),
        ("json", '{"b":1, "a" : [1,\n2.50]}', {"a": [1, 2.5], "b": 1}),
        ("json", ' {"a": -0.0} ', {"a": 0.0}),
    ],
)
def test_what_other_programs_have_put_into_sqlite_reads_the_same(column: str, stored: Any, plain: Any) -> None:
    row = Everything.objects.create(name="row")
    Everything.objects.create(name="beside")
    put(row, column, stored)
    line = next(RowReader(schemas()["testapp.everything"], "default").lines())
    assert canonical.dumps(split_line(line).record().fields[column]) == canonical.dumps(plain)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="other databases keep to their columns' types")
@pytest.mark.parametrize(
    ("column", "stored"),
    [
        ("amount", "much"),
        ("moment", "yesterday"),
        ("moment", "2026-13-45 00:00:00"),
        ("moment", 5),
        ("uuid", "none"),
        ("number", "much"),
        ("text", b"\x00\xff"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_row(column: str, stored: Any) -> None:
    Everything.objects.create(name="good")
    row = Everything.objects.create(name="row")
    put(row, column, stored)
    with pytest.raises(RecordError, match=rf"primary key {row.pk} cannot be read: {column}"):
        list(RowReader(schemas()["testapp.everything"], "default").lines())


def put(row: models.Model, column: str, stored: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA ignore_check_constraints = ON")
        cursor.execute(f"UPDATE testapp_everything SET {column} = %s WHERE id = %s", [stored, row.pk])
        cursor.execute("PRAGMA ignore_check_constraints = OFF")
