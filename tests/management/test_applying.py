"""`apply` writes all or nothing and says which; `export` gives a whole document or no file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import transaction

from tests.admin import making
from tests.environments import Environments
from tests.testapp.models import Tag, Term

from .conftest import Run


def test_the_whole_round(run: Run, environments: Environments) -> None:
    environments.add(Term, word="a", meaning=("new", "old"))
    environments.add(Tag, name="new", only="source")
    environments.add(Tag, name="gone", only="default")
    number = run("pull", "Staging", "--json").document["changeset"]
    with environments.untouched():
        for words in (["show", number], ["accept", number, "--all"], ["approve", number]):
            assert run(*words).code == 0
    ran = run("apply", number, "--json")
    assert (ran.code, ran.document) == (
        0,
        {"changeset": number, "state": "applied", "outcomes": {"applied": 3}},
    )
    environments.assert_equal()
    assert run("pull", "Staging").code == 0
    assert run("list", "--json").document["changesets"][0]["state"] == "applied"


def test_what_was_not_accepted_is_skipped_and_counted(run: Run, environments: Environments) -> None:
    environments.add(Tag, name="one", only="source")
    environments.add(Tag, name="two", only="source")
    number = run("pull", "Staging", "--json").document["changeset"]
    run("accept", number, "--change", 1)
    run("approve", number)
    ran = run("apply", number)
    assert ran.code == 0 and "1 applied, 1 skipped" in ran.out
    assert Tag.objects.count() == 1


def test_a_stale_changeset_ends_with_1_and_names_the_changes(run: Run, environments: Environments) -> None:
    environments.add(Term, word="a", meaning=("new", "old"))
    changeset = environments.approved()
    Term.objects.update(meaning="edited meanwhile")
    with environments.untouched():
        ran = run("apply", changeset.pk, "--json")
    assert (ran.code, ran.document["state"], ran.document["outcomes"]) == (1, "stale", {"stale": 1})
    [row] = ran.document["changes"]
    assert (row["change"], row["model"], row["natural_key"], row["outcome"]) == (1, "testapp.term", ["a"], "stale")
    assert row["reason"]
    assert "nothing was written" in ran.err
    again = run("apply", changeset.pk)
    assert again.code == 1 and "is stale" in again.err


def test_a_changeset_that_is_not_approved_is_not_applied(run: Run, environments: Environments) -> None:
    environments.add(Tag, name="new", only="source")
    changeset = environments.changeset()
    with environments.untouched():
        ran = run("apply", changeset.pk, "--json")
    assert ran.code == 1
    assert ran.document["error"] == (
        f"Changeset {changeset.pk} is pending and cannot be applied. Approve it first: data_sync approve {changeset.pk}"
    )


def test_the_models_own_permission_is_needed(run: Run, environments: Environments) -> None:
    environments.add(Tag, name="new", only="source")
    changeset = environments.approved()
    making.user("mira", "apply_changeset")
    ran = run("apply", changeset.pk, "--as", "mira")
    assert ran.code == 1 and "testapp.add_tag" in ran.err
    assert not Tag.objects.exists()


def test_within_a_transaction_an_apply_is_only_requested(environments: Environments) -> None:
    environments.add(Tag, name="new", only="source")
    changeset = environments.approved()
    with transaction.atomic():
        call_command("data_sync", "apply", str(changeset.pk))
        assert not Tag.objects.exists()
    assert Tag.objects.exists()


# Exporting


@pytest.mark.django_db(databases="__all__")
def test_an_export_is_the_document(run: Run, tmp_path: Path) -> None:
    changeset = making.changeset([making.update(1, "大阪\x1b[0m", "京都"), making.delete(2)])
    printed = run("export", changeset.pk)
    assert printed.code == 0
    assert (printed.document["format"], len(printed.document["changes"])) == ("data-sync-changeset", 2)
    again = run("export", changeset.pk, "--json").document
    assert again["changes"] == printed.document["changes"]
    assert [event["action"] for event in again["events"]] == ["exported"] * 2  # That is all that differs.
    file = tmp_path / "changeset.json"
    file.write_text("something older and longer" * 1000)
    ran = run("export", changeset.pk, "--output", file, "--json")
    assert ran.document == {"changeset": changeset.pk, "file": str(file), "bytes": file.stat().st_size}
    assert json.loads(file.read_text(encoding="utf-8"))["changes"] == printed.document["changes"]
    assert os.listdir(tmp_path) == ["changeset.json"]


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize("where", ["missing/changeset.json", ".", "/dev/null", "x" * 400])
def test_where_no_file_can_be_none_is_written(run: Run, tmp_path: Path, where: str) -> None:
    changeset = making.changeset([making.update()])
    ran = run("export", changeset.pk, "--output", tmp_path / where, "--json")
    assert ran.code == 1 and ran.document["error"] in " ".join(ran.err.split())
    assert os.listdir(tmp_path) == []


@pytest.mark.django_db(databases="__all__")
def test_an_export_that_fails_leaves_the_older_file(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changeset = making.changeset([making.update()])
    file = tmp_path / "changeset.json"
    file.write_text("older")

    def broken(*_: object) -> object:
        yield "{"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("data_sync.management.verbs.applying.changeset_document", broken)
    ran = run("export", changeset.pk, "--output", file)
    assert ran.code == 1 and "No space left on device" in ran.err
    assert (file.read_text(), os.listdir(tmp_path)) == ("older", ["changeset.json"])


@pytest.mark.django_db(databases="__all__")
def test_nothing_is_printed_of_an_export_that_is_not_permitted(run: Run) -> None:
    changeset = making.changeset([making.update()])
    making.user("mira", "view_changeset")
    ran = run("export", changeset.pk, "--as", "mira")
    assert (ran.code, ran.out) == (1, "")
