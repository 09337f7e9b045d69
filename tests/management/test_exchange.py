"""`bundle` and `upload` as a shell runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_sync.models import Changeset, DataPull
from tests.testapp.models import Country, Tag

from .conftest import Run

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture
def made(run: Run, tmp_path: Path) -> Path:
    """A bundle of a tag and a country that are gone since."""
    Tag.objects.create(name="new")
    Country.objects.create(code="FR")
    path = tmp_path / "a.zip"
    ran = run("bundle", path, "--models", "testapp.country,testapp.tag", "--json")
    assert (ran.code, ran.document["bundle"]) == (0, str(path))
    assert ran.document["rows"] == {"testapp.country": 1, "testapp.tag": 1}
    assert ran.document["size"] == path.stat().st_size and ran.document["checksum"].startswith("sha256:")
    for model in (Tag, Country):
        model.objects.all().delete()
    return path


def test_a_bundle_is_written_and_becomes_a_changeset(run: Run, made: Path) -> None:
    refused = run("bundle", made)
    assert refused.code == 1 and "is there already" in refused.err
    assert run("bundle", made.with_name("b.zip"), "--models", "testapp.tag").out.startswith(
        f"{made.parent}/b.zip: 0 rows"
    )
    ran = run("upload", made, "--json")
    changeset = Changeset.objects.get()
    assert ran.code == 2
    assert ran.document == {
        "pull": changeset.pull_id,
        "state": "done",
        "changeset": changeset.pk,
        "counts": {"create": 2, "update": 0, "delete": 0, "rename": 0},
        "compared": 2,
        "conflicts": 0,
    }
    assert "a.zip" in run("list").out


def test_standard_input_is_read_and_nothing_that_differs_ends_with_0(run: Run, made: Path) -> None:
    Tag.objects.create(name="new")
    Country.objects.create(code="FR")
    ran = run("upload", "-", "--json", given=made.read_bytes())
    assert (ran.code, ran.document["changeset"]) == (0, None)
    assert DataPull.objects.get().upload_name == "stdin"


def test_a_sheet_becomes_a_changeset_and_what_it_lacks_goes_only_if_asked(run: Run, tmp_path: Path) -> None:
    Tag.objects.create(name="gone")
    path = tmp_path / "tags.csv"
    path.write_text("name\nnew\n")
    ran = run("upload", path, "--model", "testapp.tag", "--json")
    assert (ran.code, ran.document["counts"]["create"], ran.document["counts"]["delete"]) == (2, 1, 0)
    ran = run("upload", path, "--model", "testapp.tag", "--format", "csv", "--deletes", "--json")
    assert (ran.code, ran.document["counts"]["create"], ran.document["counts"]["delete"]) == (2, 1, 1)
    path.write_text("name\nnew\nnew\n")
    ran = run("upload", path, "--model", "testapp.tag")
    assert ran.code == 1 and 'Row 3 has the natural key ["new"] of row 2' in ran.err


def test_what_is_no_file_or_no_bundle_ends_with_1(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    assert "cannot be read: No such file" in run("upload", path).err
    path.write_bytes(b"name\nnew\n")
    ran = run("upload", path, "--json")
    assert ran.code == 1 and "is no bundle" in ran.document["error"]
    assert not DataPull.objects.exists()
