"""A row that has moved away here since both sides last agreed is a conflict, told with who and when if known."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from data_sync.models import Baseline, Change, Changeset, DataPull, DataSource
from data_sync.services.conflicts import Conflicts
from tests.environments import Environments
from tests.testapp.models import Article, Tag

NOBODY = {"by": "", "at": ""}


def rows(model: Any, count: int, environments: Environments, **values: Any) -> None:
    for number in range(count):
        environments.add(model, slug=f"{number:02}", **values)


def changes(environments: Environments, *labels: str) -> dict[str, Change]:
    """The changes of a pull, by key."""
    changeset = environments.changeset(*(labels or ("testapp.article",)))
    return {change.key_text: change for change in changeset.changes.all()}


def here(slug: str, **values: Any) -> None:
    Article.objects.filter(slug=slug).update(**values)


def there(slug: str, **values: Any) -> None:
    Article.objects.using("source").filter(slug=slug).update(**values)


def log(slug: str, flag: int, who: str = "ada", pk: Any = None, message: str = "") -> LogEntry:
    """What the admin writes into its log when somebody edits a row."""
    user, _ = get_user_model().objects.get_or_create(username=who)
    return LogEntry.objects.create(
        user=user,
        content_type=ContentType.objects.get_for_model(Article),
        object_id=str(pk or Article.objects.get(slug=slug).pk),
        object_repr=slug,
        action_flag=flag,
        change_message=message,
    )


@pytest.fixture
def agreed(environments: Environments) -> Environments:
    """Three articles that are the same on both sides, and known to be: a pull has found them so."""
    for slug in ("AT", "CH", "DE"):
        environments.add(Article, slug=slug, title="as agreed")
    environments.pull("testapp.article")
    return environments


def test_a_row_that_nobody_ever_agreed_on_has_an_unknown_base_and_is_no_conflict(environments: Environments) -> None:
    environments.add(Article, slug="AT", title=("there", "here"))
    environments.add(Article, slug="CH", only="source")
    environments.add(Article, slug="DE", only="default")
    for change in changes(environments).values():
        assert (change.base_digest, change.base, change.conflict, change.is_conflict) == ("", None, {}, False)


def test_what_only_the_source_has_changed_is_no_conflict(agreed: Environments) -> None:
    there("AT", title="new")
    Article.objects.using("source").filter(slug="CH").delete()
    agreed.add(Article, slug="FR", title="another", only="source")
    found = changes(agreed)
    assert {code: change.operation for code, change in found.items()} == {
        "AT": "update",
        "CH": "delete",
        "FR": "create",
    }
    assert not any(change.is_conflict for change in found.values())
    for slug in ("AT", "CH"):
        assert found[slug].base_digest == found[slug].before_digest.removeprefix("sha256:")[:32]
    assert found["FR"].base_digest == ""


@pytest.mark.parametrize("name", ["as agreed", "changed there too"])
def test_a_row_that_was_changed_here_is_a_conflict_whether_or_not_the_source_changed_it(
    agreed: Environments, name: str
) -> None:
    before = Baseline.objects.get().entries
    here("AT", title="changed here")
    there("AT", title=name)
    change = changes(agreed)["AT"]
    assert (change.is_conflict, change.conflict) == (True, {"kind": "changed", **NOBODY})
    assert change.base_digest in bytes(before).hex()
    again = changes(agreed)["AT"]  # What was agreed on stays so until both sides agree anew.
    assert again.conflict == change.conflict


def test_a_row_that_was_changed_here_and_deleted_at_the_source_is_a_conflict(agreed: Environments) -> None:
    here("AT", title="changed here")
    Article.objects.using("source").filter(slug="AT").delete()
    change = changes(agreed)["AT"]
    assert (change.operation, change.conflict["kind"]) == ("delete", "changed")


def test_a_row_that_was_deleted_here_is_a_conflict(agreed: Environments) -> None:
    Article.objects.filter(slug="AT").delete()
    change = changes(agreed)["AT"]
    assert (change.operation, change.conflict) == ("create", {"kind": "removed", **NOBODY})
    assert change.base_digest == change.after_digest.removeprefix("sha256:")[:32]


def test_both_sides_making_the_same_change_agree(agreed: Environments) -> None:
    here("AT", title="the same")
    there("AT", title="the same")
    agreed.pull("testapp.article")
    there("AT", title="newer")
    assert not changes(agreed)["AT"].is_conflict


def test_a_row_that_came_back_to_what_was_agreed_on_is_none(agreed: Environments) -> None:
    here("AT", title="changed here")
    assert changes(agreed)["AT"].is_conflict
    here("AT", title="as agreed")
    there("AT", title="new")
    assert not changes(agreed)["AT"].is_conflict


def test_what_an_apply_wrote_is_agreed_on(agreed: Environments) -> None:
    there("AT", title="applied")
    Article.objects.using("source").filter(slug="CH").delete()
    agreed.sync("testapp.article")
    here("AT", title="changed here")
    there("AT", title="newer")
    agreed.add(Article, slug="CH", only="source")
    found = changes(agreed)
    assert found["AT"].conflict["kind"] == "changed"
    assert found["AT"].base == {"slug": "AT", "title": "applied", "deleted": False}
    assert not found["CH"].is_conflict


# What was agreed on


def test_the_agreed_record_is_shown_where_a_stored_change_still_has_it(agreed: Environments) -> None:
    there("AT", title="offered")
    there("CH", title="offered")
    changes(agreed)  # Shows what was agreed on, as the side that is here.
    here("AT", title="changed here")
    Article.objects.filter(slug="CH").delete()
    here("DE", title="changed here")
    there("DE", title="changed there")  # Nobody has seen this one as it was.
    found = changes(agreed)
    assert found["AT"].base == {"slug": "AT", "title": "as agreed", "deleted": False}
    assert found["CH"].base == {"slug": "CH", "title": "as agreed", "deleted": False}
    assert found["DE"].is_conflict and found["DE"].base is None


def test_where_only_this_side_has_moved_what_comes_in_is_what_was_agreed_on(agreed: Environments) -> None:
    here("AT", title="edited here")
    conflict = changes(agreed)["AT"]
    assert (conflict.base, conflict.base["title"]) == (conflict.after, "as agreed")


# Who and when


def test_who_changed_it_is_whom_the_admin_log_names_last(agreed: Environments) -> None:
    here("AT", title="changed here")
    log("AT", ADDITION, "bob")
    entry = log("AT", CHANGE, "ada", message='[{"changed": {"fields": ["Name"]}}]')
    log("CH", CHANGE, "eve")
    conflict = changes(agreed)["AT"].conflict
    assert conflict == {"kind": "changed", "by": "ada", "at": entry.action_time.isoformat()}


@pytest.mark.parametrize("of_this_source", [True, False])
def test_our_own_entry_says_who_moved_away_only_where_it_came_from_another_source(
    agreed: Environments, of_this_source: bool
) -> None:
    log("AT", CHANGE, "bob", message="[]")
    other = DataSource.objects.create(name="Other", url="https://other.example.org")
    source = agreed.source if of_this_source else other
    applied = Changeset.objects.create(source=source, source_name="Staging", state="applied")
    entry = log("AT", CHANGE, "ada", message=f"Changeset {applied.pk} from Staging: title")
    here("AT", title="changed here")
    who = NOBODY if of_this_source else {"by": "ada", "at": entry.action_time.isoformat()}
    assert changes(agreed)["AT"].conflict == {"kind": "changed", **who}


def test_who_edited_it_before_it_was_agreed_on_did_not_move_it_away(environments: Environments) -> None:
    environments.add(Article, slug="AT", title=("there", "here"))
    environments.pull("testapp.article")
    log("AT", CHANGE)
    there("AT", title="here")
    environments.pull("testapp.article")
    here("AT", title="changed here")
    assert changes(environments)["AT"].conflict == {"kind": "changed", **NOBODY}


def test_who_edited_it_before_an_apply_wrote_it_did_not_move_it_away(agreed: Environments) -> None:
    there("AT", title="applied")
    there("CH", title="offered")
    changeset = agreed.changeset("testapp.article")
    (number,) = changeset.changes.filter(key_text="AT").values_list("number", flat=True)
    agreed.accept(changeset, number)
    agreed.approve(changeset)
    log("AT", CHANGE)
    entry = log("CH", CHANGE)
    assert agreed.apply(changeset).state == "applied"
    here("AT", title="changed here")
    here("CH", title="changed here")
    found = changes(agreed)
    assert found["AT"].conflict == {"kind": "changed", **NOBODY}
    # The apply did not write this one.
    assert found["CH"].conflict == {"kind": "changed", "by": "ada", "at": entry.action_time.isoformat()}


@pytest.mark.parametrize("looked_back", [20, 2])
def test_who_changed_it_is_still_known_when_it_is_proposed_again(
    agreed: Environments, monkeypatch: pytest.MonkeyPatch, looked_back: int
) -> None:
    """A pull that finds it changed does not agree on it; those of other models and of other sources say nothing."""
    here("AT", title="changed here")
    entry = log("AT", CHANGE)
    known = {"kind": "changed", "by": "ada", "at": entry.action_time.isoformat()}
    assert changes(agreed)["AT"].conflict == known
    agreed.pull("testapp.tag")
    DataPull.objects.create(source_name="Other", state="done", finished_at=timezone.now(), report={"models": []})
    assert changes(agreed)["AT"].conflict == known
    # Where no pull agreed among the latest, it is known only that an older one did.
    monkeypatch.setattr("data_sync.services.conflicts.LOOKED_BACK", looked_back)
    who = known if looked_back == 20 else {"kind": "changed", **NOBODY}
    assert changes(agreed)["AT"].conflict == who


def test_who_deleted_it_is_known_where_a_change_has_told_its_primary_key(agreed: Environments) -> None:
    there("AT", title="offered")
    there("CH", title="offered")
    changes(agreed)
    gone = {slug: Article.objects.get(slug=slug).pk for slug in ("AT", "CH", "DE")}
    Article.objects.filter(slug__in=gone).delete()
    entry = log("AT", DELETION, "ada", pk=gone["AT"])
    log("CH", CHANGE, "eve", pk=gone["CH"])
    log("DE", DELETION, "eve", pk=gone["DE"])
    found = changes(agreed)
    assert found["AT"].conflict == {"kind": "removed", "by": "ada", "at": entry.action_time.isoformat()}
    # The last that was said of it is not that it was deleted; and of what primary key it had, nothing.
    assert found["CH"].conflict == found["DE"].conflict == {"kind": "removed", **NOBODY}


def test_the_log_of_another_model_names_nobody(agreed: Environments) -> None:
    here("AT", title="changed here")
    entry = log("AT", CHANGE)
    LogEntry.objects.filter(pk=entry.pk).update(content_type=ContentType.objects.get_for_model(Tag))
    assert changes(agreed)["AT"].conflict["by"] == ""


def test_nothing_is_asked_of_an_admin_that_is_not_installed(agreed: Environments, settings: Any) -> None:
    here("AT", title="changed here")
    log("AT", CHANGE)
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "django.contrib.admin"]
    assert changes(agreed)["AT"].conflict == {"kind": "changed", **NOBODY}


# Cost


def test_queries_grow_with_models_and_batches_not_with_conflicts(
    environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows(Article, 30, environments, title="as agreed")
    environments.pull("testapp.article")
    asked: list[tuple[int, int]] = []
    init = Conflicts.__init__

    def counted(self: Conflicts, *arguments: Any) -> None:
        with CaptureQueriesContext(connection) as captured:
            init(self, *arguments)
        asked.append((len(arguments[0]), len(captured)))

    monkeypatch.setattr(Conflicts, "__init__", counted)
    for edited in (Article.objects.filter(slug="00"), Article.objects.all()):
        ContentType.objects.clear_cache()
        edited.update(title="changed here")
        edited.filter(slug__gt="20").delete()
        changes(environments)
    (few, queries), (many, same) = asked
    assert (few, many) == (1, 30)
    assert same <= queries + 3  # Those that look for rows which are gone.


def test_without_conflicts_nothing_is_asked(agreed: Environments, monkeypatch: pytest.MonkeyPatch) -> None:
    there("AT", title="new")
    init = Conflicts.__init__

    def counted(self: Conflicts, *arguments: Any) -> None:
        with CaptureQueriesContext(connection) as captured:
            init(self, *arguments)
        assert len(captured) == 0

    monkeypatch.setattr(Conflicts, "__init__", counted)
    assert changes(agreed)
