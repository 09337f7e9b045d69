"""A row of a model with two parents is known in the second one's table by a key of its own."""

from __future__ import annotations

from data_sync.core.states import ChangesetState
from tests.environments import Environments

from .models import Cart, Plate


def test_values_that_rows_exchange_leave_other_rows_of_the_parents_table_alone(environments: Environments) -> None:
    for number in range(5):
        Plate(serial=1000 + number).save(using="default")
    lone = dict(Plate.objects.values_list("pk", "serial"))
    for alias, first, second in (("source", 2, 1), ("default", 1, 2)):
        Cart(name="a", serial=first).save(using=alias, force_insert=True)
        Cart(name="b", serial=second).save(using=alias, force_insert=True)
    changeset = environments.sync("hard.cart")
    assert changeset.state == ChangesetState.APPLIED
    assert dict(Cart.objects.values_list("name", "serial")) == {"a": 2, "b": 1}
    assert {pk: serial for pk, serial in Plate.objects.values_list("pk", "serial") if pk in lone} == lone
