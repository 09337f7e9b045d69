"""What was agreed on about a row stays agreed on when a row that it refers to is renamed, and is forgotten nowhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models
from django.test.utils import CaptureQueriesContext

from data_sync.core.errors import RecordError
from data_sync.core.states import ChangesetState, Operation, Outcome
from data_sync.models import Baseline, Change, Changeset
from data_sync.orm import referrers
from data_sync.orm.rows import RowReader
from data_sync.services import apply, rehearsal, rekeyed_baselines
from tests.environments import Environments

from .bringing import SIDES, applied, described, pending, rows
from .models import Book, Library, Loan, Node, Pizzeria, Place, Remark, Restaurant

Edit = Callable[[Any], Any]


def about(alias: str, row: models.Model) -> dict[str, Any]:
    kind = ContentType.objects.using(alias).get_or_create(app_label="hard", model=row._meta.model_name)[0]
    return {"content_type_id": kind.pk, "object_id": str(row.pk)}


def agree(environments: Environments) -> None:
    """Finds both sides equal: now it is known of every row what they agree on."""
    found = Changeset.objects.filter(pull=environments.pull()).first()
    assert found is None, described(found)


def rename(model: type[models.Model], old: str, new: str) -> None:
    name = "name" if model is Library else "slug"
    assert rows(model, "source").filter(**{name: old}).update(**{name: new}) == 1


def standings(environments: Environments, *labels: str) -> dict[tuple[str, str], str]:
    """Per change of a new pull: that it is a conflict, of which kind, or that it is none, or that no base is known."""
    changeset = Changeset.objects.filter(pull=environments.pull(*labels)).first()
    changes: Any = changeset.changes.all() if changeset else []
    return {(change.model.removeprefix("hard."), change.key_text): standing(change) for change in changes}


def standing(change: Change) -> str:
    return change.conflict["kind"] if change.is_conflict else "agreed" if change.base_digest else "unknown"


@pytest.fixture
def agreed(environments: Environments) -> Environments:
    """What refers to a row that can be renamed in every way, directly and by way of others; the same on both sides."""
    for alias in SIDES:
        library = rows(Library, alias).create(name="old", street="High Street")
        first, second = (rows(Book, alias).create(library=library, shelf=shelf, title="t") for shelf in (1, 2))
        loan = rows(Loan, alias).create(code="loan", book=first)
        loan.others.add(first, second)
        rows(Remark, alias).create(code="on a book", **about(alias, first))
        root = rows(Node, alias).create(slug="root", title="root")
        child = rows(Node, alias).create(slug="child", title="t", parent=root)
        rows(Node, alias).create(slug="grandchild", title="t", parent=child)
        rows(Remark, alias).create(code="on a node", **about(alias, root))
        place = rows(Pizzeria, alias).create(slug="place", name="P", stars=1, oven="wood")
        rows(Place, alias).create(slug="other", name="O").near.add(place.pk)
    agree(environments)
    return environments


def renamed(environments: Environments) -> Changeset:
    """One row of each kind is renamed at the source, and all of it applied here."""
    rename(Library, "old", "new")
    rename(Node, "root", "trunk")
    rename(Place, "place", "spot")
    changeset = applied(environments, pending(environments))
    assert {change.operation for change in changeset.changes.all()} == {Operation.RENAME}
    return changeset


def without_target(remark: Any) -> None:
    remark.update(content_type=None, object_id="")


EDITS: dict[str, tuple[type[models.Model], dict[str, Any], tuple[str, str], Edit]] = {
    "a key through it": (Book, {"shelf": 1}, ("book", "new · 1"), lambda found: found.update(title="edited")),
    "a reference to such a row": (Loan, {}, ("loan", "loan"), lambda found: found.update(book=None)),
    "links with such rows": (Loan, {}, ("loan", "loan"), lambda found: found.get().others.clear()),
    "generic, to such a row": (Remark, {"code": "on a book"}, ("remark", "on a book"), without_target),
    "generic": (Remark, {"code": "on a node"}, ("remark", "on a node"), without_target),
    "to its own model": (Node, {"slug": "child"}, ("node", "child"), lambda found: found.update(title="edited")),
    "links of its own model": (Place, {"slug": "other"}, ("place", "other"), lambda found: found.get().near.clear()),
    "a child's table": (Restaurant, {}, ("restaurant", "spot"), lambda found: found.update(stars=5)),
    "a grandchild's table": (Pizzeria, {}, ("pizzeria", "spot"), lambda found: found.update(oven="gas")),
}
each_edit = pytest.mark.parametrize(("model", "which", "row", "edit"), EDITS.values(), ids=EDITS)


@each_edit
def test_an_edit_at_the_source_is_no_conflict(
    agreed: Environments, model: Any, which: dict[str, Any], row: tuple[str, str], edit: Edit
) -> None:
    renamed(agreed)
    edit(rows(model, "source").filter(**which))
    assert standings(agreed) == {row: "agreed"}


@each_edit
def test_an_edit_here_is_a_conflict(
    agreed: Environments, model: Any, which: dict[str, Any], row: tuple[str, str], edit: Edit
) -> None:
    renamed(agreed)
    edit(rows(model, "default").filter(**which))
    assert standings(agreed) == {row: "changed"}


def test_an_edit_here_of_what_the_source_deletes_is_a_conflict(agreed: Environments) -> None:
    renamed(agreed)
    for alias in SIDES:
        rows(Remark, alias).all().delete()
        rows(Loan, alias).all().delete()
    rows(Book, "source").all().delete()
    rows(Book, "default").filter(shelf=1).update(title="precious")
    assert standings(agreed) == {("book", "new · 1"): "changed", ("book", "new · 2"): "agreed"}


def test_a_row_that_is_removed_here_after_the_rename_is_a_conflict(agreed: Environments) -> None:
    renamed(agreed)
    rows(Book, "default").get(shelf=2).delete()
    found = standings(agreed)
    assert found["book", "new · 2"] == "removed"


def test_a_row_that_had_moved_away_before_stays_a_conflict(agreed: Environments) -> None:
    rows(Book, "default").filter(shelf=1).update(title="edited here")
    rename(Library, "old", "new")
    changeset = pending(agreed)
    agreed.accept(changeset, changeset.changes.get(operation=Operation.RENAME.value).number)
    assert agreed.apply(agreed.approve(changeset)).state == ChangesetState.APPLIED
    assert standings(agreed) == {("book", "new · 1"): "changed"}


def test_a_change_that_waits_is_still_none_of_a_row_that_moved_away(agreed: Environments) -> None:
    rows(Book, "source").filter(shelf=1).update(title="edited there")
    rename(Library, "old", "new")
    changeset = pending(agreed)
    agreed.accept(changeset, changeset.changes.get(operation=Operation.RENAME.value).number)
    assert agreed.apply(agreed.approve(changeset)).state == ChangesetState.APPLIED
    assert standings(agreed) == {("book", "new · 1"): "agreed"}


def test_what_is_written_with_the_rename_is_agreed_on(agreed: Environments) -> None:
    rows(Book, "source").filter(shelf=1).update(title="edited")
    rows(Loan, "source").get().others.remove(rows(Book, "source").get(shelf=2))
    renamed_library = rows(Library, "source").get()
    rows(Book, "source").create(library=renamed_library, shelf=3, title="new")
    rename(Library, "old", "new")
    applied(agreed, pending(agreed))
    rows(Book, "source").update(title="edited again")
    rows(Loan, "source").get().others.clear()
    assert set(standings(agreed).values()) == {"agreed"}


@pytest.mark.parametrize("title", ["t", "edited"])
def test_the_old_key_is_forgotten(agreed: Environments, title: str) -> None:
    """Another row that gets it later has no base: also where the row below was written with the rename."""
    rows(Book, "source").filter(shelf=1).update(title=title)
    rename(Library, "old", "new")
    applied(agreed, pending(agreed))
    other = rows(Library, "source").create(name="old", street="Other Street")
    rows(Book, "source").create(library=other, shelf=1, title="another")
    assert standings(agreed) == {("library", "old"): "unknown", ("book", "old · 1"): "unknown"}


def test_an_old_key_that_another_row_gets_is_agreed_on(agreed: Environments) -> None:
    rename(Library, "old", "new")
    applied(agreed, pending(agreed))
    other = rows(Library, "source").create(name="old", street="Other Street")
    rows(Book, "source").create(library=other, shelf=1, title="another")
    applied(agreed, pending(agreed))
    rows(Book, "source").update(title="edited")
    keys = [("book", "new · 1"), ("book", "new · 2"), ("book", "old · 1")]
    assert standings(agreed) == dict.fromkeys(keys, "agreed")
    rows(Book, "default").filter(shelf=1).update(title="edited here")
    assert standings(agreed) == {keys[0]: "changed", keys[1]: "agreed", keys[2]: "changed"}


@pytest.mark.parametrize("at_once", [1, 3])
def test_many_rows_are_followed_in_parts(
    environments: Environments, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(rekeyed_baselines, "AT_ONCE", at_once)
    monkeypatch.setattr(referrers, "PAGE", at_once)
    for alias in SIDES:
        for name in "abc":
            library = rows(Library, alias).create(name=name, street=f"{name} Street")
            books = [rows(Book, alias).create(library=library, shelf=shelf, title="t") for shelf in (1, 2, 3)]
            rows(Loan, alias).create(code=name, book=books[0]).others.add(*books)
    agree(environments)
    for old, new in ("ad", "be", "cf"):
        rename(Library, old, new)
    applied(environments, pending(environments))
    rows(Book, "source").update(title="edited")
    rows(Loan, "source").update(book=None)
    rows(Book, "default").filter(library__name="d", shelf=3).update(title="edited here")
    rows(Loan, "default").get(code="b").others.clear()
    found = standings(environments)
    assert len(found) == 12
    assert {key: kind for key, kind in found.items() if kind != "agreed"} == {
        ("book", "d · 3"): "changed",
        ("loan", "b"): "changed",
    }


def test_a_row_below_is_renamed_too(agreed: Environments) -> None:
    for alias in SIDES:
        rows(Book, alias).filter(shelf=1).update(title="its own")
    agree(agreed)
    rename(Library, "old", "new")
    rows(Book, "source").filter(shelf=1).update(shelf=9)
    changeset = applied(agreed, pending(agreed))
    assert {change.operation for change in changeset.changes.all()} == {Operation.RENAME}
    rows(Loan, "source").get().others.clear()
    rows(Book, "source").update(title="edited")
    assert standings(agreed) == dict.fromkeys([("loan", "loan"), ("book", "new · 2"), ("book", "new · 9")], "agreed")


def test_a_row_is_renamed_and_renamed_back(agreed: Environments) -> None:
    rename(Library, "old", "new")
    applied(agreed, pending(agreed))
    rename(Library, "new", "old")
    applied(agreed, pending(agreed))
    rows(Book, "source").filter(shelf=2).update(title="edited")
    rows(Book, "default").filter(shelf=1).update(title="edited here")
    assert standings(agreed) == {("book", "old · 1"): "changed", ("book", "old · 2"): "agreed"}


def test_a_row_that_was_renamed_here_too_meanwhile(agreed: Environments) -> None:
    rename(Library, "old", "new")
    changeset = pending(agreed)
    rows(Library, "default").update(name="new")
    changeset = applied(agreed, changeset)
    assert changeset.changes.get().outcome == Outcome.UNCHANGED
    rows(Book, "source").filter(shelf=1).update(title="edited")
    assert standings(agreed) == {("book", "new · 1"): "agreed"}


def test_models_that_were_not_pulled_follow_too(agreed: Environments) -> None:
    rename(Library, "old", "new")
    applied(agreed, pending(agreed, "hard.library"))
    rows(Book, "source").filter(shelf=1).update(title="edited")
    assert standings(agreed) == {("book", "new · 1"): "agreed"}


def test_of_what_nothing_is_known_nothing_is_remembered(agreed: Environments) -> None:
    Baseline.objects.filter(model="hard.loan").delete()
    rename(Library, "old", "new")
    applied(agreed, pending(agreed, "hard.library", "hard.book"))
    rows(Loan, "source").update(book=None)
    assert standings(agreed) == {("loan", "loan"): "unknown"}


def test_what_was_made_of_other_fields_is_forgotten(agreed: Environments) -> None:
    Baseline.objects.filter(model="hard.loan").update(shape="another")
    rename(Library, "old", "new")
    applied(agreed, pending(agreed, "hard.library"))
    assert not any(Baseline.objects.filter(model="hard.loan").values_list("entries", flat=True))


def test_a_row_that_cannot_be_read_keeps_no_apply_from_it(
    agreed: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What both sides agree on is remembered of the others."""
    read, broken = RowReader.by_pk, rows(Book, "default").get(shelf=2).pk

    def by_pk(reader: RowReader, pks: Any) -> Any:
        if reader.schema.model is Book and broken in pks:
            raise RecordError("It cannot be read.")
        return read(reader, pks)

    rename(Library, "old", "new")
    changeset = pending(agreed)
    with monkeypatch.context() as patched:
        patched.setattr(RowReader, "by_pk", by_pk)
        applied(agreed, changeset)
    rows(Book, "source").update(title="edited")
    assert standings(agreed) == {("book", "new · 1"): "agreed", ("book", "new · 2"): "unknown"}


