"""A row whose key alone is new keeps its primary key, and what refers to it; a reviewer may have it replaced."""

from __future__ import annotations

from data_sync.core.states import ChangesetState, Operation
from tests.environments import Environments

from .bringing import SIDES, applied, bring, operations, pending, rows
from .models import Lesson, LocalProtect, LocalSetNull, Locker, Node, Owner, Pizzeria, Place, Recipe, Room, Word


def test_a_renamed_row_keeps_its_primary_key_and_what_refers_to_it(environments: Environments) -> None:
    for alias, name in (("source", "new name"), ("default", "old name")):
        rows(Owner, alias).create(name=name)
    kept = rows(Owner, "default").get().pk
    held = [rows(model, "default").create(owner_id=kept).pk for model in (LocalProtect, LocalSetNull)]
    changeset = bring(environments)
    assert list(operations(changeset).values()) == [Operation.RENAME]
    assert rows(Owner, "default").get().pk == kept
    assert [rows(LocalProtect, "default").get().pk, rows(LocalSetNull, "default").get().pk] == held
    assert rows(LocalSetNull, "default").get().owner_id == kept


def rooms(alias: str, name: str) -> None:
    room = rows(Room, alias).create(name=name)
    rows(Lesson, alias).create(code="maths", room=room, hour=9)
    for number in (1, 2, 3):
        rows(Locker, alias).create(room=room, number=number)


def test_children_of_a_renamed_parent_are_no_changes(environments: Environments) -> None:
    rooms("source", "green room")
    rooms("default", "red room")
    kept = list(rows(Locker, "default").order_by("pk").values_list("pk", "number"))
    changeset = bring(environments)
    assert list(operations(changeset).values()) == [Operation.RENAME]
    assert list(rows(Locker, "default").order_by("pk").values_list("pk", "number")) == kept


def test_children_that_change_as_well_are_updates_that_need_the_rename(environments: Environments) -> None:
    rooms("source", "green room")
    rooms("default", "red room")
    rows(Locker, "source").filter(number=2).update(colour="blue")
    rows(Locker, "source").get(number=3).delete()
    rows(Locker, "source").create(room=rows(Room, "source").get(), number=4, colour="new")
    kept = rows(Locker, "default").get(number=2).pk
    changeset = pending(environments)
    rename = changeset.changes.get(operation=Operation.RENAME.value, model="hard.room")
    (update,) = changeset.changes.filter(model="hard.locker", operation=Operation.UPDATE.value)
    assert rename.number in update.requires
    bring(environments)
    assert rows(Locker, "default").get(number=2).pk == kept


def test_a_tree_s_inner_row_is_renamed(environments: Environments) -> None:
    for alias, name in (("source", "new"), ("default", "old")):
        root = rows(Node, alias).create(slug="root")
        inner = rows(Node, alias).create(slug=name, parent=root, title="inner")
        for number in range(3):
            rows(Node, alias).create(slug=f"leaf{number}", parent=inner)
    changeset = bring(environments)
    assert operations(changeset) == {("hard.node", "new"): Operation.RENAME}


def test_two_rows_that_could_be_the_renamed_one_are_not_guessed_at(environments: Environments) -> None:
    for alias, names in (("source", ["c"]), ("default", ["a", "b"])):
        for name in names:
            rows(Recipe, alias).create(name=name)
    bring(environments)
    assert rows(Recipe, "default").get().name == "c"


def test_two_rows_exchange_their_names(environments: Environments) -> None:
    """Each key is on both sides, so these are updates: nothing tells a rename from an edit."""
    for alias, meanings in (("source", ["x", "y"]), ("default", ["y", "x"])):
        for text, meaning in zip("ab", meanings, strict=True):
            rows(Word, alias).create(text=text, meaning=meaning)
    changeset = bring(environments)
    assert set(operations(changeset).values()) == {Operation.UPDATE}


def test_a_renamed_parent_of_two_levels(environments: Environments) -> None:
    for alias, slug in (("source", "rome"), ("default", "roma")):
        rows(Pizzeria, alias).create(slug=slug, name="R", stars=1, oven="wood")
    kept = rows(Place, "default").get().pk
    changeset = bring(environments)
    assert operations(changeset) == {("hard.place", "rome"): Operation.RENAME}
    assert rows(Pizzeria, "default").get().pk == kept


def test_a_rename_that_is_replaced_makes_the_row_anew(environments: Environments) -> None:
    from data_sync.core.states import Decision, RenameChoice
    from data_sync.services import review

    for alias, name in (("source", "new name"), ("default", "old name")):
        rows(Owner, alias).create(name=name)
    old = rows(Owner, "default").get().pk
    let_go = rows(LocalSetNull, "default").create(owner_id=old)
    changeset = pending(environments)
    review.decide(
        changeset.pk,
        review.Selection(numbers=tuple(changeset.changes.values_list("number", flat=True))),
        Decision.ACCEPTED,
        environments.actor,
        revision=None,
        rename_choice=RenameChoice.REPLACE,
    )
    done = environments.apply(environments.approve(changeset))
    assert done.state == ChangesetState.APPLIED, done.state_reason
    assert rows(Owner, "default").get().pk != old
    assert rows(LocalSetNull, "default").get(pk=let_go.pk).owner_id is None
    environments.assert_equal()


def test_no_renames_are_looked_for_where_nobody_wants_them(environments: Environments) -> None:
    from data_sync.models import Changeset
    from data_sync.services import pull

    for alias in SIDES:
        rows(Owner, alias).create(name=f"of {alias}")
    asked = pull.request_pull(environments.source, [], environments.actor, find_renames=False)
    changeset = Changeset.objects.get(pull=pull.run_pull(asked.pk))
    assert sorted(operations(changeset).values()) == [Operation.CREATE, Operation.DELETE]
    applied(environments, changeset)
    environments.assert_equal()
