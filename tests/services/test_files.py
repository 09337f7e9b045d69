"""Files travel by their bytes: checked when they come, checked again before a row refers to them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import connection, models
from django.test.utils import CaptureQueriesContext

from data_sync.core.errors import LeaseLost
from data_sync.core.records import FileValue
from data_sync.core.states import ChangesetState, Outcome, PullState
from data_sync.models import Changeset, FileChecksum, PromotedFile
from data_sync.orm.resolution import schemas
from data_sync.services import promotions, upload_rows
from tests import leasing
from tests.environments import Environments
from tests.impostor import Impostor, record
from tests.sources.hostile import http
from tests.testapp.models import Category, Copy, Country, Document, Language


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
    assert re.fullmatch(r"documents/shop/terms_[0-9a-f]{16}\.txt", Document.objects.get().attachment.name)


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
    assert re.fullmatch(r"documents/a/[^/]*_[0-9a-f]{16}[^/]*", stored)
    assert len(stored) <= 200
    assert stored.isprintable()
    assert not list(Path(environments.media).parent.glob("passwd"))


def test_the_files_of_one_pull_are_bounded_together(
    environments: Environments, settings: Any, impostor: Impostor
) -> None:
    """Before the one that would not fit is asked for; and when the pull is made again, as staged files count too."""
    settings.DATA_SYNC_MAX_FILES_BYTES = 25
    for number, content in enumerate((b"a" * 10, b"b" * 10, b"b" * 10, b"c" * 10)):
        offer(impostor, impostor.file(content), name=f"d{number}")
    environments.source = impostor.add_source()
    for _ in range(2):
        pulled = environments.pull()
        assert (pulled.state, pulled.files_fetched) == (PullState.FAILED, 0)
        assert f"Pull {pulled.pk} needs files of more than 25 bytes in all" in pulled.error
        assert "DATA_SYNC_MAX_FILES_BYTES" in pulled.error and "testapp.document d3, attachment" in pulled.error
        assert "they have 30" in pulled.error
        assert sum(path.stat().st_size for path in environments.staging.rglob("*") if path.is_file()) == 20
    assert not any(sha(b"c" * 10) in request for request in impostor._server.requests)
    settings.DATA_SYNC_MAX_FILES_BYTES = 30
    assert environments.pull().state == PullState.DONE, "the shared one counts once"


def test_a_file_that_is_larger_than_was_said_is_not_taken_in(
    environments: Environments, impostor: Impostor, settings: Any
) -> None:
    """Otherwise what files are said to have would bound nothing."""
    settings.DATA_SYNC_MAX_FILES_BYTES = 10
    wanted = impostor.file(b"x" * 10)
    impostor.answers[sha(b"x" * 10)] = http("200 OK", b"x" * 10_000_000)
    offer(impostor, wanted)
    pulled = pull_from(impostor, environments)
    assert pulled.state == PullState.FAILED and "did not arrive as promised" in pulled.error
    assert not [path for path in environments.staging.rglob("*") if path.is_file()]


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


def test_files_that_cannot_be_removed_after_an_apply_do_not_make_it_fail(
    environments: Environments, approved: Changeset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here an editor has made the very row meanwhile, so that the copied file is of no use."""
    environments.put("mine.png", b"content", only="default")
    Document.objects.create(name="a", cover="mine.png")

    def refuse(*_: Any) -> None:
        raise OSError("Access denied")

    monkeypatch.setattr(FileSystemStorage, "delete", refuse)
    assert environments.apply(approved).state == ChangesetState.APPLIED
    assert PromotedFile.objects.exists()


# What a file field's storage may do


class Overwriting(FileSystemStorage):
    """As Amazon's is unless told otherwise."""

    def __init__(self) -> None:
        super().__init__(allow_overwrite=True)


class ByLength(FileSystemStorage):
    """Gives files names of its own, and equal ones to files that it takes for equal."""

    def _save(self, name: str, content: Any) -> str:
        stored = f"covers/{content.size}.png"
        if not self.exists(stored):
            super()._save(stored, content)
        return stored


