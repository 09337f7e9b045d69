"""Rows that a manager hides are synced; rows that a `queryset` leaves out are not, and may come and go."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.db.models import Model

from data_sync.core.errors import RegistrationError
from data_sync.core.states import ChangesetState, Operation
from data_sync.orm.resolution import schema_of
from data_sync.orm.rows import RowReader
from data_sync.orm.schema import ModelSchema
from data_sync.services import sources
from data_sync.services.rehearsal import rehearse
from tests.direct import Direct
from tests.environments import Environments
from tests.registering import registered

from .bringing import SIDES, applied, bring, operations, pending, problems, rows, words
from .models import Article, Banner, Issue, Memo, Nation, Node, Owner, Permit, Post, Reply


def test_a_row_that_the_manager_hides_here_is_updated_and_not_made_twice(environments: Environments) -> None:
    rows(Memo, "source").create(slug="m", text="new")
    rows(Memo, "default").create(slug="m", text="old", hidden=True)
    changeset = bring(environments)
    assert operations(changeset) == {("hard.memo", "m"): Operation.UPDATE}
    assert Memo.objects.get().text == "new"


def test_a_row_that_the_manager_hides_at_the_source_is_not_deleted(environments: Environments) -> None:
    for alias in SIDES:
        rows(Memo, alias).create(slug="m", text="same")
    rows(Memo, "source").update(hidden=True)
    bring(environments)
    assert rows(Memo, "default").get().hidden


def test_hidden_rows_come_and_go(environments: Environments) -> None:
    rows(Memo, "source").create(slug="new", hidden=True)
    rows(Memo, "source").create(slug="same")
    rows(Memo, "default").create(slug="same")
    rows(Memo, "default").create(slug="old", text="differs", hidden=True)
    changeset = bring(environments)
    assert operations(changeset) == {("hard.memo", "new"): Operation.CREATE, ("hard.memo", "old"): Operation.DELETE}


def test_a_row_that_leaves_the_scope_at_the_source_is_a_delete_that_says_so(environments: Environments) -> None:
    for alias in SIDES:
        for slug in ("stays", "leaves", "gone"):
            rows(Reply, alias).create(slug=f"to {slug}", post=rows(Post, alias).create(slug=slug))
    rows(Reply, "source").exclude(slug="to stays").delete()
    rows(Post, "source").filter(slug="leaves").update(live=False)
    rows(Post, "source").get(slug="gone").delete()
    changeset = bring(environments)
    left = dict(changeset.changes.filter(model="hard.post").values_list("key_text", "left_scope"))
    assert left == {"leaves": True, "gone": False}
    assert set(rows(Post, "default").values_list("slug", flat=True)) == {"stays"}


def two_of_three_leave() -> None:
    for alias in SIDES:
        for slug in ("stays", "leaves", "gone"):
            rows(Post, alias).create(slug=slug)
    rows(Post, "source").filter(slug="leaves").update(live=False)
    rows(Post, "source").get(slug="gone").delete()


LEFT = {"leaves": True, "gone": False}


def test_a_scope_that_only_the_source_has_is_left_too(environments: Environments) -> None:
    two_of_three_leave()
    with registered(Post, queryset=None):
        changeset = environments.changeset()
    assert dict(changeset.changes.values_list("key_text", "left_scope")) == LEFT


def test_a_source_that_does_not_say_whether_it_has_a_scope_is_asked(
    environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_of_three_leave()
    older = Direct()
    told = older.manifest()
    silent = {label: replace(model, scoped=None) for label, model in told.models.items()}
    monkeypatch.setattr(older, "manifest", lambda: replace(told, models=silent))
    monkeypatch.setattr(sources, "open_source", lambda _: older)
    assert dict(environments.changeset().changes.values_list("key_text", "left_scope")) == LEFT


def test_a_row_that_enters_the_scope_is_a_create(environments: Environments) -> None:
    rows(Post, "source").create(slug="enters")
    changeset = bring(environments)
    assert operations(changeset) == {("hard.post", "enters"): Operation.CREATE}


def test_a_create_of_a_row_that_is_here_out_of_scope_is_refused_before_approval(environments: Environments) -> None:
    rows(Post, "source").create(slug="enters", text="new")
    rows(Post, "default").create(slug="enters", text="mine", live=False)
    changeset = pending(environments)
    assert "hidden_row" in problems(changeset)["hard.post", "enters"]
    rows(Post, "default").get().delete()
    bring(environments)


def test_rows_out_of_scope_stay_as_they_are(environments: Environments) -> None:
    rows(Permit, "source").create(name="in", number=1)
    rows(Permit, "source").create(name="out there", number=2, live=False)
    mine = rows(Permit, "default").create(name="out here", number=3, live=False)
    bring(environments)
    held = set(rows(Permit, "default").values_list("pk", "name", "number", "live"))
    assert len(held) == 2 and (mine.pk, "out here", 3, False) in held


def test_who_has_a_value_is_named_by_primary_key_where_it_has_no_natural_key(environments: Environments) -> None:
    rows(Nation, "source").create(code="FR")
    rows(Article, "source").create(nation_id="FR", name="new", slug="x")
    draft = rows(Article, "default").create(name="draft", slug="x")
    changeset = pending(environments)
    assert problems(changeset) == {("hard.article", "FR · new"): ["unique_collision"]}
    assert f"hard.article {draft.pk} here" in words(changeset, "unique_collision")


def test_a_row_without_natural_key_goes_with_its_links(environments: Environments) -> None:
    author = rows(Owner, "default").create(name="ann")
    draft = rows(Article, "default").create(name="draft", slug="x", author=author)
    rows(Issue, "default").create(name="plan", live=False).articles.add(draft)
    changeset = pending(environments)
    assert [cascade["effect"] for cascade in changeset.changes.get().cascades] == ["delete", "unlink"]
    applied(environments, changeset)
    assert not rows(Article, "default").exists()


def test_a_row_that_left_the_scope_here_since_the_pull_makes_the_apply_stale(environments: Environments) -> None:
    for alias in SIDES:
        rows(Post, alias).create(slug="p", text=alias)
    changeset = environments.approved()
    rows(Post, "default").update(live=False)
    with environments.untouched():
        done = environments.apply(changeset)
    assert done.state == "stale" and "p" in done.state_reason, done.state_reason


def test_a_create_that_would_land_out_of_scope_is_refused_by_name(environments: Environments) -> None:
    """The pull cannot tell, a rehearsal before approval can, and the apply does in any case."""
    rows(Banner, "source").create(name="b", text="new", visible=True)
    changeset = pending(environments)
    assert not problems(changeset)
    (change,) = changeset.changes.all()
    with environments.untouched():
        tried = rehearse(changeset.pk, environments.actor)
        assert set(tried.errors) == {change.number}
        environments.accept_all(changeset)
        done = environments.apply(environments.approve(changeset))
    assert done.state == ChangesetState.FAILED
    assert 'hard.banner ["b"]' in done.state_reason, done.state_reason


def test_an_update_in_scope_leaves_what_decides_about_it_alone(environments: Environments) -> None:
    environments.add(Banner, name="b", text=("new", "old"), visible=True)
    bring(environments)
    assert rows(Banner, "default").get().visible


def test_a_reference_to_a_row_that_is_out_of_scope_at_the_source(environments: Environments) -> None:
    """The reply travels; what it replies to does not, but is here."""
    for alias in SIDES:
        rows(Post, alias).create(slug="p", live=False)
    rows(Reply, "source").create(slug="r", post=rows(Post, "source").get())
    changeset = pending(environments)
    applied(environments, changeset)
    assert rows(Reply, "default").get().post == rows(Post, "default").get()


@pytest.mark.django_db
def test_a_scope_that_joins_rows_of_others_has_each_row_once() -> None:
    parent = Node.objects.create(slug="parent")
    for slug in ("a", "b"):
        Node.objects.create(slug=slug, parent=parent)
    scoped = scope_of(Node, lambda rows: rows.filter(children__isnull=False))
    assert [row.slug for row in scoped.rows("default")] == ["parent"]
    assert [len(chunk) for chunk in RowReader(scoped, "default").digests()] == [1]


@pytest.mark.parametrize(
    "queryset", [lambda rows: rows[:2], lambda rows: rows.filter(slug="a").union(rows.filter(slug="b"))]
)
def test_a_scope_that_cannot_be_read_in_parts_is_refused_by_name(queryset: Any) -> None:
    with pytest.raises(RegistrationError, match=r"The queryset of hard\.node is sliced or combined"):
        scope_of(Node, queryset).rows("default")


def scope_of(model: type[Model], queryset: Any) -> ModelSchema:
    schema = schema_of(model)
    assert schema is not None
    return replace(schema, registration=replace(schema.registration, queryset=queryset))
