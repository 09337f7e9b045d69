"""Checksums of files: remembered, and never trusted further than name, size and time reach."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.db.models.query import QuerySet

from data_sync.core.errors import RecordError
from data_sync.core.records import FileValue, split_line
from data_sync.core.source import Request
from data_sync.core.states import PullState
from data_sync.models import FileChecksum
from data_sync.orm.files import Checksums
from data_sync.orm.read import LocalSource
from data_sync.orm.resolution import schemas
from data_sync.orm.rows import RowReader
from tests.environments import Environments
from tests.testapp.models import Document


def checksums() -> Checksums:
    schema = schemas()["testapp.document"]
    return Checksums(schema, next(file for file in schema.files if file.name == "cover"), "default")


def records(source: LocalSource, request: Request) -> Any:
    return source.records(request, list(Document.objects.values_list("pk", flat=True)))


def checksum(name: str) -> str:
    """Read as by a pull: the file is hashed if it has to be, and that is remembered."""
    reader = checksums()
    value = reader.read([name])[name].checksum
    reader.remember()
    return value


@pytest.mark.parametrize("reading", [LocalSource.stream, LocalSource.digests, records])
def test_a_storage_is_asked_once_about_each_file_and_not_while_a_snapshot_is_open(
    environments: Environments, monkeypatch: pytest.MonkeyPatch, reading: Callable[..., Any]
) -> None:
    for name in "abc":
        environments.add(Document, name=name, cover=f"{name}.png", only="default")
    for name in ("a.png", "b.png"):
        environments.put(name, b"bytes", only="default")
    asked = Counter[str]()
    size = FileSystemStorage.size

    def counted(storage: FileSystemStorage, name: str) -> int:
        asked[name] += 1
        return size(storage, name)

    monkeypatch.setattr(FileSystemStorage, "size", counted)
    with reading(LocalSource(), Request(models=("testapp.document",))) as blocks:
        before = asked.copy()
        b"".join(blocks)
    assert before == asked == {"a.png": 1, "b.png": 1, "c.png": 1}


def test_a_file_that_a_row_gets_after_its_like_were_looked_at_is_read_too(environments: Environments) -> None:
    for name in ("old.png", "new.png"):
        environments.put(name, name.encode(), only="default")
    environments.add(Document, name="a", cover="old.png", only="default")
    environments.add(Document, name="b", cover="not there.png", only="default")
    reader = RowReader(schemas()["testapp.document"], "default")
    reader.refresh_checksums()
    Document.objects.filter(name="a").update(cover="new.png")
    covers = {record.key: record.files["cover"] for record in (split_line(line).record() for line in reader.lines())}
    expected = f"sha256:{sha256(b'new.png').hexdigest()}"
    assert covers == {
        ("a",): FileValue(name="new.png", size=7, checksum=expected),
        ("b",): FileValue(name="not there.png", size=0, checksum="missing"),
    }


def test_two_readers_may_remember_the_same_file_at_once(
    environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments.put("a.png", b"bytes", only="default")
    one, other = checksums(), checksums()
    one.read(["a.png"])
    other.read(["a.png"])
    insert = QuerySet.bulk_create

    def interrupted(rows: Any, *args: Any, **options: Any) -> Any:
        """The other reader remembers between what this one does before it inserts, and the insert."""
        monkeypatch.setattr(QuerySet, "bulk_create", insert)
        other.remember()
        return rows.bulk_create(*args, **options)

    monkeypatch.setattr(QuerySet, "bulk_create", interrupted)
    one.remember()
    assert FileChecksum.objects.get().name == "a.png"


def test_what_is_hashed_anew_takes_the_place_of_what_was_known(environments: Environments) -> None:
    environments.put("a.png", b"bytes", only="default")
    old = checksum("a.png")
    environments.put("a.png", b"other bytes", only="default")
    new = checksum("a.png")
    assert new != old
    assert f"sha256:{FileChecksum.objects.get().checksum}" == new


def test_a_storage_without_times_has_its_files_hashed_each_time(
    environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: Any) -> None:
        raise NotImplementedError

    monkeypatch.setattr(FileSystemStorage, "get_modified_time", unknown)
    environments.put("a.png", b"one", only="default")
    before = checksum("a.png")
    environments.put("a.png", b"two", only="default")
    assert checksum("a.png") != before


def test_a_name_that_leads_out_of_the_storage_is_told_with_its_row(environments: Environments) -> None:
    _, row = environments.add(Document, name="a", cover="../../secret.png", only="default")
    request = Request(models=("testapp.document",))
    with pytest.raises(RecordError) as caught, LocalSource().stream(request) as blocks:
        b"".join(blocks)
    told = str(caught.value)
    assert "testapp.Document" in told and f"primary key {row.pk}" in told
    assert "cover" in told and "'../../secret.png'" in told and "Mend the name" in told


@pytest.mark.parametrize("side", ["default", "source"])
def test_a_pull_says_which_row_names_a_file_that_leads_out_of_the_storage(
    environments: Environments, side: str
) -> None:
    environments.add(Document, name="a", cover="../../secret.png", only=side)
    pulled = environments.pull()
    assert pulled.state == PullState.FAILED
    assert "'../../secret.png'" in pulled.error and "Mend" in pulled.error
