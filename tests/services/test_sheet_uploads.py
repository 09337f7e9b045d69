"""Spreadsheets that are uploaded: the changeset of what they say, and of nothing else."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import openpyxl
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from data_sync import registry
from data_sync.checks import check_registrations
from data_sync.core.errors import DataSyncError
from data_sync.core.records import split_line
from data_sync.core.source import Request
from data_sync.core.states import PullKind, PullState
from data_sync.core.wire import StreamReader
from data_sync.models import Changeset, DataPull
from data_sync.orm.read import LocalSource
from data_sync.orm.resolution import schemas
from data_sync.services import document, pull, revert, uploads
from data_sync.sources.sheet_rows import FORMATS
from data_sync.sources.table_files import write_table
from tests.environments import Environments
from tests.sheet_writing import header_row, record_row
from tests.testapp.models import (
    Category,
    Copy,
    Country,
    Customer,
    Everything,
    Language,
    Product,
    Slot,
    Tag,
    Term,
)


def upload(environments: Environments, label: str, content: str | bytes, form: str = "csv", **options: Any) -> DataPull:
    data = content.encode() if isinstance(content, str) else content
    given = {"model": f"testapp.{label}", "format": form, **options}
    asked = uploads.request_upload([data], f"sheet.{form}", environments.actor, options=given)
    return pull.run_pull(asked.pk)


def changeset(
    environments: Environments, label: str, content: str | bytes, form: str = "csv", **options: Any
) -> Changeset:
    done = upload(environments, label, content, form, **options)
    assert done.state == PullState.DONE, done.error
    return Changeset.objects.get(pull=done)


def changes(found: Changeset) -> list[tuple[str, list[Any], dict[str, Any]]]:
    """Operation, key, and what the fields will be that differ."""
    return [
        (
            one.operation,
            one.key,
            {name: value for name, value in one.after.items() if (one.before or {}).get(name) != value},
        )
        for one in found.changes.order_by("number")
    ]


def sheet_of(label: str, form: str) -> bytes:
    """All rows here as a sheet."""
    schema = schemas()[f"testapp.{label}"]
    lines = []
    with LocalSource().stream(Request(models=(schema.label,))) as blocks:
        for found in StreamReader(blocks, [schema.label]):
            lines += [split_line(line.decode()).record() for _, line in found]
    rows = [record_row(schema, record, has_types=FORMATS[form].has_types) for record in lines]
    file = io.BytesIO()
    write_table(form, header_row(schema), rows, file)
    return file.getvalue()


def two_copies(environments: Environments) -> None:
    for code in ("FR", "DE"):
        country = Country.objects.create(code=code)
        language = Language.objects.create(country=country, code=code.lower())
        Copy.objects.create(language=language, key="title", value=f"=Old {code}", default="kept")


@pytest.mark.parametrize("form", FORMATS)
def test_what_was_written_from_here_differs_in_nothing_and_one_edit_is_one_change(
    environments: Environments, form: str
) -> None:
    two_copies(environments)
    Everything.objects.create(name="x", char_or_null="", text="=1", json_or_null=[None], uuid_or_null=None)
    Everything.objects.create(name="y", moment_or_null=timezone.now(), amount="1.5")
    for label in ("copy", "everything"):
        done = upload(environments, label, sheet_of(label, form), form)
        assert (done.state, done.error, done.compared) == (PullState.DONE, "", 2)
        assert not Changeset.objects.exists()
    Copy.objects.filter(language__code="fr").update(value="Edited")
    edited = sheet_of("copy", form)
    Copy.objects.filter(language__code="fr").update(value="=Old FR")
    found = changeset(environments, "copy", edited, form)
    assert changes(found) == [("update", ["FR", "fr", "title"], {"value": "Edited"})]
    assert (found.kind, found.state, found.source, found.guards) == (PullKind.SHEET, "pending", None, [])


def test_absent_columns_and_absent_rows_stay_as_they_are(environments: Environments) -> None:
    tag = Tag.objects.create(name="kept")
    for sku in ("a", "b", "c"):
        Product.objects.create(sku=sku, name=f"Old {sku}", category=Category.objects.create(slug=sku)).tags.add(tag)
    found = changeset(environments, "product", "sku,name\na,New a\nb,Old b\nd,New d\n")
    assert sorted(changes(found)) == [
        ("create", ["d"], {"sku": "d", "name": "New d"}),
        ("update", ["a"], {"name": "New a"}),
    ]
    environments.accept_all(found)
    environments.apply(environments.approve(found))
    assert {
        row.sku: (row.name, row.category and row.category.slug, row.tags.count()) for row in Product.objects.all()
    } == {"a": ("New a", "a", 1), "b": ("Old b", "b", 1), "c": ("Old c", "c", 1), "d": ("New d", None, 0)}
    assert Product.objects.get(sku="d").created is not None


def test_a_later_sheet_takes_the_place_of_one_only_if_it_has_its_rows_and_columns(environments: Environments) -> None:
    for sku in "ab":
        Product.objects.create(sku=sku, name=f"Old {sku}")
    first = changeset(environments, "product", "sku,name\na,New\n")
    for content in ("sku,name\nb,New\n", "sku,name\nb,Old b\n", "sku,category\na,\n"):
        assert upload(environments, "product", content).state == PullState.DONE
        first.refresh_from_db()
        assert first.state == "pending"
    upload(environments, "product", "sku,name\na,Newer\nb,Old b\n")
    first.refresh_from_db()
    assert first.state == "superseded"


def test_only_if_asked_rows_that_a_sheet_lacks_are_deletes_under_the_guards(environments: Environments) -> None:
    for word in "abcd":
        Slot.objects.create(name=word, place=ord(word))
    assert upload(environments, "slot", "name,place\na,97\n").state == PullState.DONE
    assert not Changeset.objects.exists()
    found = changeset(environments, "slot", "name,place\na,97\ne,101\n", deletes=True)
    assert {(one.operation, one.key[0]) for one in found.changes.all()} == {
        ("create", "e"), ("delete", "b"), ("delete", "c"), ("delete", "d"),
    }  # fmt: skip
    assert found.state == "blocked" and "too_many_deletes_percent" in found.guards[0]["code"]
    assert not changeset(environments, "slot", "name,place\nf,97\n", deletes=False).deletes
    with pytest.raises(DataSyncError, match="lacks the column name, category"):
        upload(environments, "product", "sku\na\n", deletes=True)


def test_a_column_that_new_rows_need_is_named_on_each_of_them(environments: Environments) -> None:
    Product.objects.create(sku="a", name="A")
    found = changeset(environments, "price", "product,currency,amount\na,7,1.00\n")
    assert {problem["code"] for problem in found.changes.get().problems} == {"missing_reference"}
    [create] = changeset(environments, "copy", 'language,key\n"[""FR"",""fr""]",x\n').changes.all()
    assert [problem["code"] for problem in create.problems] == ["missing_reference"]
    [slot] = changeset(environments, "slot", "name\nx\n").changes.all()
    assert [(problem["code"], problem["field"]) for problem in slot.problems] == [("required_column", "place")]
    assert "Add a column for it" in slot.problems[0]["message"]


def test_references_are_looked_up_together(environments: Environments) -> None:
    two_copies(environments)
    queries = []
    for name, count in (("few", 20), ("many", 200)):
        rows = "".join(f"FR,fr,{name}{number},x\nDE,de,{name}{number},x\n" for number in range(count))
        with CaptureQueriesContext(connection) as captured:
            found = changeset(environments, "copy", f"language.country.code,language.code,key,value\n{rows}")
        assert (found.creates, found.changes.filter(has_problems=True).count()) == (2 * count, 0)
        queries.append(len(captured))
    assert queries[1] <= queries[0] + 30  # Ten times the rows; inserts come in batches.


def test_errors_fail_the_pull_by_row_and_column_and_nothing_is_stored(environments: Environments) -> None:
    done = upload(environments, "slot", "name,place\na,1\nb,1.5\n")
    assert done.state == PullState.FAILED
    assert "Row 3, column “place” is “1.5”" in done.error
    assert not Changeset.objects.exists()
    for label, content, form, words in (
        ("slot", "name,colour\n", "csv", "no column “colour”"),
        ("nothing", "name\n", "csv", "testapp.nothing is not registered here"),
        ("slot", "name\n", "doc", "no format 'doc'"),
        ("slot", "name\n", "xlsx", "no spreadsheet of this format"),
    ):
        with pytest.raises(DataSyncError, match=words):
            upload(environments, label, content, form)
    assert DataPull.objects.count() == 1


def test_a_sheet_without_rows_is_told_and_finds_nothing_equal(environments: Environments) -> None:
    done = upload(environments, "term", "word,meaning\n")
    assert done.state == PullState.FAILED and "sheet.csv has headers, but no rows below them." in done.error


def test_redacted_values_come_by_sheet_and_are_shown_nowhere(environments: Environments) -> None:
    Customer.objects.create(name="ada", account="old-secret")
    found = changeset(environments, "customer", "name,account\nada,new-secret\n")
    assert "secret" not in "".join(document.changeset_document(found, environments.actor))
    assert found.changes.get().after["account"] == "new-secret"


def test_a_revert_of_a_row_of_which_a_sheet_had_some_columns_knows_of_no_edit_of_the_others(
    environments: Environments,
) -> None:
    for edit, kind in (({}, None), ({"name": "Edited"}, "changed")):
        Product.objects.all().delete()
        found = changeset(environments, "product", "sku,name\nq,Q\n")
        environments.accept_all(found)
        done = environments.apply(environments.approve(found))
        Product.objects.update(**edit, category=Category.objects.get_or_create(slug="later")[0])
        pull.run_pull(revert.request_revert(done, None, environments.actor).pk)
        [delete] = Changeset.objects.latest("pk").changes.all()
        assert (delete.operation, delete.conflict.get("kind")) == ("delete", kind)
        assert bool(delete.base_digest) == bool(edit)  # Without one, it is of an unknown base.


# A resource of the project's own


@pytest.fixture
def term_resource() -> Any:
    registration = registry.registration_of(Term)
    registry.unregister(Term)
    registry.register(Term, natural_key=["word"], deletes="never", resource="tests.testapp.resources.TermResource")
    yield
    registry.unregister(Term)
    registry._registrations[Term] = registration


def test_a_resource_of_the_project_names_columns_and_cleans_cells(
    environments: Environments, term_resource: None
) -> None:
    found = changeset(environments, "term", "Wort;Bedeutung;Länge\n  hallo ;HELLO;5\n")
    assert changes(found) == [("create", ["hallo"], {"word": "hallo", "meaning": "hello"})]
    done = upload(environments, "term", "Wort,Bedeutung\nx,bad\n")
    assert "Row 2, column “Bedeutung” is refused by the resource: no such meaning" in done.error
    found = changeset(environments, "term", "Wort,Bedeutung\nx,'=SUM\n")
    assert changes(found) == [("create", ["x"], {"word": "x", "meaning": "=sum"})]
    file = io.BytesIO()
    write_table("xlsx", ["Wort", "Bedeutung"], [["x", None]], file)
    book = openpyxl.load_workbook(file)
    book.active["B2"] = "#DIV/0!"
    book.save(file := io.BytesIO())
    done = upload(environments, "term", file.getvalue(), "xlsx")
    assert "Row 2, column “Bedeutung” holds the error #DIV/0!" in done.error


def test_what_a_resource_says_is_not_told_where_it_may_quote_what_is_redacted(
    environments: Environments, term_resource: None
) -> None:
    registry._registrations[Term] = dataclasses.replace(registry._registrations[Term], redact=("meaning",))
    done = upload(environments, "term", "Wort,Bedeutung\nrefused,hunter2\nx,bad\n")
    assert done.error.count("why is not said") == 2 and "hunter2" not in done.error


@pytest.mark.parametrize("path", ["tests.testapp.resources.Nothing", "tests.testapp.models.Term", "x"])
def test_a_resource_that_is_none_of_the_model_is_found_by_the_checks(path: str) -> None:
    registration = registry.registration_of(Term)
    assert registration is not None
    registry._registrations[Term] = dataclasses.replace(registration, resource=path)
    try:
        found = [error for error in check_registrations() if error.id == "data_sync.E018"]
    finally:
        registry._registrations[Term] = registration
    assert [error.obj for error in found] == [Term]
