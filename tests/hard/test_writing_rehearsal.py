"""A rehearsal finds every error there would be, by change, and leaves nothing behind."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, connections
from django.db.models.signals import post_delete, post_save, pre_save

from data_sync.core.errors import InvalidTransition, NotPermitted
from data_sync.core.states import ChangesetState, Operation
from data_sync.models import Changeset
from data_sync.orm.write import Writer
from data_sync.services import actors
from data_sync.services.rehearsal import Rehearsal, rehearse
from tests.environments import Environments
from tests.hard.models import (
    Chapter,
    Filed,
    Late,
    Limits,
    LocalNothing,
    Node,
    OnCascade,
    Owner,
    Post,
    SavedOtherwise,
    Seat,
    Slugged,
    Stamp,
)
from tests.testapp.models import Comment, Document, Product

from .bringing import SIDES, applied, pending, rows
from .test_constraints import unchecked


def rehearsed(environments: Environments, changeset: Changeset, **options: Any) -> Rehearsal:
    before = Changeset.objects.values().get(pk=changeset.pk), list(changeset.changes.order_by("number").values())
    with environments.untouched():
        found = rehearse(changeset.pk, environments.actor, **options)
    after = Changeset.objects.values().get(pk=changeset.pk), list(changeset.changes.order_by("number").values())
    assert after == before
    return found


def numbers(changeset: Changeset) -> dict[str, int]:
    return dict(changeset.changes.values_list("key_text", "number"))


def test_every_independent_error_is_listed_by_change(environments: Environments) -> None:
    with unchecked("source"):
        for number in range(50):
            wrong = number in (3, 17, 41)
            rows(Limits, "source").create(name=f"row-{number:02}", high=5000 if wrong else 10)
        environments.add(Limits, name="changed", high=(5000, 10))
        changeset = pending(environments)
        found = rehearsed(environments, changeset)
    known = numbers(changeset)
    assert found.errors.keys() == {known[name] for name in ("row-03", "row-17", "row-41", "changed")}
    assert found.written == 47
    assert found.dependents == {}
    name, reason = "row-17", found.errors[known["row-17"]]
    assert name in reason and "refused" in reason


def test_what_needs_a_failing_change_is_listed_apart(environments: Environments) -> None:
    root = rows(Node, "source").create(slug="root", title="will be refused")
    inner = rows(Node, "source").create(slug="inner", parent=root)
    rows(Node, "source").create(slug="leaf", parent=inner)
    rows(Node, "source").create(slug="other")
    changeset = pending(environments)
    known = numbers(changeset)
    write = Writer.write

    def refuse_root(self: Writer, schema: Any, writes: Any) -> None:
        for one in writes:
            if one.after.fields.get("slug") == "root":
                one.after.fields["title"] = None
        write(self, schema, writes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Writer, "write", refuse_root)
        found = rehearsed(environments, changeset)
    assert found.errors.keys() == {known["root"]}
    assert found.dependents.keys() == {known["inner"], known["leaf"]}
    assert f"#{known['root']}" in found.dependents[known["inner"]]
    assert found.written == 1


def test_what_is_stale_by_now_is_an_error(environments: Environments) -> None:
    environments.add(Seat, name="a", place=(1, 2))
    environments.add(Seat, name="b", place=(11, 12))
    changeset = pending(environments)
    rows(Seat, "default").filter(name="a").update(place=3)
    found = rehearsed(environments, changeset)
    assert "was changed here since the pull: place" in found.errors[numbers(changeset)["a"]]
    assert found.written == 1


def test_without_accepted_changes_all_without_problems_are_tried(environments: Environments) -> None:
    for name in ("a", "b", "c"):
        environments.add(Stamp, name=name, only="source")
    changeset = pending(environments)
    known = numbers(changeset)
    assert rehearsed(environments, changeset).written == 3
    assert rehearsed(environments, changeset, numbers=[known["a"], known["b"]]).written == 2
    environments.accept(changeset, known["c"])
    assert rehearsed(environments, changeset).written == 1


def test_signals_files_and_save_are_left_out_and_it_says_so(environments: Environments) -> None:
    environments.add(Product, sku="new", name="coming", only="source")
    environments.add(Product, sku="gone", name="going", only="default")
    environments.add(Product, sku="stays", name=("new", "old"))
    Comment.objects.create(product=Product.objects.get(sku="gone"))
    rows(SavedOtherwise, "source").bulk_create([SavedOtherwise(name="s", title="quiet", shouted="as it was")])
    name = environments.put("covers/a.png", b"new", only="source")
    environments.add(Document, name="a", cover=name, only="source")
    changeset = pending(environments)
    told: list[Any] = []

    def tell(**arguments: Any) -> None:
        told.append(arguments)

    for signal in (pre_save, post_save, post_delete):
        signal.connect(tell, sender=Product)
        signal.connect(tell, sender=SavedOtherwise)
    try:
        found = rehearsed(environments, changeset)
    finally:
        for signal in (pre_save, post_save, post_delete):
            signal.disconnect(tell, sender=Product)
            signal.disconnect(tell, sender=SavedOtherwise)
    assert told == []
    assert (found.errors, found.written) == ({}, 5)
    said = " ".join(found.not_checked)
    assert "Signals" in said and "Files" in said and "save() is not called, of hard.savedotherwise" in said


@pytest.mark.skipif(not connection.features.supports_forward_references, reason="this database checks at once")
def test_what_would_only_fail_at_commit_is_found_and_attributed(environments: Environments) -> None:
    environments.add(Owner, name="owner")
    owner = rows(Owner, "source").get()
    rows(OnCascade, "source").create(name="right", owner=owner)
    rows(OnCascade, "source").create(name="dangling", owner=owner)
    changeset = pending(environments)
    write = Writer.write

    def dangle(self: Writer, schema: Any, writes: Any) -> None:
        write(self, schema, writes)
        rows(OnCascade, "default").filter(name="dangling").update(owner_id=424242)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Writer, "write", dangle)
        found = rehearsed(environments, changeset)
    assert found.errors.keys() == {numbers(changeset)["dangling"]}
    assert "owner" in found.errors[numbers(changeset)["dangling"]]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the others look at what is written only")
def test_a_row_that_dangled_before_refuses_nothing(environments: Environments) -> None:
    with connection.constraint_checks_disabled():
        rows(LocalNothing, "default").create(owner_id=424242)
    environments.add(Owner, name="new", only="source")
    environments.add(Owner, name="gone", only="default")
    changeset = pending(environments)
    found = rehearsed(environments, changeset)
    assert (found.errors, found.refusals, found.written) == ({}, [], 2)
    applied(environments, changeset)


def test_writes_that_would_land_out_of_scope_and_values_that_come_back_otherwise_are_found(
    environments: Environments,
) -> None:
    environments.add(Post, slug="a", text=("new", "old"))
    environments.add(Stamp, name="b", text=("new", "old"))
    changeset = pending(environments)
    write = Writer.write

    def interfere(self: Writer, schema: Any, writes: Any) -> None:
        write(self, schema, writes)
        rows(Post, "default").filter(slug="a").update(live=False)
        rows(Stamp, "default").filter(name="b").update(text="rounded")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Writer, "write", interfere)
        found = rehearsed(environments, changeset)
    known = numbers(changeset)
    assert "another value" in found.errors[known["a"]] or "queryset" in found.errors[known["a"]]
    assert "another value than was written for text" in found.errors[known["b"]]


def test_one_is_not_true_to_a_rehearsal_of_rows_with_files(environments: Environments) -> None:
    """Else it would be clean, and the apply refused."""
    for name, tally in (("a", 0), ("b", 1)):
        for alias in SIDES:
            rows(Filed, alias).create(name=name, paper=f"paper-{name}", tally=tally)
    with connections["source"].cursor() as cursor:
        cursor.execute("UPDATE hard_filed SET tally = 'true'")
    environments.put("paper-b", b"b", only="source")
    changeset = pending(environments)
    found = rehearsed(environments, changeset)
    known = numbers(changeset)
    assert found.errors.keys() == set(known.values())
    assert "another value than was written for tally; " in found.errors[known["b"]]


def test_exchanges_deletes_and_trees_are_rehearsed_as_they_are_applied(environments: Environments) -> None:
    environments.add(Seat, name="a", place=(1, 2))
    environments.add(Seat, name="b", place=(2, 1))
    environments.add(Seat, name="gone", place=3, only="default")
    environments.add(Seat, name="new", place=3, badge="x", only="source")
    rows(Chapter, "default").bulk_create([Chapter(pk=60, path="stays", parent_id=60)])
    rows(Chapter, "source").bulk_create([Chapter(pk=61, path="stays", parent_id=61)])
    parent = None
    for number in range(5):
        parent = rows(Chapter, "default").create(path=f"{number}", parent=parent, pk=None) if parent else None
        if parent is None:
            parent = Chapter(path=f"{number}", pk=70 + number)
            parent.parent = parent
            parent.save(force_insert=True)
    changeset = pending(environments)
    found = rehearsed(environments, changeset)
    assert (found.errors, found.dependents) == ({}, {})
    assert found.written == changeset.changes.count()
    environments.accept_all(changeset)
    assert environments.apply(environments.approve(changeset)).state == ChangesetState.APPLIED


def test_it_needs_the_permission_to_approve_and_an_open_changeset(environments: Environments) -> None:
    environments.add(Stamp, name="a", only="source")
    changeset = pending(environments)
    nobody = actors.of_user(get_user_model().objects.create(username="ada"))
    with pytest.raises(NotPermitted, match="approve_changeset"):
        rehearse(changeset.pk, nobody)
    environments.accept_all(changeset)
    environments.apply(environments.approve(changeset))
    with pytest.raises(InvalidTransition, match="is applied and cannot be rehearsed"):
        rehearse(changeset.pk, environments.actor)


@pytest.mark.parametrize("state", ["approved", "failed"])
def test_an_approved_or_failed_changeset_stays_so(environments: Environments, state: str) -> None:
    environments.add(Stamp, name="a", text="coming", only="source")
    environments.add(Stamp, name="gone", text="going", only="default")
    environments.add(Stamp, name="stays")
    changeset = environments.approved()
    Changeset.objects.filter(pk=changeset.pk).update(state=state)
    assert rehearsed(environments, changeset).written == 2
    assert changeset.changes.filter(operation=Operation.DELETE).exists()


def test_what_an_apply_fills_in_does_not_stand_in_the_way(environments: Environments) -> None:
    """`save()` is not called, and files have no names yet: columns that are unique are left to neither."""
    for name in ("A", "B", "C"):
        rows(Slugged, "source").create(name=name)
        environments.put(f"paper-{name}", name.encode(), only="source")
        rows(Filed, "source").create(name=name, paper=f"paper-{name}")
    changeset = pending(environments)
    found = rehearsed(environments, changeset)
    assert (found.written, found.errors) == (6, {})
    environments.accept_all(changeset)
    assert environments.apply(environments.approve(changeset)).state == ChangesetState.APPLIED


@pytest.mark.skipif(connection.vendor != "postgresql", reason="the others look at constraints at once")
def test_every_row_that_a_late_constraint_would_refuse_is_named(environments: Environments) -> None:
    for number in range(5):
        environments.add(Late, name=f"row {number}", row=(1, 2), place=number)
    environments.add(Late, name="fine", row=(3, 4), place=9)
    changeset = pending(environments)
    for number in range(3):
        rows(Late, "default").create(name=f"in the way {number}", row=1, place=number)
    found = rehearsed(environments, changeset)
    known = numbers(changeset)
    assert found.errors.keys() == {known[f"row {number}"] for number in range(3)}
    assert "more than one row would have row 1, place 2 in hard_late" in found.errors[known["row 2"]]
    assert (found.written, found.refusals) == (3, [])


@pytest.mark.skipif(connection.vendor == "mysql", reason="MariaDB looks at constraints at once")
def test_a_refusal_that_is_nobodys_fault_is_one_of_everything(
    environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments.add(Stamp, name="a", only="source")
    changeset = pending(environments)
    monkeypatch.setattr("data_sync.services.rehearsal.broken_at_the_end", lambda *_: [(None, "Too late.")])
    found = rehearsed(environments, changeset)
    assert (found.written, found.errors, found.is_clean) == (0, {}, False)
    assert found.refusals == ["When it commits, the database would refuse it all: Too late."]
