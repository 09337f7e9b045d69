"""Moments that Django fills in, `save()` of a project's own, and signals."""

from __future__ import annotations

import datetime
from typing import Any

from django.db.models.signals import post_save, pre_save
from django.utils import timezone

from data_sync.core.states import ChangesetState, Operation, PullState
from data_sync.models import Changeset
from tests.environments import Environments

from .bringing import SIDES, bring, operations, pending, problems, rows
from .models import Booth, Parcel, SavedByModel, SavedOtherwise, SavedRaw, Stamp, StampedBySave

EARLY, LATE = (datetime.datetime(year, 5, 6, 7, 8, 9, 123456, tzinfo=datetime.UTC) for year in (2001, 2020))


def stamped(alias: str, name: str, moment: datetime.datetime, text: str = "") -> None:
    row = rows(Stamp, alias).create(name=name, text=text)
    rows(Stamp, alias).filter(pk=row.pk).update(created=moment, changed=moment)


def test_moments_that_django_fills_in_make_no_change_of_their_own(environments: Environments) -> None:
    stamped("source", "s", EARLY)
    stamped("default", "s", LATE)
    assert environments.pull().state == PullState.DONE
    assert not Changeset.objects.exists()


def test_moments_that_django_fills_in_travel_with_a_row_that_changes(environments: Environments) -> None:
    stamped("source", "edited", EARLY, "new")
    stamped("default", "edited", LATE, "old")
    stamped("source", "new", EARLY)
    bring(environments)
    held = set(rows(Stamp, "default").values_list("name", "created", "changed"))
    assert held == {("edited", EARLY, EARLY), ("new", EARLY, EARLY)}


def test_moments_that_save_fills_in_become_those_of_the_apply(environments: Environments) -> None:
    environments.add(StampedBySave, name="edited", text=("new", "old"))
    rows(StampedBySave, "source").create(name="new")
    for alias, moment in (("source", EARLY), ("default", LATE)):
        rows(StampedBySave, alias).update(created=moment, changed=moment)
    began = timezone.now()
    bring(environments)
    edited, new = (rows(StampedBySave, "default").get(name=name) for name in ("edited", "new"))
    assert edited.changed >= began and new.changed >= began and new.created >= began
    assert edited.created == EARLY, "only a new row gets this one from save()"


def test_defaults_that_the_database_has_are_those_of_new_rows_here(environments: Environments) -> None:
    rows(Parcel, "source").create(name="new", weight=3, note="theirs")
    environments.add(Parcel, name="edited", weight=(5, 6), note=("theirs", "mine"))
    rows(Parcel, "source").create(name="as the database has it")
    bring(environments)
    assert set(rows(Parcel, "default").values_list("name", "weight", "note")) == {
        ("new", 3, "from the database"),
        ("edited", 5, "mine"),
        ("as the database has it", 7, "from the database"),
    }


def test_a_local_save_that_only_moves_a_moment_makes_nothing_stale(environments: Environments) -> None:
    stamped("source", "s", EARLY, "new")
    stamped("default", "s", EARLY, "old")
    changeset = environments.approved()
    rows(Stamp, "default").update(changed=LATE)
    assert environments.apply(changeset).state == ChangesetState.APPLIED
    environments.assert_equal()


def loud(model: Any) -> None:
    """Rows whose `shouted` is not what `save()` would make of their title."""
    for alias in SIDES:
        rows(model, alias).create(name="edited", title=f"of {alias}")
    rows(model, "source").create(name="new", title="new")
    rows(model, "source").update(shouted="exact")


def test_rows_are_written_past_save_as_they_are(environments: Environments) -> None:
    loud(SavedRaw)
    bring(environments)
    assert set(rows(SavedRaw, "default").values_list("name", "title", "shouted")) == {
        ("edited", "of source", "exact"),
        ("new", "new", "exact"),
    }


