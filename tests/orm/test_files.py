"""Checksums of files: remembered, and never trusted further than name, size and time reach."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.db.models.query import QuerySet

from data_sync.core.errors import RecordError
from data_sync.core.source import Request
from data_sync.core.states import PullState
from data_sync.models import FileChecksum
from data_sync.orm.files import Checksums
from data_sync.orm.read import LocalSource
from data_sync.orm.resolution import schemas
from tests.environments import Environments
from tests.testapp.models import Document


def checksums() -> Checksums:
    schema = schemas()["testapp.document"]
    return Checksums(schema, next(file for file in schema.files if file.name == "cover"), "default")


def checksum(name: str) -> str:
    """Read as by a pull: the file is hashed if it has to be, and that is remembered."""
    reader = checksums()
    value = reader.read([name])[name].checksum
    reader.remember()
    return value


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
