"""What every step asks of the database grows with batches, never with rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test.utils import CaptureQueriesContext

from data_sync.core.states import Decision, PullState
from data_sync.models import Baseline, Changeset
from data_sync.orm.resolution import schemas
from data_sync.services import approval, both_sides, document, pulling, review
from data_sync.services.rehearsal import rehearse
from tests.environments import Environments
from tests.hard.bringing import SIDES, rows
from tests.hard.models import Book, Library, Loan, Mark, Visit
from tests.testapp.models import Category, Product, Tag

FEW, MANY = 8, 60
LABELS = (
    "hard.library",
    "hard.book",
    "hard.loan",
    "hard.mark",
    "testapp.category",
    "testapp.product",
    "testapp.tag",
)
KINDS = ("changed", "new", "gone", "renamed")


def drift(prefix: str, count: int) -> None:
    """Rows that refer to and are linked with each other, as many of each kind."""
    for alias in SIDES:
        root, _ = rows(Category, alias).get_or_create(slug="root")
        for number in range(count):
            kind, name = KINDS[number % len(KINDS)], f"{prefix}-{number}"
            if kind == ("gone" if alias == "source" else "new"):
                continue
            other = f"at the {alias}" if kind == "changed" else ""
            library = rows(Library, alias).create(name=f"{name}-{alias}" if kind == "renamed" else name, street=name)
            book = rows(Book, alias).create(library=library, shelf=number, title=other)
            rows(Loan, alias).create(code=name, book=book).others.add(book)
            tag = rows(Tag, alias).create(name=f"{name}-{alias}")
            category = rows(Category, alias).create(slug=name, parent=root, title=other)
            rows(Product, alias).create(sku=name, name=other, category=category).tags.add(tag)
            if kind == "changed" and alias == "source":
                kind_of_row = ContentType.objects.using(alias).get(app_label="hard", model="library")
                rows(Mark, alias).create(code=name, kind=kind_of_row, row=library.pk)
            if alias == "default":
                Visit.objects.create(library=library)


def counted(step: Callable[[], Any], counts: list[int]) -> Any:
    with CaptureQueriesContext(connection) as captured:
        result = step()
    counts.append(len(captured))
    return result


def counts_of_all_steps(environments: Environments) -> list[int]:
    """Statements of a pull, a rehearsal, decisions, an approval, an apply, a document, and one more pull."""
    counts: list[int] = []
    changeset = counted(lambda: environments.changeset(*LABELS), counts)
    changeset = environments.let_through(changeset)
    assert not changeset.changes.exclude(problems=[]).exists()
    assert {*changeset.changes.values_list("operation", flat=True)} == {"create", "update", "delete", "rename"}
    rehearsal = counted(lambda: rehearse(changeset.pk, environments.actor), counts)
    assert rehearsal.is_clean
    for operation in ("", "rename", "delete"):
        counted(partial(_accept, environments, changeset, review.Selection(operation=operation)), counts)
    changeset.refresh_from_db()
    counted(lambda: approval.approve(changeset.pk, environments.actor, revision=changeset.revision), counts)
    counted(lambda: environments.apply(changeset), counts)
    changeset.refresh_from_db()
    assert changeset.state == "applied", changeset.state_reason
    assert counted(lambda: list(document.changeset_document(changeset, environments.actor)), counts)
    again = counted(lambda: environments.pull(*LABELS), counts)
    assert again.state == PullState.DONE, again.error
    left = Changeset.objects.filter(pull=again).values_list("changes__operation", "changes__model", "changes__key_text")
    assert list(left) == []
    return counts


def _accept(environments: Environments, changeset: Changeset, selection: review.Selection) -> None:
    review.decide(changeset.pk, selection, Decision.ACCEPTED, environments.actor, revision=None)


@pytest.mark.parametrize("small", [1_000_000, -1], ids=["whole", "listed"])
def test_queries_of_every_step_grow_with_batches_not_with_rows(
    environments: Environments, monkeypatch: pytest.MonkeyPatch, small: int
) -> None:
    monkeypatch.setattr(pulling, "SMALL", small)
    drift("first", FEW)
    counts_of_all_steps(environments)  # From now on there are baselines, and what Django remembers.
    drift("few", FEW)
    few = counts_of_all_steps(environments)
    drift("many", MANY)
    assert counts_of_all_steps(environments) == few


def test_models_without_rows_or_changes_cost_next_to_nothing(
    environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []
    compare = both_sides.compare
    monkeypatch.setattr(both_sides, "compare", lambda *given: compared.append(given[2]) or compare(*given))
    environments.add(Tag, name="a", only="source")
    changeset = environments.changeset()
    assert compared == ["testapp.tag"]
    environments.accept_all(changeset)
    with CaptureQueriesContext(connection) as captured:
        changeset = environments.approve(changeset)
    assert len(captured) < 60 < len(schemas())
    environments.apply(changeset)
    compared.clear()
    Tag.objects.all().delete()
    Tag.objects.using("source").all().delete()
    environments.pull()
    assert compared == ["testapp.tag"], "what was agreed on of rows that are gone is forgotten"
    assert not Baseline.objects.exists()
