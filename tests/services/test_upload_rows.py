"""`upload_to` functions see a row as it will be: renamed, inherited and generically referred to as well."""

from __future__ import annotations

from django.contrib.contenttypes.models import ContentType

from data_sync.orm.resolution import schemas
from data_sync.services.upload_rows import UploadRows
from tests.environments import Environments
from tests.hard.models import Pizzeria, Place, Remark, Restaurant
from tests.testapp.models import Category, Product


def test_a_multi_table_child_has_the_values_that_its_parents_rows_will_have(environments: Environments) -> None:
    environments.add(Pizzeria, slug="luigi", name="Luigi", stars=3, oven="wood", only="source")
    changeset = environments.changeset("hard.place", "hard.restaurant", "hard.pizzeria")
    assert {change.model for change in changeset.changes.all()} == {"hard.place", "hard.restaurant", "hard.pizzeria"}
    change = changeset.changes.get(model="hard.pizzeria")
    row = UploadRows(changeset).row(schemas()["hard.pizzeria"], change)
    assert (row.slug, row.name, row.stars, row.oven, row.pk) == ("luigi", "Luigi", 3, "wood", None)


def test_a_child_whose_parent_changes_too_has_the_new_value(environments: Environments) -> None:
    environments.add(Restaurant, slug="luigi", name=("Luigi's", "Luigi"), stars=(2, 1))
    changeset = environments.changeset("hard.place", "hard.restaurant")
    change = changeset.changes.get(model="hard.restaurant")
    row = UploadRows(changeset).row(schemas()["hard.restaurant"], change)
    assert (row.stars, row.pk) == (2, Place.objects.get().pk)


def test_a_generic_reference_leads_to_the_row_here_or_to_the_one_that_will_be(environments: Environments) -> None:
    places = environments.add(Place, slug="here", name="Here")
    new, _ = environments.add(Place, slug="new", name="New", only="source")
    kind = ContentType.objects.db_manager("source").get_for_model(Place)
    for code, place in (("a", places[0]), ("b", new)):
        environments.add(Remark, code=code, content_type=kind, object_id=str(place.pk), only="source")
    environments.add(Remark, code="c", only="source")
    changeset = environments.changeset("hard.place", "hard.remark")
    rows = UploadRows(changeset)
    seen = {
        change.key_text: rows.row(schemas()["hard.remark"], change).about
        for change in changeset.changes.filter(model="hard.remark")
    }
    assert seen["a"].pk == places[1].pk
    assert (seen["b"].slug, seen["b"].pk) == ("new", None)
    assert seen["c"] is None


def test_a_row_below_a_renamed_one_sees_it_under_its_new_name(environments: Environments) -> None:
    category = environments.add(Category, slug=("lamps", "light"), title="Lamps")
    environments.add(Product, sku="lamp", name=("Lamp, improved", "Lamp"), category=category)
    changeset = environments.changeset("testapp.category", "testapp.product")
    assert set(changeset.changes.values_list("operation", flat=True)) == {"rename", "update"}
    row = UploadRows(changeset).row(schemas()["testapp.product"], changeset.changes.get(operation="update"))
    assert (row.category.slug, row.category.pk) == ("lamps", category[1].pk)
