"""What a source lists of its rows, and what it gives for what it listed."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.files.base import ContentFile
from django.db import connection, models
from django.test.utils import CaptureQueriesContext, isolate_apps

from data_sync.core import canonical
from data_sync.core.digests import DigestReader, Entry
from data_sync.core.errors import DuplicateKey, InvalidInput, RecordError
from data_sync.core.listing import key_hash
from data_sync.core.records import Record, split_line
from data_sync.core.source import Handle, Request
from data_sync.core.wire import StreamReader
from data_sync.models import FileChecksum
from data_sync.orm.handles import handles_of, kind_of, primary_keys
from data_sync.orm.read import LocalSource
from data_sync.orm.resolution import schemas
from data_sync.orm.rows import CHUNK
from tests.hard.models import Event, Member, Nation, Profile, Ticket
from tests.testapp.models import Article, Document, Draft, Everything, Label, Page, Product, Tag

from .test_values import GOLDEN_DIGEST, GOLDEN_ROW

pytestmark = pytest.mark.django_db


def listed(label: str, *omitted: str) -> list[Entry]:
    request = Request(models=(label,), omitted={label: omitted})
    with LocalSource().digests(request) as blocks:
        return [entry for _, some in DigestReader(blocks, [label]) for entry in some]


def lines(label: str, *omitted: str, source: LocalSource | None = None) -> list[str]:
    with (source or LocalSource()).stream(Request(models=(label,), omitted={label: omitted})) as blocks:
        return [line.decode() for some in StreamReader(blocks, [label]) for _, line in some]


def some_records(label: str, handles: list[Handle], *omitted: str, source: LocalSource | None = None) -> list[Record]:
    request = Request(models=(label,), omitted={label: omitted})
    with (source or LocalSource()).records(request, handles) as blocks:
        return [split_line(line.decode()).record() for some in StreamReader(blocks, [label]) for _, line in some]


def digest_of(line: str) -> tuple[bytes, bytes]:
    text = split_line(line)
    key = canonical.dumps(list(text.record().key))
    return key_hash(key.encode()), hashlib.sha256(text.canonical.encode()).digest()[:16]


def make_products(count: int) -> list[Product]:
    tags = [Tag.objects.create(name=name) for name in "ab"]
    rows = Product.objects.bulk_create(Product(sku=f"s{number}", name="x" * (number % 90)) for number in range(count))
    rows[0].tags.set(tags)
    return rows


def test_a_listing_has_the_digests_of_the_stream_s_records_in_its_order() -> None:
    rows = make_products(5)
    assert listed("testapp.product") == [
        (*digest_of(line), row.pk) for line, row in zip(lines("testapp.product"), rows, strict=True)
    ]


def test_a_listing_of_more_than_a_chunk_has_every_row_once() -> None:
    Tag.objects.bulk_create(Tag(name=f"t{number}") for number in range(2 * CHUNK))
    entries = listed("testapp.tag")
    assert len({handle for _, _, handle in entries}) == len(entries) == 2 * CHUNK


def test_digests_are_the_same_on_every_database() -> None:
    row = Everything.objects.create(**GOLDEN_ROW)
    assert listed("testapp.everything") == [
        (key_hash(b'["golden"]'), bytes.fromhex(GOLDEN_DIGEST)[:16], row.pk),
    ]


def test_what_stands_beside_a_record_is_not_worked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    make_products(2)
    before = listed("testapp.product")
    Product.objects.update(updated=datetime(2000, 1, 1, tzinfo=UTC))
    assert listed("testapp.product") == before


def test_fields_left_out_make_no_difference() -> None:
    make_products(3)
    whole, less = listed("testapp.product"), listed("testapp.product", "name", "tags")
    assert [digest for _, digest, _ in whole] != [digest for _, digest, _ in less]
    Product.objects.update(name="other")
    Product.tags.through.objects.all().delete()
    assert listed("testapp.product", "name", "tags") == less
    assert [digest_of(line) for line in lines("testapp.product", "name", "tags")] == [entry[:2] for entry in less]
    [record] = some_records("testapp.product", [less[0][2]], "name", "tags")
    assert record.fields == {"sku": "s0", "category": None, "related": []}


def test_rows_out_of_scope_are_not_listed_nor_given() -> None:
    inside, outside = Page.objects.create(slug="in"), Page.objects.create(slug="out", published=False)
    assert [handle for _, _, handle in listed("testapp.page")] == [inside.pk]
    assert [record.key for record in some_records("testapp.page", [inside.pk, outside.pk])] == [("in",)]


def test_rows_that_managers_hide_are_listed() -> None:
    row = Article.objects.create(slug="gone", deleted=True)
    assert [handle for _, _, handle in listed("testapp.article")] == [row.pk]


def test_a_null_in_a_key_is_refused_naming_the_row() -> None:
    row = Label.objects.create(code=None)
    with pytest.raises(RecordError, match=f"primary key {row.pk} has no code"):
        listed("testapp.label")


def test_twins_are_refused_naming_key_and_rows() -> None:
    Draft.objects.create(slug="one")
    first, second = Draft.objects.create(slug="twin"), Draft.objects.create(slug="twin")
    with pytest.raises(DuplicateKey) as caught:
        listed("testapp.draft")
    told = str(caught.value)
    assert "testapp.draft" in told and '["twin"]' in told and f"{first.pk} and {second.pk}" in told
    assert "Change one of them" in told


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="looks at open files by way of /proc")
def test_the_temporary_file_has_no_name_and_is_closed(settings: Any, tmp_path: Path) -> None:
    settings.DATA_SYNC_SPOOL_DIR = tmp_path

    def held() -> list[str]:
        found = []
        for descriptor in os.listdir("/proc/self/fd"):
            try:
                found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
            except OSError:
                continue
        return [target for target in found if target.startswith(str(tmp_path))]

    Tag.objects.create(name="a")
    with LocalSource().digests(Request(models=("testapp.tag",))) as blocks:
        next(blocks)
        assert len(held()) == 1
        assert os.listdir(tmp_path) == []
    assert held() == []


def test_a_listing_asks_as_often_for_ten_rows_as_for_a_hundred() -> None:
    counts = []
    for number in (10, 100):
        Tag.objects.all().delete()
        Product.objects.all().delete()
        make_products(number)
        with CaptureQueriesContext(connection) as queries:
            listed("testapp.product")
        counts.append(len(queries))
    assert counts[0] == counts[1]


# Records by handle


def test_records_are_given_as_they_are_now_and_rows_that_are_gone_left_out() -> None:
    rows = make_products(4)
    handles = [handle for _, _, handle in listed("testapp.product")]
    Product.objects.filter(pk=rows[1].pk).update(name="changed")
    rows[2].delete()
    found = some_records("testapp.product", [handles[2], handles[1], handles[1], handles[0]])
    assert {record.key: record.fields["name"] for record in found} == {("s0",): "", ("s1",): "changed"}
    assert len(found) == 2


def test_with_handles_each_record_carries_its_primary_key() -> None:
    [row] = make_products(1)
    [record] = some_records("testapp.product", [row.pk], source=LocalSource(handles=True))
    assert record.carried["pk"] == row.pk
    assert "pk" not in some_records("testapp.product", [row.pk])[0].carried


def test_records_of_many_handles_are_read_in_batches() -> None:
    rows = make_products(900)
    with CaptureQueriesContext(connection) as queries:
        assert len(some_records("testapp.product", [row.pk for row in rows])) == 900
    assert len(queries) < 30


def test_files_of_records_asked_for_are_known_by_their_checksum(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    row = Document.objects.create(name="a")
    row.attachment.save("a.txt", ContentFile(b"bytes"))
    [record] = some_records("testapp.document", [row.pk])
    file = record.files["attachment"]
    assert file is not None and file.size == 5
    assert FileChecksum.objects.count() == 1
    with LocalSource().open_file(file.checksum) as blocks:
        assert b"".join(blocks) == b"bytes"


@pytest.mark.parametrize("handle", [10**30, -(10**30), 2**63, -(2**63) - 1, 2**63 - 1, 0, -1])
def test_integers_that_no_row_has_are_left_out(handle: int) -> None:
    [row] = make_products(1)
    assert [record.key for record in some_records("testapp.product", [handle, row.pk])] == [("s0",)]


@pytest.mark.parametrize("handle", ["1", "x", "", True, 1.0, None, [1], "\0"])
def test_what_is_no_integer_is_refused(handle: Any) -> None:
    with pytest.raises(InvalidInput, match="is no handle"):
        some_records("testapp.product", [handle])


# Other primary keys


def schema_with(pk: Any) -> Any:
    """The schema of tags, if their primary key were this one."""
    schema = schemas()["testapp.tag"]

    class Meta:
        app_label = "made_up"

    with isolate_apps("tests.testapp"):
        model = type("Made", (models.Model,), {"id": pk, "Meta": Meta, "__module__": __name__})
    return replace(schema, model=model)


TEXT = models.CharField(primary_key=True, max_length=50)
SOME = UUID("12345678-9abc-4ef0-9234-56789abcdef0")


@pytest.mark.parametrize(
    ("field", "kind", "pk", "handle"),
    [
        (models.BigAutoField(primary_key=True), "integer", 2**62, 2**62),
        (models.SmallIntegerField(primary_key=True), "integer", -7, -7),
        (models.UUIDField(primary_key=True), "uuid", SOME, SOME.hex),
        (TEXT, "text", "é b", "é b"),
        (models.DateField(primary_key=True), "text", datetime(2026, 1, 2).date(), "2026-01-02"),
        (models.DecimalField(primary_key=True, max_digits=9, decimal_places=2), "text", Decimal("1.50"), "1.50"),
        (models.DurationField(primary_key=True), "text", timedelta(days=1, seconds=3), "1 00:00:03"),
    ],
)
def test_primary_keys_of_every_kind_go_out_and_come_back(field: Any, kind: str, pk: Any, handle: Handle) -> None:
    schema = schema_with(field)
    assert kind_of(schema) == kind
    assert list(handles_of(schema, [pk])) == [handle]
    assert primary_keys(schema, [handle, handle], "default") == [pk]


@pytest.mark.parametrize(
    ("field", "handle"),
    [
        (models.UUIDField(primary_key=True), "no uuid"),
        (models.UUIDField(primary_key=True), 5),
        (models.DateField(primary_key=True), "2026-13-45"),
        (models.DecimalField(primary_key=True, max_digits=9, decimal_places=2), "1e999999999"),
        (TEXT, 5),
        (TEXT, "a\0b"),
        (TEXT, "\ud800"),
    ],
)
def test_texts_that_are_no_primary_key_are_refused(field: Any, handle: Any) -> None:
    with pytest.raises(InvalidInput, match="is no handle"):
        primary_keys(schema_with(field), [handle], "default")


@pytest.mark.parametrize("pk", ["a\0b", "x" * 20_000])
def test_primary_keys_that_cannot_travel_are_refused_naming_the_row(pk: str) -> None:
    with pytest.raises(RecordError, match=r"primary key .* cannot be listed"):
        handles_of(schema_with(TEXT), [pk])


def test_an_integer_column_that_holds_something_else_is_refused() -> None:
    with pytest.raises(RecordError, match="'seven' cannot be listed"):
        handles_of(schema_with(models.BigIntegerField(primary_key=True)), [1, "seven"])


def test_rows_of_every_kind_of_primary_key_are_found_again_by_their_handles() -> None:
    event = Event.objects.create()
    ticket = Ticket.objects.create(code="t")
    Nation.objects.create(code="Fr")
    Nation.objects.create(code="DE")
    member = Member.objects.create(name="m")
    Profile.objects.create(member=member)
    for label, expected in {
        "hard.event": [event.pk.hex],
        "hard.ticket": [ticket.pk.hex],
        "hard.nation": ["DE", "Fr"],
        "hard.profile": [member.pk],
    }.items():
        entries = listed(label)
        assert sorted(handle for _, _, handle in entries) == sorted(expected)
        found = some_records(label, [handle for _, _, handle in entries])
        assert sorted((key_hash(record.key_text.encode()), record.digest()[7:39]) for record in found) == sorted(
            (key, digest.hex()) for key, digest, _ in entries
        )


def test_a_handle_that_only_a_collation_takes_for_a_row_s_gives_nothing() -> None:
    Nation.objects.create(code="Fr")
    assert some_records("hard.nation", ["fr", "FR", "Fr "]) == []
    assert len(some_records("hard.nation", ["fr", "Fr"])) == 1


# Keys that lie outside of the scope


def test_keys_of_rows_out_of_scope_are_told_apart_from_keys_of_no_row() -> None:
    Page.objects.create(slug="in")
    Page.objects.create(slug="out", published=False)
    source = LocalSource()
    assert source.outside("testapp.page", ['["in"]', '["out"]', '["nowhere"]']) == {'["out"]'}
    assert source.outside("testapp.article", ['["in"]']) == set()


@pytest.mark.parametrize(
    "text", ["", "[]", '["a","b"]', '"out"', "null", '[["out"]]', "[null]", "[1]", '[ "out"]', "[{}]"]
)
def test_texts_that_are_no_key_are_outside_of_nothing(text: str) -> None:
    Page.objects.create(slug="out", published=False)
    assert LocalSource().outside("testapp.page", [text, '["out"]']) == {'["out"]'}
