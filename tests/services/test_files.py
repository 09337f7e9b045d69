"""Files travel by their bytes: checked when they come, checked again before a row refers to them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage

from data_sync.core.records import FileValue
from data_sync.core.states import ChangesetState, Outcome, PullState
from data_sync.models import Changeset, FileChecksum, PromotedFile
from tests.environments import Environments
from tests.impostor import Impostor, record
from tests.sources.hostile import http
from tests.testapp.models import Copy, Country, Document, Language


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def impostor(environments: Environments) -> Iterator[Impostor]:
    made = Impostor(document=[])
    yield made
    made.close()


def offer(impostor: Impostor, attachment: FileValue | None, name: str = "a") -> None:
    impostor.records["testapp.document"].append(
        record("document", name, name=name, title="", files={"attachment": attachment, "cover": None})
    )


def pull_from(impostor: Impostor, environments: Environments) -> Any:
    environments.source = impostor.add_source()
    return environments.pull()


# What goes right


def test_a_replaced_file_gets_a_new_name_and_the_old_one_stays(environments: Environments) -> None:
    environments.put("covers/a.png", b"old", only="default")
    environments.put("covers/a.png", b"new", only="source")
    environments.add(Document, name="a", cover="covers/a.png")
    environments.sync()
    document = Document.objects.get()
    assert document.cover.name != "covers/a.png"
    assert environments.files() == {"covers/a.png": b"old", document.cover.name: b"new"}
    environments.assert_equal()


def test_a_file_that_was_taken_away_is_taken_away(environments: Environments) -> None:
    environments.put("covers/a.png", b"old", only="default")
    environments.add(Document, name="null", cover=(None, "covers/a.png"))
    environments.add(Document, name="empty", attachment=("", "covers/a.png"))
    environments.sync()
    environments.assert_equal()
    assert environments.files() == {"covers/a.png": b"old"}


def test_the_same_bytes_under_another_name_make_no_change(environments: Environments) -> None:
    environments.put("here.png", b"bytes", only="default")
    environments.put("there.png", b"bytes", only="source")
    environments.add(Document, name="a", cover=("there.png", "here.png"))
    assert environments.pull().state == PullState.DONE
    assert not Changeset.objects.exists()


def test_one_file_that_many_rows_want_is_fetched_once(environments: Environments) -> None:
    name = environments.put("covers/a.png", b"shared", only="source")
    for number in range(3):
        environments.add(Document, name=f"d{number}", cover=name, only="source")
    pulled = environments.pull()
    assert pulled.files_fetched == 1
    changeset = Changeset.objects.get()
    environments.accept_all(changeset)
    environments.apply(environments.approve(changeset))
    environments.assert_equal()


def test_upload_to_decides_the_folder_and_sees_the_row(environments: Environments) -> None:
    name = environments.put("elsewhere/deep/terms.txt", b"terms", only="source")
    environments.add(Document, name="shop", attachment=name, only="source")
    environments.sync()
    assert Document.objects.get().attachment.name == "documents/shop/terms.txt"


def test_an_edit_in_place_is_seen_although_name_and_size_are_the_same(environments: Environments) -> None:
    environments.put("a.png", b"one")
    environments.add(Document, name="a", cover="a.png")
    environments.pull()
    assert FileChecksum.objects.exists()
    environments.put("a.png", b"two", only="default")
    assert environments.changeset().updates == 1


def test_files_of_rejected_changes_are_not_copied(environments: Environments) -> None:
    environments.add(Country, code="FR", only="source")
    environments.add(Document, name="a", cover=environments.put("a.png", b"x", only="source"), only="source")
    changeset = environments.changeset()
    environments.accept(changeset, changeset.changes.get(model="testapp.country").number)
    environments.apply(environments.approve(changeset))
    assert environments.files() == {}


def test_a_failed_apply_leaves_no_file_behind(environments: Environments) -> None:
    environments.add(Document, name="a", cover=environments.put("a.png", b"x", only="source"), only="source")
    changeset = environments.approved()
    Document.objects.create(name="a", title="meanwhile")
    with environments.untouched():
        assert environments.apply(changeset).state == ChangesetState.STALE
    assert environments.files() == {}
    assert not PromotedFile.objects.exists()


# What a source may do wrong


def test_a_file_that_the_source_has_not_got_is_a_problem_with_its_name(environments: Environments) -> None:
    language = environments.add(Language, country=environments.add(Country, code="FR"), code="fr")
    environments.add(Copy, language=language, key="k", value="", default="", thumbnail="lost.png", only="source")
    changeset = environments.changeset()
    change = changeset.changes.get()
    assert [problem["code"] for problem in change.problems] == ["missing_file"]
    assert "lost.png" in change.problems[0]["message"]


def test_a_file_that_is_missing_here_is_replaced(environments: Environments) -> None:
    environments.put("covers/a.png", b"there", only="source")
    environments.add(Document, name="a", cover="covers/a.png")
    environments.sync()
    environments.assert_equal()


def test_a_file_that_vanishes_before_it_is_fetched_fails_the_pull(
    environments: Environments, impostor: Impostor
) -> None:
    wanted = impostor.file(b"gone")
    impostor.files.clear()
    offer(impostor, wanted)
    pulled = pull_from(impostor, environments)
    assert pulled.state == PullState.FAILED
    assert "a.txt" in pulled.error and "testapp.document a" in pulled.error
    assert not Changeset.objects.exists()


@pytest.mark.parametrize(
    "sent", [b"wrong bytes", b"good byteS", b"good bytes and more", b"good byte", b""], ids=lambda sent: sent.decode()
)
def test_wrong_bytes_fail_the_pull_with_the_files_name(
    environments: Environments, impostor: Impostor, sent: bytes
) -> None:
    offer(impostor, impostor.file(b"good bytes", "terms.txt"))
    impostor.files[sha(b"good bytes")] = sent
    with environments.untouched():
        pulled = pull_from(impostor, environments)
    assert pulled.state == PullState.FAILED
    assert "terms.txt" in pulled.error
    assert not Changeset.objects.exists()
    assert not [path for path in environments.staging.rglob("*") if path.is_file()]


def test_a_file_that_is_cut_on_the_way_fails_the_pull(environments: Environments, impostor: Impostor) -> None:
    wanted = impostor.file(b"x" * 10_000)
    impostor.answers[sha(b"x" * 10_000)] = http("200 OK", b"x" * 5_000, length=-1)
    offer(impostor, wanted)
    assert pull_from(impostor, environments).state == PullState.FAILED


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "..\\..\\windows\\system.ini",
        "..",
        "",
        "a/../../b.txt",
        "con\x07trol\n.txt",
        "\u202egnp.exe",
        ".htaccess",
        "x" * 1000 + ".txt",
        "ü" * 300,
        "semi;colon$(rm -rf).txt",
    ],
)
def test_a_hostile_name_stays_inside_of_the_media_folder(
    environments: Environments, impostor: Impostor, name: str
) -> None:
    offer(impostor, impostor.file(b"content", name))
    pulled = pull_from(impostor, environments)
    assert pulled.state == PullState.DONE, pulled.error
    changeset = Changeset.objects.get()
    environments.accept_all(changeset)
    applied = environments.apply(environments.approve(changeset))
    assert applied.state == ChangesetState.APPLIED, applied.state_reason
    stored = Document.objects.get().attachment.name
    assert environments.files() == {stored: b"content"}
    assert stored.startswith("documents/a/") and stored.count("/") == 2
    assert len(stored) <= 200
    assert stored.isprintable()
    assert not list(Path(environments.media).parent.glob("passwd"))


# What may happen to staged files


def staged(environments: Environments, content: bytes) -> Path:
    return environments.staging / sha(content)[:2] / sha(content)


@pytest.fixture
def approved(environments: Environments) -> Changeset:
    environments.add(Document, name="a", cover=environments.put("a.png", b"content", only="source"), only="source")
    return environments.approved()


def test_a_staged_file_that_was_altered_is_not_used(environments: Environments, approved: Changeset) -> None:
    path = staged(environments, b"content")
    assert path.read_bytes() == b"content"
    path.write_bytes(b"c0ntent")
    with environments.untouched():
        applied = environments.apply(approved)
    assert applied.state == ChangesetState.FAILED
    change = approved.changes.get()
    assert change.outcome == Outcome.FAILED and "altered" in change.outcome_reason
    assert environments.files() == {}


def test_a_staged_file_that_is_gone_is_said_to_be(environments: Environments, approved: Changeset) -> None:
    staged(environments, b"content").unlink()
    with environments.untouched():
        applied = environments.apply(approved)
    assert applied.state == ChangesetState.FAILED
    assert "no longer there" in applied.state_reason


def test_pulling_again_mends_what_was_altered_in_staging(environments: Environments, approved: Changeset) -> None:
    staged(environments, b"content").write_bytes(b"c0ntent")
    environments.apply(approved)
    environments.sync()
    environments.assert_equal()


def test_a_storage_that_fails_leaves_nothing_behind(
    environments: Environments, approved: Changeset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FileSystemStorage, "_save", full)
    with environments.untouched():
        applied = environments.apply(approved)
    monkeypatch.undo()
    assert applied.state == ChangesetState.FAILED
    assert "No space left" in applied.state_reason