def test_rows_are_written_by_save_which_fills_in_what_is_not_synced(environments: Environments) -> None:
    loud(SavedByModel)
    bring(environments)
    assert set(rows(SavedByModel, "default").values_list("name", "title", "shouted")) == {
        ("edited", "of source", "OF SOURCE"),
        ("new", "new", "NEW"),
    }


def test_a_save_that_alters_what_is_synced_ends_the_apply_by_name(environments: Environments) -> None:
    loud(SavedOtherwise)
    changeset = pending(environments)
    assert not problems(changeset)
    environments.accept_all(changeset)
    with environments.untouched():
        done = environments.apply(environments.approve(changeset))
    assert done.state == ChangesetState.FAILED
    assert "hard.savedotherwise" in done.state_reason and "shouted" in done.state_reason


def test_a_save_that_leaves_what_is_synced_alone_is_all_right(environments: Environments) -> None:
    rows(SavedOtherwise, "source").create(name="new", title="new")
    bring(environments)
    assert rows(SavedOtherwise, "default").get().shouted == "NEW"


def heard(model: Any, environments: Environments) -> list[tuple[str, str, Any, bool]]:
    """What receivers are told while a changeset is applied."""
    told: list[tuple[str, str, Any, bool]] = []

    def before(instance: Any, raw: bool, **more: Any) -> None:
        told.append(("pre", instance.name, None, raw))

    def after(instance: Any, raw: bool, created: bool, **more: Any) -> None:
        told.append(("post", instance.name, created, raw))

    pre_save.connect(before, sender=model)
    post_save.connect(after, sender=model)
    try:
        bring(environments)
    finally:
        pre_save.disconnect(before, sender=model)
        post_save.disconnect(after, sender=model)
    return sorted(told, key=repr)


def test_receivers_are_told_of_raw_writes(environments: Environments) -> None:
    loud(SavedRaw)
    assert heard(SavedRaw, environments) == [
        ("post", "edited", False, True),
        ("post", "new", True, True),
        ("pre", "edited", None, True),
        ("pre", "new", None, True),
    ]


def test_receivers_are_told_of_writes_by_save(environments: Environments) -> None:
    loud(SavedByModel)
    assert heard(SavedByModel, environments) == [
        ("post", "edited", False, False),
        ("post", "new", True, False),
        ("pre", "edited", None, False),
        ("pre", "new", None, False),
    ]


def test_a_receiver_that_alters_what_is_synced_ends_the_apply_by_name(environments: Environments) -> None:
    rows(SavedRaw, "source").create(name="new", title="new")
    changeset = environments.approved()

    def meddle(instance: Any, **more: Any) -> None:
        rows(SavedRaw, "default").filter(pk=instance.pk).update(title="mine")

    post_save.connect(meddle, sender=SavedRaw)
    try:
        with environments.untouched():
            done = environments.apply(changeset)
    finally:
        post_save.disconnect(meddle, sender=SavedRaw)
    assert done.state == ChangesetState.FAILED
    assert "title" in done.state_reason and "new" in done.state_reason
    assert operations(changeset) == {("hard.savedraw", "new"): Operation.CREATE}


def test_save_of_a_new_row_leaves_a_row_alone_that_took_its_primary_key_since(environments: Environments) -> None:
    rows(Booth, "source").create(code="x", name="new")
    changeset = environments.approved()
    rows(Booth, "default").create(code="x", name="local")
    with environments.untouched():
        done = environments.apply(changeset)
    assert done.state == ChangesetState.FAILED
    assert "hard.booth" in done.state_reason and "new" in done.state_reason


class Elsewhere:
    """A router that would send booths to another database."""

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "source" if model is Booth else None


def test_save_writes_to_the_database_of_the_apply_whatever_a_router_says(
    environments: Environments, settings: Any
) -> None:
    rows(Booth, "source").create(code="x", name="new")
    changeset = environments.approved()
    rows(Booth, "source").all().delete()
    settings.DATABASE_ROUTERS = [Elsewhere()]
    assert environments.apply(changeset).state == ChangesetState.APPLIED
    assert rows(Booth, "default").get().name == "new" and not rows(Booth, "source").exists()