@pytest.fixture
def cover(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The field, whose attributes may be set until the test ends."""
    field = Document._meta.get_field("cover")
    for name in ("storage", "upload_to"):
        monkeypatch.setattr(field, name, getattr(field, name))
    return field


@pytest.fixture
def replaced(environments: Environments) -> Changeset:
    """Approved: another file for a row. At the source it has the name that the old one has here."""
    environments.put("covers/a.png", b"old", only="default")
    environments.put("covers/a.png", b"new", only="source")
    environments.add(Document, name="a", cover="covers/a.png")
    return environments.approved()


def test_a_storage_that_overwrites_loses_nothing(environments: Environments, replaced: Changeset, cover: Any) -> None:
    cover.storage = Overwriting()
    assert environments.apply(replaced).state == ChangesetState.APPLIED
    assert sorted(environments.files().values()) == [b"new", b"old"]
    environments.assert_equal()


def test_a_storage_that_overwrites_loses_nothing_where_the_apply_is_refused(
    environments: Environments, replaced: Changeset, cover: Any
) -> None:
    cover.storage = Overwriting()
    Document.objects.update(title="meanwhile")
    with environments.untouched():
        assert environments.apply(replaced).state == ChangesetState.STALE


def test_a_new_name_that_is_taken_all_the_same_is_refused(
    environments: Environments, replaced: Changeset, cover: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Overwriting, "exists", lambda *_: True)
    cover.storage = Overwriting()
    with environments.untouched():
        assert environments.apply(replaced).state == ChangesetState.FAILED


@pytest.mark.parametrize("used", [True, False])
def test_a_storage_that_chooses_names_which_others_may_have_is_refused(
    environments: Environments, replaced: Changeset, cover: Any, used: bool
) -> None:
    if used:
        environments.add(Document, name="b", cover=environments.put("covers/3.png", b"two"), only="default")
    cover.storage = ByLength()
    with environments.untouched():
        applied = environments.apply(replaced)
    assert applied.state == ChangesetState.FAILED
    assert "covers/3.png" in applied.state_reason


def test_a_name_is_shortened_to_what_the_column_takes(
    environments: Environments, impostor: Impostor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Document._meta.get_field("attachment"), "max_length", 40)
    offer(impostor, impostor.file(b"content", "x" * 100 + ".txt"))
    assert pull_from(impostor, environments).state == PullState.DONE
    changeset = Changeset.objects.get()
    environments.accept_all(changeset)
    assert environments.apply(environments.approve(changeset)).state == ChangesetState.APPLIED
    assert re.fullmatch(r"documents/a/x{7}_[0-9a-f]{16}\.txt", Document.objects.get().attachment.name)


# What is removed again


def test_a_file_that_a_row_uses_is_never_removed(
    environments: Environments, approved: Changeset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of whichever model, and hidden by whichever manager."""

    class Nothing(models.Manager):
        def get_queryset(self) -> Any:
            return super().get_queryset().none()

    hiding = Nothing()
    hiding.model = Copy
    monkeypatch.setitem(vars(Copy._meta), "base_manager", hiding)
    language = environments.add(Language, country=environments.add(Country, code="FR"), code="fr", only="default")
    for name in ("used.png", "unused.png"):
        environments.put(name, b"x", only="default")
        PromotedFile.objects.create(
            changeset=approved, attempt=0, change_number=1, model="testapp.document", field="cover", name=name
        )
    models.QuerySet(Copy, using="default").create(language=language[1], key="k", thumbnail="used.png")
    assert environments.apply(approved).state == ChangesetState.APPLIED
    assert "used.png" in environments.files()
    assert "unused.png" not in environments.files()


def test_an_apply_leaves_no_traces_of_its_files(environments: Environments, approved: Changeset) -> None:
    assert environments.apply(approved).state == ChangesetState.APPLIED
    assert environments.files() == {Document.objects.get().cover.name: b"content"}
    assert not PromotedFile.objects.exists()


def test_a_copied_file_is_removed_if_its_row_is_found_unchanged(
    environments: Environments, approved: Changeset
) -> None:
    environments.put("mine.png", b"content", only="default")
    Document.objects.create(name="a", cover="mine.png")
    assert environments.apply(approved).state == ChangesetState.APPLIED
    assert approved.changes.get().outcome == Outcome.UNCHANGED
    assert environments.files() == {"mine.png": b"content"}
    assert not PromotedFile.objects.exists()


# What an upload_to function sees


@pytest.fixture
def thumbnail(monkeypatch: pytest.MonkeyPatch) -> Any:
    field = Copy._meta.get_field("thumbnail")
    monkeypatch.setattr(field, "upload_to", field.upload_to)
    return field


def test_upload_to_sees_rows_that_the_same_changeset_creates(environments: Environments, thumbnail: Any) -> None:
    thumbnail.upload_to = lambda row, name: f"{row.language.country.code}/{row.language.code}/{name}"
    language, _ = environments.add(
        Language, country=environments.add(Country, code="FR", only="source")[0], code="fr", only="source"
    )
    name = environments.put("t.png", b"x", only="source")
    environments.add(Copy, language=language, key="k", value="", default="", thumbnail=name, only="source")
    environments.sync()
    assert Copy.objects.get().thumbnail.name.startswith("FR/fr/t_")


def test_upload_to_sees_the_stored_row_with_its_new_values(environments: Environments, thumbnail: Any) -> None:
    thumbnail.upload_to = lambda row, name: f"{row.pk}/{row.default}/{row.value}/{row.language_id}/{name}"
    country = environments.add(Country, code="FR")
    language = environments.add(Language, country=country, code="fr")
    names = environments.put("new.png", b"new", only="source"), environments.put("old.png", b"old", only="default")
    _, copy = environments.add(
        Copy, language=language, key="k", value=("after", "before"), default=("theirs", "ours"), thumbnail=names
    )
    environments.sync()
    copy.refresh_from_db()
    assert copy.thumbnail.name.startswith(f"{copy.pk}/ours/after/{copy.language_id}/new_")


@pytest.mark.parametrize("depth", [50, 1, 0])
def test_upload_to_may_walk_up_a_tree_that_is_created_with_the_row(
    environments: Environments, monkeypatch: pytest.MonkeyPatch, depth: int
) -> None:
    """However deep: beyond `DEPTH` rows are made when they are asked for."""
    monkeypatch.setattr(upload_rows, "DEPTH", depth)
    parent, _ = environments.add(Category, slug="root", only="source")
    for number in range(5):
        parent, _ = environments.add(Category, slug=f"c{number}", parent=parent, only="source")
    changeset = environments.approved()
    change = changeset.changes.get(key=["c4"])
    seen = upload_rows.UploadRows(changeset).row(schemas()["testapp.category"], change)
    slugs = []
    while seen is not None:
        slugs.append(seen.slug)
        seen = seen.parent
    assert slugs == ["c4", "c3", "c2", "c1", "c0", "root"]


def test_rows_are_not_read_for_fields_that_need_none(environments: Environments) -> None:
    for number in range(3):
        name = environments.put(f"{number}.png", bytes([number]), only="source")
        environments.add(Document, name=f"d{number}", cover=(name, None))
    changeset = environments.approved()
    with CaptureQueriesContext(connection) as queries:
        taken = claimed(changeset)
        promotions.promote_files(taken, leasing.lease(taken))
    assert not [query for query in queries.captured_queries if "testapp_document" in query["sql"]]


# The lease


def claimed(changeset: Changeset) -> Changeset:
    Changeset.objects.filter(pk=changeset.pk).update(state=ChangesetState.APPLYING.value, token="mine", attempt=1)
    return Changeset.objects.get(pk=changeset.pk)


def test_no_file_is_copied_once_another_worker_has_taken_over(environments: Environments, approved: Changeset) -> None:
    changeset = claimed(approved)
    Changeset.objects.filter(pk=approved.pk).update(token="theirs")
    with environments.untouched(), pytest.raises(LeaseLost):
        promotions.promote_files(changeset, leasing.lease(changeset))
