"""Rows that are here again, or still, after their delete: it is refused, instead of proposed by every pull."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, models
from django.db.models.signals import post_delete

from data_sync.core.states import ChangesetState, Decision, Operation, RenameChoice
from data_sync.models import Changeset
from data_sync.services import review
from data_sync.services.rehearsal import rehearse
from tests.environments import Environments

from .bringing import applied, operations, pending, rows, without_renames
from .models import Library, Seat, Stall

KEEPING = {
    "sqlite": (
        "CREATE TRIGGER hard_keep BEFORE DELETE ON {table} BEGIN SELECT RAISE(IGNORE); END",
        "DROP TRIGGER hard_keep",
    ),
    "postgresql": (
        "CREATE FUNCTION hard_keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        "CREATE TRIGGER hard_keep BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION hard_keep()",
        "DROP FUNCTION hard_keep() CASCADE",
    ),
}
needs_keeping_triggers = pytest.mark.skipif(
    connection.vendor not in KEEPING, reason="this database's triggers can refuse a delete, but not ignore it"
)


@contextmanager
def a_trigger_keeps(model: type[models.Model]) -> Iterator[None]:
    create, drop = KEEPING[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(create.format(table=model._meta.db_table))
        try:
            yield
        finally:
            cursor.execute(drop)


@contextmanager
def a_receiver_saves_again(model: type[models.Model]) -> Iterator[None]:
    def receiver(instance: Any, **_: Any) -> None:
        instance.save(force_insert=True)

    post_delete.connect(receiver, sender=model)
    try:
        yield
    finally:
        post_delete.disconnect(receiver, sender=model)


def refused(environments: Environments, changeset: Changeset, **options: Any) -> str:
    """Applies everything, which must fail. Says why."""
    everything = review.Selection(numbers=tuple(changeset.changes.values_list("number", flat=True)))
    review.decide(changeset.pk, everything, Decision.ACCEPTED, environments.actor, revision=None, **options)
    approved = environments.approve(changeset)
    with environments.untouched():
        done = environments.apply(approved)
    assert done.state == ChangesetState.FAILED
    return done.changes.get(outcome_reason__contains="still here").outcome_reason


@needs_keeping_triggers
def test_a_row_that_a_trigger_keeps_is_named(environments: Environments) -> None:
    environments.add(Seat, name="stays", place=1)
    rows(Seat, "default").create(name="gone", place=2)
    changeset = pending(environments)
    with a_trigger_keeps(Seat):
        with environments.untouched():
            rehearsal = rehearse(changeset.pk, environments.actor)
        reason = refused(environments, changeset)
    assert 'hard.seat ["gone"]' in reason and 'deletes="never"' in reason
    assert rehearsal.errors == {changeset.changes.get().number: reason}


def test_a_row_that_a_receiver_saves_again_is_named(environments: Environments) -> None:
    environments.add(Seat, name="stays", place=1)
    rows(Seat, "default").create(name="gone", place=2)
    with a_receiver_saves_again(Seat):
        assert 'hard.seat ["gone"]' in refused(environments, pending(environments))


@needs_keeping_triggers
def test_a_row_that_is_replaced_and_stays_is_named(environments: Environments) -> None:
    environments.add(Library, name=("new", "old"), street="High Street")
    changeset = pending(environments)
    assert list(operations(changeset).values()) == [Operation.RENAME]
    with a_trigger_keeps(Library):
        reason = refused(environments, changeset, rename_choice=RenameChoice.REPLACE)
    assert 'hard.library ["old"]' in reason


def test_a_row_that_takes_over_a_primary_key_is_another(environments: Environments) -> None:
    rows(Stall, "source").create(code="A", name="new")
    rows(Stall, "default").create(code="A", name="gone")
    changeset = without_renames(environments)
    assert sorted(operations(changeset).values()) == [Operation.CREATE, Operation.DELETE]
    applied(environments, changeset)
    environments.assert_equal()
