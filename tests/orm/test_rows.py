"""What is read to make the records of rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from data_sync.core.errors import RecordError
from data_sync.core.records import split_line
from data_sync.orm import rows as orm_rows
from data_sync.orm.resolution import schemas
from data_sync.orm.rows import RowReader
from data_sync.orm.schema import ModelSchema
from tests.testapp.models import Product, Tag

pytestmark = pytest.mark.django_db


def schema_of_products(scope: Any) -> ModelSchema:
    schema = schemas()["testapp.product"]
    return replace(schema, registration=replace(schema.registration, queryset=scope))


@pytest.mark.parametrize("scoped", [False, True])
def test_links_are_selected_of_the_rows_in_scope_only(scoped: bool) -> None:
    tags = [Tag.objects.create(name=name) for name in "ab"]
    for number in range(1000):
        name = "first" if number in (0, 500, 999) else "between"
        Product.objects.create(sku=f"{number:04}", name=name).tags.set(tags)
    reader = RowReader(schema_of_products((lambda rows: rows.filter(name="first")) if scoped else None), "default")
    with CaptureQueriesContext(connection) as captured:
        read = [split_line(line).record() for line in reader.lines()]
    assert [record.fields["tags"] for record in read] == [[["a"], ["b"]]] * (3 if scoped else 1000)
    links = [query["sql"] for query in captured if Product.tags.through._meta.db_table in query["sql"]]
    assert len(links) == 1
    assert ((" IN (" in links[0] or " = ANY(" in links[0]), ">=" in links[0]) == (scoped, not scoped)


def test_links_of_many_scattered_rows_are_selected_in_batches() -> None:
    tag = Tag.objects.create(name="a")
    rows = Product.objects.bulk_create(Product(sku=f"{number:04}", name="first") for number in range(900))
    Product.tags.through.objects.bulk_create(Product.tags.through(product=row, tag=tag) for row in rows)
    reader = RowReader(schema_of_products(lambda rows: rows.filter(name="first")), "default")
    with CaptureQueriesContext(connection) as captured:
        read = [split_line(line).record() for line in reader.lines()]
    assert [record.fields["tags"] for record in read] == [[["a"]]] * 900
    links = [query["sql"] for query in captured if Product.tags.through._meta.db_table in query["sql"]]
    assert len(links) == 3


def test_rows_that_come_at_once_are_not_counted() -> None:
    Product.objects.create(sku="one", name="first")
    with CaptureQueriesContext(connection) as captured:
        assert len(list(RowReader(schema_of_products(None), "default").lines())) == 1
    assert not [query["sql"] for query in captured if "COUNT(" in query["sql"]]


def test_rows_that_none_of_several_chunks_gives_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where primary keys do not sort: nothing comes after the last one, though there are more."""
    Product.objects.bulk_create(Product(sku=sku) for sku in ("one", "two", "three"))
    read, read_by = [], RowReader._read

    def read_once(self: RowReader, rows: Any, *, spans: bool) -> Any:
        read.append(rows)
        return read_by(self, rows if len(read) == 1 else rows.none(), spans=spans)

    monkeypatch.setattr(orm_rows, "CHUNK", 2)
    monkeypatch.setattr(RowReader, "_read", read_once)
    with pytest.raises(RecordError, match=r"3 rows of testapp\.product were counted, but 2 could be read"):
        list(RowReader(schema_of_products(None), "default").lines())
