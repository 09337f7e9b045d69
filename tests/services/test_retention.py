"""Retention: values and files go, digests and the trail stay; nothing that is open or needed is touched."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from data_sync.core.errors import InvalidTransition
from data_sync.core.seal import event_hash
from data_sync.models import Change, Changeset, DataPull, KeptRow, PromotedFile
from data_sync.services import actors, approval, audit, left_files, rehearsal, remarks, retention, review
from data_sync.services.audit import event_content
from tests.admin import making
from tests.environments import Environments
from tests.management.conftest import Run, run
from tests.testapp.models import Booking, Customer, Detail, Document, Product

__all__ = ["run"]

ACTOR = actors.command_line()
STAYS = ("key", "key_text", "operation", "decision", "outcome", "before_digest", "after_digest", "content_digest")


@pytest.fixture
def due(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything was closed long ago."""
    settings.DATA_SYNC_RETENTION_DAYS = 1e-9
    monkeypatch.setattr(left_files, "YOUNG", -left_files.YOUNG)


@pytest.mark.django_db
def test_values_go_and_what_verifies_them_stays(due: None) -> None:
    stored = making.changeset(
        [making.update(1, outcome="applied", content_digest="sha256:1"), making.conflict(2), making.delete(3)],
        state="applied",
    )
    KeptRow.objects.create(
        changeset=stored, number=1, change_number=3, model="testapp.term", row_pk=1, effect="root", values={"a": "old"}
    )
    before = list(stored.changes.values_list(*STAYS))
    pruned = retention.prune(ACTOR)
    assert (pruned.changesets, pruned.changes, pruned.kept_rows) == ([stored.pk], 3, 1)
    stored.refresh_from_db()
    assert stored.purged_at is not None and list(stored.changes.values_list(*STAYS)) == before
    held = Change.objects.values_list(*retention.EMPTY)
    assert {tuple(map(repr, row)) for row in held} == {tuple(map(repr, retention.EMPTY.values()))}
    assert KeptRow.objects.get().values is None
    event = stored.events.last()
    assert (event.action, event.detail["changes"], event.detail["kept_rows"]) == ("purged", 3, 1)
    previous = ""
    for event in stored.events.order_by("number"):
        assert event.hash == event_hash(previous, event_content(event))
        previous = event.hash
    assert retention.prune(ACTOR).changesets == [], "once"


@pytest.mark.django_db
@pytest.mark.parametrize("state", ["pending", "blocked", "approved", "applying"])
def test_what_is_open_is_never_purged(due: None, state: str) -> None:
    stored = making.changeset([making.update(1)], state=state)
    assert retention.prune(ACTOR).changesets == [] and retention.purge(stored.pk, ACTOR) is None
    assert stored.changes.get().before is not None


@pytest.mark.django_db
def test_what_is_being_reverted_is_not_purged(due: None) -> None:
    stored = making.changeset([making.update(1)], state="applied")
    revert = making.changeset([making.update(1)], state="pending", reverts=stored)
    assert retention.prune(ACTOR).changesets == [] and retention.purge(stored.pk, ACTOR) is None
    Changeset.objects.filter(pk=revert.pk).update(state="rejected")
    pull = making.pull(kind="revert", reverts=stored, state="reading")
    assert retention.purge(stored.pk, ACTOR) is None and stored.changes.get().before is not None
    DataPull.objects.filter(pk=pull.pk).update(state="done")
    assert retention.prune(ACTOR).changesets == [stored.pk, revert.pk]


@pytest.mark.django_db
def test_it_counts_from_when_it_was_closed(settings: Any) -> None:
    settings.DATA_SYNC_RETENTION_DAYS = 30
    stored = making.changeset([making.update(1)], state="rejected")
    Changeset.objects.update(created_at="2020-01-01T00:00:00Z")
    assert retention.prune(ACTOR).changesets == [stored.pk]
    other = making.changeset([making.update(1)], state="rejected")
    audit.record(other.pk, ACTOR, "rejected", {})
    Changeset.objects.update(created_at="2020-01-01T00:00:00Z")
    assert retention.prune(ACTOR).changesets == [], "closed just now"
    settings.DATA_SYNC_RETENTION_DAYS = None
    assert retention.prune(ACTOR).before is None


