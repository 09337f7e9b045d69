"""The source runs another release: what differs is named by model and field, what agrees is synced, nothing guessed."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_sync.core.errors import InvalidTransition
from data_sync.core.states import ChangesetState, Decision, Operation, PullState, RenameChoice
from data_sync.models import Changeset
from data_sync.services import approval, review
from tests.environments import Environments, child

from .bringing import operations, rows
from .models import Leaflet, Notice, NoticeThere, Poster, Room


@pytest.fixture(scope="module")
def next_release(django_db_setup: None) -> Iterator[tuple[str, str]]:
    """A server of the next release, on the same database as the other one."""
    key = secrets.token_urlsafe(32)
    server = child(
        "tests.source_server",
        DATA_SYNC_TEST_CHILD="source",
        DATA_SYNC_TEST_RELEASE="next",
        DATA_SYNC_EXPORT_TOKEN=key,
    )
    assert server.stdout is not None
    word, _, port = server.stdout.readline().strip().partition(" ")
    assert word == "ready", "the source's server did not start; what it said stands above"
    yield f"http://127.0.0.1:{port}/api", key
    server.communicate(timeout=30)


@pytest.fixture
def releases(environments: Environments, next_release: tuple[str, str], settings: Any) -> Environments:
    """The target of today, and a source that is a release ahead."""
    environments.source.delete()
    return Environments(*next_release, Path(settings.BASE_DIR))


def fill() -> None:
    there = {"retyped": "ten", "shortened": "short", "chosen": "c", "added": "new"}
    here = {"retyped": 10, "shortened": "x" * 50, "chosen": "b", "dropped": "mine"}
    rows(NoticeThere, "source").create(slug="edited", kept="new", **there)
    rows(NoticeThere, "source").create(slug="same", kept="same", **there)
    rows(NoticeThere, "source").create(slug="only there", kept="there", **there)
    rows(Notice, "default").create(slug="edited", kept="old", **here)
    rows(Notice, "default").create(slug="same", kept="same", **here)
    rows(Notice, "default").create(slug="only here", kept="here", **here)
    rows(Leaflet, "default").create(slug="mine")
    rows(Poster, "source").create(slug="theirs")


def test_every_difference_is_named_by_model_and_field(releases: Environments) -> None:
    fill()
    done = releases.pull_everything()
    assert done.state == PullState.DONE, done.error
    named = {(row["model"], row["field"]): row["difference"] for row in done.report["schema"]}
    assert named.keys() == {
        *(("hard.notice", field) for field in ("retyped", "shortened", "chosen", "dropped", "unlinked", "added")),
        ("hard.leaflet", ""),
        ("hard.poster", ""),
    }
    assert all(named.values())
    changeset = Changeset.objects.get(pull=done)
    assert changeset.state == ChangesetState.BLOCKED
    assert {guard["model"] for guard in changeset.guards if guard["code"] == "schema_difference"} >= {"hard.notice"}


def test_agreed_fields_are_synced_and_the_others_stay_as_they_are(releases: Environments) -> None:
    fill()
    changeset = releases.changeset()
    assert operations(changeset) == {
        ("hard.notice", "edited"): Operation.UPDATE,
        ("hard.notice", "only there"): Operation.CREATE,
        ("hard.notice", "only here"): Operation.DELETE,
    }
    approval.override(changeset.pk, releases.actor, "the release is under way")
    releases.accept_all(changeset)
    done = releases.apply(releases.approve(changeset))
    assert done.state == ChangesetState.APPLIED, done.state_reason
    held = {row.slug: row for row in rows(Notice, "default").all()}
    assert {slug: row.kept for slug, row in held.items()} == {"edited": "new", "same": "same", "only there": "there"}
    for slug in ("edited", "same"):
        row = held[slug]
        assert (row.retyped, row.shortened, row.chosen, row.dropped) == (10, "x" * 50, "b", "mine")
    row = held["only there"]
    assert (row.retyped, row.shortened, row.chosen, row.dropped) == (0, "", "a", "")
    assert rows(Leaflet, "default").exists() and not rows(Poster, "default").exists()
    again = releases.pull()
    assert again.state == PullState.DONE and not Changeset.objects.filter(pull=again).exists()


def test_links_that_the_other_release_does_not_have_are_shown_where_their_row_goes(releases: Environments) -> None:
    rows(NoticeThere, "source").create(slug="stays")
    rows(Notice, "default").create(slug="stays")
    gone = rows(Notice, "default").create(slug="gone")
    gone.unlinked.add(releases.add(Room, name="room")[1])
    changeset = releases.changeset()
    [cascade] = changeset.changes.get().cascades
    assert (cascade["model"], cascade["effect"]) == ("hard.notice_unlinked", "unlink")
    approval.override(changeset.pk, releases.actor, "the release is under way")
    releases.accept_all(changeset)
    approved = releases.approve(changeset)
    gone.unlinked.add(rows(Room, "default").create(name="of here"))
    with releases.untouched():
        done = releases.apply(approved)
    assert done.state == ChangesetState.STALE
    assert "hard.notice_unlinked" in done.changes.get().outcome_reason


def test_a_renamed_row_with_links_that_the_other_release_does_not_have_is_not_replaced(releases: Environments) -> None:
    rows(NoticeThere, "source").create(slug="new", kept="long enough to know it by")
    renamed = rows(Notice, "default").create(slug="old", kept="long enough to know it by")
    renamed.unlinked.add(releases.add(Room, name="room")[1])
    changeset = releases.changeset()
    approval.override(changeset.pk, releases.actor, "the release is under way")
    assert operations(changeset) == {("hard.notice", "new"): Operation.RENAME}
    rename, options = review.Selection(numbers=(1,)), {"revision": None, "rename_choice": RenameChoice.REPLACE}
    with pytest.raises(InvalidTransition, match="refer to the row"):
        review.decide(changeset.pk, rename, Decision.ACCEPTED, releases.actor, **options)


def test_a_model_that_was_asked_for_and_is_not_there_is_refused_by_name(releases: Environments) -> None:
    fill()
    with releases.untouched():
        done = releases.pull("hard.leaflet")
    assert done.state == PullState.FAILED and "hard.leaflet" in done.error
    assert not Changeset.objects.exists()
