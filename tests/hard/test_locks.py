"""From the look at a row until it is written nobody else alters it, in whichever table."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models.signals import ModelSignal, pre_delete, pre_save
from django.test.utils import CaptureQueriesContext

from data_sync.core.states import ChangesetState
from data_sync.models import Changeset
from data_sync.orm.tables import lock
from tests.environments import Environments

from .bringing import SIDES, pending, rows
from .models import Car, Cart, Seat, Taxi, Vehicle, VehicleNote

pytestmark = pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")


def is_refused(act: Callable[[], Any]) -> bool:
    """Whether another session has to wait for longer than it does."""
    refused: list[bool] = []

    def session() -> None:
        postgresql = connection.vendor == "postgresql"
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '1s'" if postgresql else "SET innodb_lock_wait_timeout = 1")
            act()
            refused.append(False)
        except DatabaseError:
            refused.append(True)
        finally:
            connection.close()

    thread = threading.Thread(target=session)
    thread.start()
    thread.join()
    return refused == [True]


def refused_meanwhile(
    environments: Environments, changeset: Changeset, moment: ModelSignal, act: Callable[[], Any]
) -> bool:
    """Whether another session is refused an act when a car is about to be written or deleted."""
    answers: list[bool] = []

    def meanwhile(**_: Any) -> None:
        answers.append(is_refused(act))

    moment.connect(meanwhile, sender=Car)
    try:
        done = environments.apply(changeset)
    finally:
        moment.disconnect(meanwhile, sender=Car)
    assert done.state == ChangesetState.APPLIED, done.state_reason
    return answers == [True]


def test_columns_in_a_parents_table_stay_as_they_were_looked_at(environments: Environments) -> None:
    for alias, wheels in zip(SIDES, (5, 4), strict=True):
        Car(plate="x", wheels=wheels).save(using=alias)
    changeset = environments.approved()

    def turn() -> None:
        Vehicle.objects.filter(plate="x").update(wheels=6)

    assert refused_meanwhile(environments, changeset, pre_save, turn)
    assert Vehicle.objects.get().wheels == 5


def test_nothing_can_be_added_below_a_parents_row_that_is_deleted(environments: Environments) -> None:
    car = Car(plate="x")
    car.save(using="default")
    changeset = pending(environments)
    environments.accept_all(changeset)
    changeset = environments.approve(changeset)

    def note() -> None:
        VehicleNote.objects.create(vehicle_id=car.pk)

    assert refused_meanwhile(environments, changeset, pre_delete, note)
    assert not VehicleNote.objects.exists()


def test_a_row_is_locked_in_the_table_of_a_second_parent(environments: Environments) -> None:
    cart = Cart(name="a", serial=1)
    cart.save(using="default", force_insert=True)
    with transaction.atomic():
        lock(Cart, [cart.pk], "default")
        assert is_refused(lambda: type(cart.plate_ptr).objects.filter(pk=cart.plate_ptr_id).update(serial=2))


def test_each_table_is_locked_once_and_parents_first_as_save_writes_them(environments: Environments) -> None:
    taxis = [Taxi(plate=f"{number}", number=number) for number in range(3)]
    for taxi in taxis:
        taxi.save(using="default")
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        lock(Taxi, [taxi.pk for taxi in taxis], "default")
    names = [table._meta.db_table for table in (Vehicle, Car, Taxi)]
    assert [next(name for name in names if name in query["sql"]) for query in captured] == names


def test_a_deadlock_is_told_as_one_and_no_row_is_blamed(environments: Environments) -> None:
    """Another session has the place that a new seat is to get, and waits for a seat that the apply has locked."""
    environments.add(Seat, name="held", place=(1, 2))
    rows(Seat, "source").create(name="new", place=9)
    changeset = environments.approved()
    holds, waits = threading.Event(), threading.Event()

    def session() -> None:
        try:
            with transaction.atomic():
                # The database gives up whoever has written less.
                Seat.objects.bulk_create(Seat(name=f"other {number}", place=9 + number) for number in range(100))
                holds.set()
                waits.wait()
                Seat.objects.filter(name="held").update(badge="x")
                raise InterruptedError
        except InterruptedError:
            pass
        finally:
            connection.close()

    other = threading.Thread(target=session)

    def meet(instance: Seat, **_: Any) -> None:
        if instance.name == "new":
            other.start()
            holds.wait()
            waits.set()
            # PostgreSQL looks for deadlocks after a second, and gives up who looks.
            time.sleep(2)

    pre_save.connect(meet, sender=Seat)
    try:
        with environments.untouched():
            done = environments.apply(changeset)
            other.join()
    finally:
        pre_save.disconnect(meet, sender=Seat)
    assert done.state == ChangesetState.FAILED
    assert "deadlock" in done.state_reason.lower() and "approve and apply again" in done.state_reason
    assert not changeset.changes.filter(outcome="failed").exists()
    assert environments.apply(environments.approve(changeset)).state == ChangesetState.APPLIED
