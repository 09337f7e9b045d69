"""`verify`: what matches ends with 0, what does not with 2, and what is no export with 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data_sync.models import Change
from tests.admin import making
from tests.core.test_verification import EXPORTED, document, written

from .conftest import Run

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def test_a_file_that_matches_and_one_that_does_not(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "changeset.json"
    path.write_bytes(EXPORTED)
    ran = run("verify", str(path))
    assert ran.code == 0 and "matches: changeset 1, 5 changes, 6 events." in ran.out
    assert "is not in DATA_SYNC_AUDIT_KEYS" in " ".join(ran.out.split())
    altered = document()
    altered["changes"][1]["after"]["value"] = "Another"
    path.write_bytes(written(altered))
    ran = run("verify", str(path))
    assert ran.code == 2 and "change 2: after_digest" in ran.out
    found = run("verify", str(path), "--json").document
    assert found["matches"] is False
    assert [(fault["part"], fault["number"], fault["member"]) for fault in found["faults"]] == [
        ("change", 2, "after_digest"),
        ("change", 2, "content_digest"),
    ]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["{file}"], "no exported changeset"),
        (["{missing}"], "cannot be read"),
        ([], "Name one file"),
        (["{file}", "--read-files"], "Name one file"),
        (["--all", "x"], "not a number"),
        (["--all", "4711"], "no changeset 4711"),
        (["--all", "--noted", "7"], "no end of the ledger"),
    ],
)
def test_what_cannot_be_verified_is_an_error(run: Run, tmp_path: Path, words: list[str], reason: str) -> None:
    (tmp_path / "file").write_bytes(b"something else")
    names: dict[str, Any] = {"file": tmp_path / "file", "missing": tmp_path / "missing"}
    ran = run("verify", *(word.format(**names) for word in words))
    assert ran.code == 1 and reason in ran.err


def test_what_is_stored_matches_until_it_is_altered(run: Run) -> None:
    changeset = making.pulled(making.changeset([making.update(1)]))
    ran = run("verify", "--all", "--json")
    assert ran.code == 0, ran.document
    assert ran.document["changesets"] == 1 and ran.document["head"].startswith("1:sha256:")
    assert run("verify", "--all", "--noted", ran.document["head"]).code == 0
    Change.objects.update(after={"meaning": "another"})
    for words in (["--all"], ["--all", str(changeset.pk)]):
        ran = run("verify", *words)
        assert ran.code == 2 and f"changeset:{changeset.pk}, change 1: after_digest" in ran.out
