"""A database goes on counting behind the primary keys that rows came with."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from data_sync.core.states import ChangesetState
from data_sync.orm.insertion import insert_rows
from data_sync.orm.resolution import schema_of
from data_sync.orm.schema import ModelSchema
from data_sync.services.rehearsal import rehearse
from tests.environments import Environments

from .bringing import bring, pending, rows
from .models import Car, Numbered, NumberedBySave, Vehicle


def counted(model: Any) -> int:
    """The number that the database gave last."""
    number = int(model.objects.create().pk)
    model.objects.filter(pk=number).delete()
    return number


def schema(model: Any) -> ModelSchema:
    found = schema_of(model)
    assert found is not None
    return found


@pytest.mark.parametrize("model", [Numbered, NumberedBySave])
@pytest.mark.parametrize("ahead", [1, 999, 1_000_000])
def test_new_rows_of_ones_own_come_behind_those_of_the_source(
    environments: Environments, model: Any, ahead: int
) -> None:
    first = counted(model) + 1
    for number in range(3):
        rows(model, "source").create(id=first + number * ahead)
    bring(environments)
    assert model.objects.create().pk > first + 2 * ahead


def test_a_database_that_has_counted_further_does_not_go_back(environments: Environments) -> None:
    own = [counted(Numbered) for _ in range(5)]
    rows(Numbered, "source").create(id=own[0])
    bring(environments)
    assert Numbered.objects.create().pk > own[-1]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="the others count anew after a rollback")
def test_a_rehearsal_uses_no_numbers_up(environments: Environments) -> None:
    rows(Numbered, "source").create(pk=2147483640, text="x")
    found = rehearse(pending(environments).pk, environments.actor)
    assert (found.written, found.errors) == (1, {})
    assert Numbered.objects.create(text="ours").pk < 2_000_000_000


def test_a_parents_table_counts_on_too(environments: Environments) -> None:
    vehicle = Vehicle.objects.create(plate="own")
    with transaction.atomic():
        insert_rows(
            schema(Car),
            [Car(id=vehicle.pk + 1, plate="x")],
            ["id", "plate", "wheels", "doors"],
            "default",
            moves_sequences=True,
        )
    assert Vehicle.objects.create(plate="next").pk > vehicle.pk + 1


def test_it_is_told_once_for_all_rows(environments: Environments) -> None:
    statements = []
    for count in (2, 40):
        first = counted(Numbered) + 1
        with transaction.atomic(), CaptureQueriesContext(connection) as captured:
            new = [Numbered(id=first + number) for number in range(count)]
            insert_rows(schema(Numbered), new, ["id", "text"], "default", moves_sequences=True)
        statements.append(len(captured))
    assert statements[0] == statements[1]


def test_a_number_that_leaves_no_other_is_stored(environments: Environments) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("the others have no more numbers then")
    own = counted(Numbered)
    rows(Numbered, "source").create(id=2**63 - 1)
    changeset = pending(environments)
    environments.accept_all(changeset)
    done = environments.apply(environments.approve(changeset))
    assert done.state == ChangesetState.APPLIED, done.state_reason
    assert Numbered.objects.create().pk > own
