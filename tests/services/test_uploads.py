"""Uploads: a bundle becomes the very changeset that a pull over HTTP would have made, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import stat
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_sync import tasks
from data_sync.core.errors import DataSyncError, InvalidInput, RecordError
from data_sync.core.states import ChangesetState, PullKind, PullState
from data_sync.models import Change, Changeset, DataPull, Event, FileChecksum, KeptAnswer
from data_sync.orm.files import read_blocks
from data_sync.orm.read import LocalSource
from data_sync.services import bundle, pull, trust, uploads
from data_sync.services import stored_uploads as stored_files
from tests import bundling
from tests.bundling import bundle_of_source
from tests.environments import Environments
from tests.testapp.models import Category, Customer, Document, Page, Person, Product, Tag

TAG, CATEGORY = "testapp.tag", "testapp.category"
NOT_COMPARED = {"id", "changeset"}


def blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from read_blocks(file)


def uploaded(environments: Environments, path: Path, name: str = "staging.zip") -> DataPull:
    return pull.run_pull(uploads.request_upload(blocks(path), name, environments.actor).pk)


def changeset_of(done: DataPull) -> Changeset:
    assert done.state == PullState.DONE, done.error
    return Changeset.objects.get(pull=done)


def stored(changeset: Changeset) -> list[dict[str, Any]]:
    columns = [column.name for column in Change._meta.concrete_fields if column.name not in NOT_COMPARED]
    return list(changeset.changes.order_by("number").values(*columns))


def everything(environments: Environments) -> None:
    """Creates, updates, deletes, renames, files, scopes, links, references, cascades and redacted fields."""
    tag = environments.add(Tag, name="sale")
    root = environments.add(Category, slug="root")
    environments.add(Category, slug="child", parent=root, title=("new", "old"))
    environments.add(Product, sku=("light", "lamp"), name="Lamp", category=root)
    linked = environments.add(Product, sku="linked", name="Linked")
    environments.add(Product, sku="gone", name="Gone", only="default")
    environments.add(Product, sku="come", name="Come", only="source")
    linked[0].tags.add(tag[0])
    environments.add(Page, slug="left", published=(False, True))
    environments.add(Page, slug="gone", only="default")
    one, other = environments.add(Person, name="ada"), environments.add(Person, name="bob")
    one[0].friends.add(other[0])
    environments.add(Customer, name="ada", account=("secret", "other"))
    for name, content in (("a.txt", b"aaa"), ("b.txt", b"bb")):
        environments.put(name, content, only="source")
    environments.put("b.txt", b"old", only="default")
    environments.add(Document, name="new", attachment="a.txt", only="source")
    environments.add(Document, name="changed", attachment="b.txt")


def tag_bundle(*names: str) -> bytes:
    """A bundle of the model Tag with these rows, by hand."""
    manifest = LocalSource([TAG]).manifest().to_plain()
    manifest["models"][TAG]["count"] = len(names)
    lines = [f'[{{}},["{TAG}",["{name}"],{{"name":"{name}"}},{{}}]]' for name in names]
    head = bundling.HEAD | {"models": [TAG], "manifest": manifest}
    return bundling.bundle(head=head, records=bundling.stream([TAG], *lines))


def requested(environments: Environments, content: bytes, name: str = "staging.zip") -> DataPull:
    return uploads.request_upload([content], name, environments.actor)


def stored_uploads(environments: Environments) -> list[Path]:
    return [path for path in (environments.staging / "uploads").glob("*") if path.is_file()]


def test_a_bundle_makes_the_changeset_that_a_pull_over_http_makes(
    environments: Environments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_sync.services.redaction.new_key", lambda: b"k" * 32)
    everything(environments)
    path = bundle_of_source(tmp_path / "staging.zip")
    over_http = changeset_of(environments.pull_everything())
    by_file = changeset_of(uploaded(environments, path))
    assert stored(by_file) == stored(over_http)
    assert {row["operation"] for row in stored(by_file)} == {"create", "update", "delete", "rename"}
    assert [row["key"] for row in stored(by_file) if row["left_scope"]] == [["left"]]
    assert by_file.summary == over_http.summary and by_file.guards == over_http.guards
    assert (by_file.kind, by_file.source, by_file.source_name) == (PullKind.BUNDLE, None, "staging.zip")
    over_http.refresh_from_db()
    assert over_http.state in (ChangesetState.PENDING, ChangesetState.BLOCKED)


def test_a_bundle_without_files_takes_those_that_are_here(environments: Environments, tmp_path: Path) -> None:
    for name in ("here.txt", "there.txt"):
        environments.put(name, name.encode(), only="source")
    environments.put("other.txt", b"here.txt", only="default")
    environments.add(Document, name="kept", attachment="other.txt")
    environments.put("other.txt", b"here.txt", only="source")
    environments.add(Document, name="a", attachment="here.txt", only="source")
    path = bundle_of_source(tmp_path / "a.zip", "--no-files", "--models", "testapp.document")
    changeset = changeset_of(uploaded(environments, path))
    assert [(row["key"], row["operation"]) for row in stored(changeset)] == [(["a"], "create")]
    environments.add(Document, name="b", attachment="there.txt", only="source")
    path = bundle_of_source(tmp_path / "b.zip", "--no-files", "--models", "testapp.document")
    failed = uploaded(environments, path)
    assert failed.state == PullState.FAILED
    assert "testapp.document b, attachment: the file 'there.txt'" in failed.error
    assert "made without files" in failed.error and "Make the bundle with files" in failed.error


def test_fields_that_the_sides_do_not_share_are_left_out_of_a_bundle_too(environments: Environments) -> None:
    environments.add(Category, slug="a", title="old", only="default")
    manifest = LocalSource([CATEGORY]).manifest().to_plain()
    manifest["models"][CATEGORY]["fields"]["title"]["max_length"] = 7
    head = bundling.HEAD | {"models": [CATEGORY], "manifest": manifest}
    line = f'[{{}},["{CATEGORY}",["a"],{{"parent":null,"slug":"a","title":"new"}},{{}}]]'
    done = pull.run_pull(
        requested(environments, bundling.bundle(head=head, records=bundling.stream([CATEGORY], line))).pk
    )
    assert done.state == PullState.DONE, done.error
    assert not Changeset.objects.exists()
    assert [row["field"] for row in done.report["schema"]] == ["title"]


# Who may, what is refused at once, and what stays


def test_what_is_wrong_with_a_file_is_said_before_there_is_a_pull(environments: Environments, settings: Any) -> None:
    refused: list[tuple[bytes, dict[str, Any], str]] = [
        (b"", {}, "is empty"),
        (b"a,b", {}, "is no bundle. Give a file that data_sync bundle has made; for a spreadsheet, name its model"),
        (tag_bundle()[:-1], {}, "cut short"),
        (tag_bundle(), {"model": TAG}, "model: that is for spreadsheets"),
    ]
    for content, options, message in refused:
        with pytest.raises(DataSyncError, match=message):
            uploads.request_upload([content], "a.zip", environments.actor, options=options)
    settings.DATA_SYNC_MAX_UPLOAD_BYTES = 100
    with pytest.raises(InvalidInput, match=r"more than 100 bytes.*DATA_SYNC_MAX_UPLOAD_BYTES"):
        uploads.request_upload([b"x" * 60] * 2, "a.zip", environments.actor)
    assert not DataPull.objects.exists() and not stored_uploads(environments)


def test_a_file_is_called_what_its_owner_calls_it_and_stored_under_no_such_name(environments: Environments) -> None:
    for name, shown in {
        "../../etc/passwd": "passwd",
        "C:\\temp\\stäging.zip": "stäging.zip",
        "a\u202egpj.zip\n": "a gpj.zip",
        "": "file",
        "x" * 300 + ".zip": "x" * 79 + "…" + "x" * 16 + ".zip",
    }.items():
        made = requested(environments, tag_bundle("a"), name)
        assert made.source_name == shown
        assert re.fullmatch(r"uploads/[0-9a-f]{32}", made.upload)


@pytest.mark.parametrize("end", ["done", "failed", "cancelled", "killed"])
def test_an_upload_is_removed_when_its_pull_is_over(
    environments: Environments, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = requested(environments, tag_bundle("a"))
    [path] = stored_uploads(environments)
    match end:
        case "done":
            pull.run_pull(made.pk)
        case "failed":
            path.write_bytes(path.read_bytes()[:-1])
            failed = pull.run_pull(made.pk)
            assert failed.state == PullState.FAILED and "has been altered since it was uploaded" in failed.error
        case "cancelled":
            pull.cancel_pull(made.pk, environments.actor)
        case "killed":  # Between the end of the pull and the removal.
            with monkeypatch.context() as patch:
                patch.setattr("data_sync.services.stored_uploads._discard", lambda pull_id: None)
                pull.run_pull(made.pk)
            assert stored_uploads(environments)
            tasks.sweep()
    made.refresh_from_db()
    assert made.upload == "" and not stored_uploads(environments)
    assert made.upload_name == "staging.zip" and made.upload_checksum.startswith("sha256:")


def test_what_no_pull_names_is_swept_when_it_is_a_day_old(environments: Environments) -> None:
    [kept] = [requested(environments, tag_bundle("a")).upload]
    folder = environments.staging / "uploads"
    for name, age in (("old", 90_000), ("new", 60), (Path(kept).name, 90_000)):
        (folder / name).touch()
        os.utime(folder / name, (time.time() - age,) * 2)
    stored_files.discard_those_of_the_past()
    assert {path.name for path in stored_uploads(environments)} == {"new", Path(kept).name}


def test_a_pull_of_a_bundle_goes_on_in_further_tasks(environments: Environments, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        environments.put(name, name.encode(), only="source")
        environments.add(Document, name=name[0], attachment=name, only="source")
    path = bundle_of_source(tmp_path / "a.zip", "--models", "testapp.document")
    made = uploads.request_upload(blocks(path), "a.zip", environments.actor)
    turns = 1
    while pull.run_pull(made.pk, seconds=1e-9).state == PullState.QUEUED:
        turns += 1
        assert not KeptAnswer.objects.exclude(kind="staged").exists()  # It is here to be read again.
    changeset = changeset_of(DataPull.objects.get(pk=made.pk))
    assert (turns, changeset.creates) == (3, 3)
    assert not KeptAnswer.objects.exists()


# What comes of the changeset


def test_a_later_file_of_the_same_name_takes_the_place_of_an_earlier_one_and_of_nothing_else(
    environments: Environments,
) -> None:
    """A source that was removed leaves changesets without source, too."""
    environments.add(Tag, name="x", only="source")
    orphan = environments.changeset(TAG)
    Changeset.objects.filter(pk=orphan.pk).update(source=None, source_name="staging.zip")
    first = changeset_of(pull.run_pull(requested(environments, tag_bundle("a", "b")).pk))
    environments.accept(first, first.changes.get(key_text="a").number)
    other = changeset_of(pull.run_pull(requested(environments, tag_bundle("a", "b"), "production.zip").pk))
    second = changeset_of(pull.run_pull(requested(environments, tag_bundle("a", "c")).pk))
    states = dict(Changeset.objects.values_list("pk", "state"))
    assert states == {orphan.pk: "pending", first.pk: "superseded", other.pk: "pending", second.pk: "pending"}
    assert dict(second.changes.values_list("key_text", "decision")) == {"a": "accepted", "c": "undecided"}
    environments.changeset(TAG)
    assert list(Changeset.objects.filter(state="superseded")) == [first]


def test_an_upload_is_reviewed_applied_and_never_applied_by_itself(environments: Environments) -> None:
    trust.switch_on(environments.source, environments.actor, models=[TAG], unattended=True)
    changeset = changeset_of(pull.run_pull(requested(environments, tag_bundle("a", "b")).pk))
    assert (changeset.state, changeset.auto_state) == ("pending", "")
    environments.accept_all(changeset)
    assert environments.apply(environments.approve(changeset)).state == ChangesetState.APPLIED
    assert set(Tag.objects.values_list("name", flat=True)) == {"a", "b"}
    detail = changeset.events.get(action="pulled").detail
    assert (detail["file"], detail["source"]) == ("staging.zip", "staging.zip")
    assert detail["checksum"] == bundling.checksum(tag_bundle("a", "b"))
    again = pull.run_pull(requested(environments, tag_bundle("a", "b")).pk)
    assert (again.state, Changeset.objects.count()) == (PullState.DONE, 1)


# Making one


def test_a_bundle_is_there_whole_or_not_at_all_and_said_in_the_trail(
    environments: Environments, tmp_path: Path
) -> None:
    environments.add(Tag, name="a", only="default")
    path = tmp_path / "a.zip"
    made = bundle.write_bundle(path, [TAG], environments.actor)
    assert (made.rows, made.files, made.checksum) == ({TAG: 1}, 0, bundling.checksum(path.read_bytes()))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    event = Event.objects.get(chain="bundles")
    assert (event.action, event.detail["checksum"], event.detail["rows"]) == ("bundled", made.checksum, {TAG: 1})
    with pytest.raises(InvalidInput, match="is there already"):
        bundle.write_bundle(path, [TAG], environments.actor)
    bundle.write_bundle(path, [TAG], environments.actor, overwrite=True)
    for wrong, message in ((tmp_path, "is a folder"), (tmp_path / "no" / "a.zip", "cannot be written")):
        with pytest.raises(InvalidInput, match=message):
            bundle.write_bundle(wrong, [TAG], environments.actor)
    with pytest.raises(InvalidInput, match=r"Not registered here: a\.b"):
        bundle.write_bundle(tmp_path / "b.zip", ["a.b"], environments.actor)


def test_records_that_would_be_taken_for_a_bomb_are_not_compressed(
    environments: Environments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments.add(Tag, name="a" * 50, only="default")
    monkeypatch.setattr("data_sync.core.bundle.ANY_RATIO", 100)
    monkeypatch.setattr("data_sync.core.bundle.MAX_RATIO", 1)
    path = tmp_path / "a.zip"
    made = bundle.write_bundle(path, [TAG], environments.actor)
    with zipfile.ZipFile(path) as archive:
        assert archive.getinfo("records.jsonl").compress_type == zipfile.ZIP_STORED
    monkeypatch.undo()
    assert made.rows == {TAG: 1} and uploaded(environments, path).state == PullState.DONE


def test_a_file_that_is_taken_away_meanwhile_is_named_with_its_row(environments: Environments, tmp_path: Path) -> None:
    environments.put("a.txt", b"aaa", only="default")
    environments.add(Document, name="a", attachment="a.txt", only="default")
    bundle.write_bundle(tmp_path / "a.zip", ["testapp.document"], environments.actor)
    FileChecksum.objects.update(checksum="0" * 64)  # As if other bytes had been written over it in place.
    with pytest.raises(RecordError, match=r'testapp.document \["a"\] names a file that was replaced'):
        bundle.write_bundle(tmp_path / "b.zip", ["testapp.document"], environments.actor)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