@pytest.mark.django_db
def test_a_purged_changeset_can_be_read_but_neither_decided_on_nor_approved(due: None, admin_client: Any) -> None:
    changes = [making.conflict(1), making.update(2), making.create(3), making.delete(4), making.rename(5)]
    stored = making.changeset(changes, state="failed")
    retention.prune(ACTOR)
    for refused in (
        lambda: approval.approve(stored.pk, ACTOR, revision=0),
        lambda: review.decide(stored.pk, review.Selection(), review.Decision.ACCEPTED, ACTOR, revision=None),
        lambda: rehearsal.rehearse(stored.pk, ACTOR),
    ):
        with pytest.raises(InvalidTransition, match=f"values of changeset {stored.pk} were purged on .* Pull again"):
            refused()
    for page in ("change", "print", "result", "history", "export"):
        ask = admin_client.post if page == "export" else admin_client.get
        answer = ask(reverse(f"admin:data_sync_changeset_{page}", args=(stored.pk,)))
        assert answer.status_code == 200, page
        text = answer.getvalue().decode()
        assert "purged" in text and "there" not in text.split("word-1")[-1][:200], page
    shown = admin_client.get(reverse("admin:data_sync_changeset_change", args=(stored.pk,)) + "?number=1")
    assert b'name="decide"' not in shown.content and stored.changes.get(number=1).before_digest in shown.text


@pytest.mark.django_db
def test_the_queries_do_not_grow_with_the_changes(due: None) -> None:
    def queries(size: int) -> int:
        stored = making.changeset([making.update(number) for number in range(1, size + 1)], state="applied")
        with CaptureQueriesContext(
            connection,
        ) as captured:
            retention.purge(stored.pk, ACTOR)
        return len(captured)

    assert queries(3) == queries(60)


def test_what_was_purged_still_verifies(environments: Environments, due: None, run: Run, tmp_path: Path) -> None:
    old, new = environments.put("old.png", b"old"), environments.put("new.png", b"new")
    environments.add(Document, name="a", cover=(new, old))
    environments.add(Document, name="gone", cover=old, only="default")
    environments.add(Customer, name="ada", account=("secret-new", "secret-old"))
    there, here = environments.add(Product, sku="old-sku", name="Chair")
    environments.add(Detail, product=(there, here))
    Product.objects.using("source").filter(pk=there.pk).update(sku="new-sku")
    _, bob = environments.add(Customer, name="bob", only="default")
    Booking.objects.create(customer=bob)
    done = environments.sync()
    remarks.comment(done.changes.get(model="testapp.document", operation="update"), "Why?", ACTOR)
    verified = ["verify", "--all", "--read-files", "--json"]
    assert run(*verified).document["matches"]
    assert retention.prune(ACTOR).changesets == [done.pk]
    found = run(*verified)
    assert (found.code, found.document["faults"]) == (0, [])
    exported = tmp_path / "changeset.json"
    assert run("export", done.pk, "--output", exported).code == run("verify", exported).code == 0
    assert (
        b"secret" not in exported.read_bytes() and exported.read_bytes().count(b'"purged":true') == done.changes.count()
    )
    for alteration in (
        {"content_digest": "sha256:" + "0" * 64},
        {"before_digest": "sha256:" + "0" * 64},
        {"files": {}},
        {"problems": ["x"]},
    ):
        change = done.changes.get(model="testapp.document", operation="update")
        done.changes.filter(pk=change.pk).update(**alteration)
        assert run(*verified).code == 2, alteration
        change.save()
    assert run(*verified).code == 0


# Files


def _replaced_and_deleted(environments: Environments) -> tuple[Changeset, str]:
    environments.put("covers/old.png", b"old", only="default")
    environments.put("covers/new.png", b"new", only="source")
    environments.put("covers/gone.png", b"gone", only="default")
    environments.add(Document, name="a", cover=("covers/new.png", "covers/old.png"))
    environments.add(Document, name="b", cover="covers/gone.png", only="default")
    done = environments.sync("testapp.document")
    return done, Document.objects.get().cover.name


def test_files_that_nothing_needs_go(environments: Environments, due: None) -> None:
    environments.put("covers/theirs.png", b"never replaced by us", only="default")
    done, new = _replaced_and_deleted(environments)
    would = retention.would_prune(ACTOR)
    assert (would.changesets, would.left_files, would.staged_files) == ([done.pk], 2, 1)
    assert set(environments.files()) == {"covers/old.png", "covers/gone.png", new, "covers/theirs.png"}
    pruned = retention.prune(ACTOR)
    assert (pruned.left_files, pruned.staged_files) == (2, 1)
    assert set(environments.files()) == {new, "covers/theirs.png"}
    assert [path for path in environments.staging.rglob("*") if path.is_file()] == []
    assert not PromotedFile.objects.exists()
    files = [change.files["cover"] for change in done.changes.all()]
    assert {side["name"] for sides in files for side in sides.values() if side} == {"purged.png"}
    assert all(side["size"] and side["checksum"] for sides in files for side in sides.values() if side)


def test_files_that_are_needed_stay(environments: Environments, due: None, settings: Any) -> None:
    _, new = _replaced_and_deleted(environments)
    Document.objects.create(name="by-hand", attachment="covers/old.png")
    gone = {"name": "covers/gone.png", "size": 4, "checksum": "sha256:" + "0" * 64}
    later = making.changeset([making.update(1, files={"cover": {"before": gone, "after": None}})])
    assert retention.prune(ACTOR).left_files == 0
    assert set(environments.files()) == {"covers/old.png", "covers/gone.png", new}
    assert later.changes.get().files["cover"]["before"]["name"] == "covers/gone.png"


