"""One statement updates many rows, each to its own values."""

from __future__ import annotations

import pytest
from django.db import models, transaction

from data_sync.orm.resolution import schema_of
from data_sync.orm.schema import ModelSchema
from data_sync.orm.updates import update_rows
from tests.hard.models import Fixed
from tests.testapp.models import Category, Everything, Product


def schema(model: type[models.Model]) -> ModelSchema:
    found = schema_of(model)
    assert found is not None
    return found


@pytest.mark.django_db
def test_each_row_gets_its_own_values_and_no_other_row_any() -> None:
    parents = Category.objects.bulk_create(Category(slug=slug) for slug in ("a", "b"))
    rows = [
        Product.objects.create(sku=str(n), name=f"old {n}", category=parents[n % 2] if n % 3 else None)
        for n in range(9)
    ]
    for n, row in enumerate(rows[:6]):
        row.name, row.category = f"new {n}", None if n % 3 else parents[0]
    update_rows(schema(Product), rows[:6], ["name", "category"], "default")
    stored = Product.objects.order_by("pk").values_list("name", "category_id")
    assert list(stored) == [(row.name, row.category_id) for row in rows]


@pytest.mark.django_db
def test_null_the_json_null_and_texts_with_placeholders_in_them_arrive() -> None:
    rows = [Everything.objects.create(name=name, json_or_null=[1]) for name in ("sql", "json", "text")]
    rows[0].json_or_null = None
    # `bulk_update` takes a plain `Value` as SQL; a value in a value is JSON's null.
    rows[1].json_or_null = models.Value(models.Value(None, models.JSONField()), models.JSONField())
    rows[2].json_or_null = {"%s": "100 % WHEN ' THEN"}
    rows[2].text = "%s %(x)s '; --"
    update_rows(schema(Everything), rows, ["json_or_null", "text"], "default")
    assert Everything.objects.get(json_or_null__isnull=True).name == "sql"
    assert Everything.objects.get(json_or_null=models.Value(None, models.JSONField())).name == "json"
    text = Everything.objects.get(name="text")
    assert (text.json_or_null, text.text) == ({"%s": "100 % WHEN ' THEN"}, "%s %(x)s '; --")


@pytest.mark.django_db
def test_more_rows_than_a_statement_takes_parameters_for_are_updated() -> None:
    Category.objects.bulk_create(Category(slug=f"row-{n}") for n in range(1500))
    rows = list(Category.objects.all())
    for row in rows:
        row.title = row.slug.upper()
    with transaction.atomic():
        update_rows(schema(Category), rows, ["title"], "default")
    assert all(row.title == row.slug.upper() for row in Category.objects.all())


@pytest.mark.django_db
@pytest.mark.parametrize("code", ["def", "d  "])
def test_values_of_types_that_are_of_size_one_without_a_size_are_whole(code: str) -> None:
    row = Fixed.objects.create(name="x", code="abc")
    row.code = code
    update_rows(schema(Fixed), [row], ["code"], "default")
    assert Fixed.objects.get().code.rstrip() == code.rstrip()