def test_a_rehearsal_remembers_nothing(agreed: Environments) -> None:
    rename(Library, "old", "new")
    changeset = pending(agreed)
    before = list(Baseline.objects.order_by("pk").values_list())
    rehearsed = rehearsal.rehearse(changeset.pk, agreed.actor)
    assert rehearsed.written == 1 and not rehearsed.errors
    assert list(Baseline.objects.order_by("pk").values_list()) == before


def statements(environments: Environments) -> int:
    changeset = pending(environments)
    environments.accept_all(changeset)
    environments.approve(changeset)
    apply.request_apply(changeset.pk, environments.actor)
    with CaptureQueriesContext(connection) as captured:
        assert apply.run_apply(changeset.pk).state == ChangesetState.APPLIED
    return len(captured)


def test_statements_do_not_grow_with_the_rows_that_refer_to_a_renamed_one(agreed: Environments) -> None:
    rename(Library, "old", "new")
    few = statements(agreed)
    for alias in SIDES:
        library = rows(Library, alias).get()
        books = rows(Book, alias).bulk_create(Book(library=library, shelf=shelf) for shelf in range(3, 303))
        rows(Loan, alias).bulk_create(Loan(code=f"l{book.shelf}", book=book) for book in rows(Book, alias).all())
        loan = rows(Loan, alias).get(code="loan")
        loan.others.add(*rows(Book, alias).all())
        assert len(books) == 300
    agree(agreed)
    rename(Library, "new", "newer")
    assert statements(agreed) == few
    rows(Book, "source").update(title="edited")
    rows(Loan, "source").update(book=None)
    assert set(standings(agreed).values()) == {"agreed"}