def test_a_file_that_has_got_the_name_since_stays(environments: Environments, due: None) -> None:
    _replaced_and_deleted(environments)
    environments.put("covers/old.png", b"others", only="default")
    assert retention.prune(ACTOR).left_files == 1
    assert environments.files()["covers/old.png"] == b"others"


def test_a_file_of_a_row_that_went_along_is_not_taken_for_its_roots(environments: Environments, due: None) -> None:
    environments.put("covers/child.png", b"child", only="default")
    root = {"name": "covers/root.png", "size": 4, "checksum": "sha256:" + "0" * 64}
    stored = making.changeset([making.delete(1, files={"cover": {"before": root, "after": None}})], state="applied")
    stored.changes.update(outcome="applied")
    KeptRow.objects.create(
        changeset=stored,
        number=1,
        change_number=1,
        model="testapp.document",
        row_pk=1,
        effect="delete",
        values={"cover": "covers/child.png"},
    )
    assert retention.prune(ACTOR).left_files == 1
    assert environments.files() == {}


class Killed(BaseException):
    pass


def test_whatever_ends_a_run_the_next_one_goes_on(
    environments: Environments, due: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, new = _replaced_and_deleted(environments)

    def kill(*_: Any) -> None:
        raise Killed

    for place in ("retention.audit.record", "left_files.discard_left", "left_files._discard"):
        with monkeypatch.context() as patched:
            patched.setattr(f"data_sync.services.{place}", kill)
            with pytest.raises(Killed):
                retention.prune(ACTOR)
    done.refresh_from_db()
    assert done.purged_at is not None and len(environments.files()) == 3
    assert retention.prune(ACTOR).left_files == 2
    assert set(environments.files()) == {new} and done.events.filter(action="purged").count() == 1


def test_staged_files_of_a_pull_at_work_and_of_open_changesets_stay(environments: Environments, due: None) -> None:
    environments.put("covers/new.png", b"new", only="source")
    environments.add(Document, name="a", cover="covers/new.png", only="source")
    approved = environments.approved("testapp.document")
    stray = environments.staging / "ab" / ("ab" + "0" * 62)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"of a pull that failed")
    other = environments.staging / "ab" / "something else"
    other.write_bytes(b"not ours")
    os.utime(stray, (time.time() - 10, time.time() - 10))
    active = making.pull(state="reading")
    assert retention.prune(ACTOR).staged_files == 0
    DataPull.objects.filter(pk=active.pk).update(state="failed")
    assert retention.prune(ACTOR).staged_files == 1
    assert not stray.exists() and other.exists()
    assert environments.apply(approved).state == "applied"


# What people see


@pytest.mark.django_db
def test_the_admin_says_what_is_due_and_what_is_gone(settings: Any, admin_client: Any) -> None:
    gone, due = (making.changeset([making.update(1)], state="applied") for _ in range(2))
    making.changeset([making.update(1)])
    url = reverse("admin:data_sync_changeset_retention")
    assert "Everything is kept for ever" in admin_client.get(url).text
    settings.DATA_SYNC_RETENTION_DAYS = 1e-9
    retention.purge(gone.pk, ACTOR)
    page = admin_client.get(url)
    assert "1 changeset to purge next" in page.text and "1 changeset without values" in page.text
    assert [list(page.context[name]) for name in ("due", "purged")] == [[due], [gone]]
    assert url in admin_client.get(reverse("admin:data_sync_changeset_changelist")).text


# The command


@pytest.mark.django_db(transaction=True)
def test_sweep_prunes_when_asked_to(run: Run, due: None, settings: Any) -> None:
    stored = making.changeset([making.update(1)], state="applied")
    assert run("sweep", "--json").document == {"swept": []} and run("sweep", "--dry-run").code == 1
    would = run("sweep", "--prune", "--dry-run", "--json").document["pruned"]
    assert (would["changesets"], would["changes"], would["dry_run"]) == ([stored.pk], 1, True)
    assert stored.changes.get().before is not None
    ran = run("sweep", "--prune")
    assert ran.code == 0 and ran.out.startswith("Purged 1 changeset closed before ")
    assert stored.changes.get().before is None and run("sweep", "--prune").out == "", "cron would mail it"
    settings.DATA_SYNC_RETENTION_DAYS = None
    assert "Everything is kept" in run("sweep", "--prune").out


@pytest.mark.django_db
def test_reasons_of_failed_pulls_go(due: None) -> None:
    failed = making.pull(state="failed", error="The value “secret” is too long.", finished_at="2020-01-01T00:00:00Z")
    assert (retention.prune(ACTOR).pulls, retention.prune(ACTOR).pulls) == (1, 0)
    failed.refresh_from_db()
    assert failed.error == retention.PULL_PURGED
