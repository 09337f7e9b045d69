"""Unique values that two rows would share are problems before approval, with the names of both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection, connections

from data_sync.core.states import ChangesetState
from data_sync.models import Changeset
from tests.environments import Environments
from tests.hard.models import Desk, Edition, Lesson, Member, Room

from .bringing import pending, rows

needs_conditions = pytest.mark.skipif(
    not connection.features.supports_partial_indexes, reason="this database knows no constraint with a condition"
)


@pytest.fixture
def loose_source(environments: Environments) -> Iterator[Environments]:
    """The source allows several active editions in a room."""
    [constraint] = Edition._meta.constraints
    with connections["source"].schema_editor() as editor:
        editor.remove_constraint(Edition, constraint)
    yield environments
    rows(Edition, "source").all().delete()
    with connections["source"].schema_editor() as editor:
        editor.add_constraint(Edition, constraint)


def problems(changeset: Changeset) -> dict[str, str]:
    found = changeset.changes.filter(has_problems=True).values_list("key_text", "problems")
    return {key: " ".join(problem["message"] for problem in of_change) for key, of_change in found}


@needs_conditions
@pytest.mark.parametrize("between", [0, 900])
def test_two_writes_that_want_the_same(loose_source: Environments, between: int) -> None:
    for alias in ("source", "default"):
        rows(Room, alias).create(name="hall")
        rows(Room, alias).create(name="attic")
    hall, attic = rows(Room, "source").order_by("pk")
    rows(Edition, "source").create(name="first", room=hall, active=True)
    rows(Edition, "source").bulk_create(Edition(name=f"middle-{n:03}", room=hall, active=False) for n in range(between))
    rows(Edition, "source").create(name="second", room=hall, active=True)
    rows(Edition, "source").create(name="third", room=attic, active=True)
    found = problems(pending(loose_source))
    assert "second" in found and "third" not in found
    assert all("first" in said and "second" in said for said in found.values())


@needs_conditions
def test_thousands_of_writes_that_want_one_value_are_a_problem_each(loose_source: Environments) -> None:
    """Not one for each other row that wants it, however many batches they come in."""
    for alias in ("source", "default"):
        rows(Room, alias).create(name="hall")
    hall = rows(Room, "source").get()
    rows(Edition, "source").bulk_create(Edition(name=f"{n:04}", room=hall, active=True) for n in range(2500))
    changeset = pending(loose_source)
    counts = [len(found) for found in changeset.changes.filter(model="hard.edition").values_list("problems", flat=True)]
    assert set(counts) == {1} and len(counts) == 2500


@needs_conditions
def test_a_row_that_is_here_and_stays_so(loose_source: Environments) -> None:
    loose_source.add(Room, name="hall")
    halls = {alias: rows(Room, alias).get() for alias in ("source", "default")}
    loose_source.add(Edition, name="here", room=(halls["source"], halls["default"]), active=True)
    rows(Edition, "source").create(name="new", room=halls["source"], active=True)
    [(key, said)] = problems(pending(loose_source)).items()
    assert key == "new"
    assert '["new"]' in said and '["here"]' in said and "keeps it" in said


def test_a_required_unique_reference_in_an_exchange_cannot_be_parked(environments: Environments) -> None:
    for alias, sitters in (("source", ("bob", "ann")), ("default", ("ann", "bob"))):
        for desk, name in zip(("left", "right"), sitters, strict=True):
            rows(Desk, alias).create(name=desk, sitter=rows(Member, alias).create(name=name))
    found = problems(pending(environments))
    assert found.keys() == {"left", "right"}
    assert all('["left"]' in said and '["right"]' in said and "nullable" in said for said in found.values())


def test_a_value_that_another_takes_over_needs_that_change(environments: Environments) -> None:
    for alias in ("source", "default"):
        rows(Room, alias).create(name="hall")
    there, here = (rows(Room, alias).get() for alias in ("source", "default"))
    environments.add(Lesson, code="moves", room=(there, here), hour=(9, 8))
    environments.add(Lesson, code="gone", room=here, hour=9, only="default")
    environments.add(Lesson, code="new", room=there, hour=8, only="source")
    changeset = pending(environments)
    numbers = dict(changeset.changes.values_list("key_text", "number"))
    requires = dict(changeset.changes.values_list("key_text", "requires"))
    assert requires["moves"] == [numbers["gone"]]
    assert requires["new"] == [numbers["moves"]]
    environments.accept_all(changeset)
    assert environments.apply(environments.approve(changeset)).state == ChangesetState.APPLIED
    environments.assert_equal()
