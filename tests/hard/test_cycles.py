"""Models that refer to each other by references that may be null."""

from __future__ import annotations

from data_sync.core.states import Decision, Operation
from tests.environments import Environments

from .bringing import applied, bring, operations, pending, rows
from .models import Egg, Hen


def pairs(alias: str, laid: dict[str, str]) -> None:
    """Hens and the eggs they came from; each egg is of the hen that came from it."""
    for hen, egg in laid.items():
        its = rows(Hen, alias).create(name=hen)
        its.egg = rows(Egg, alias).create(name=egg, hen=its)
        its.save(using=alias)


def laid(alias: str) -> tuple[dict[str, str | None], dict[str, str | None]]:
    hens = dict(rows(Hen, alias).values_list("name", "egg__name"))
    return hens, dict(rows(Egg, alias).values_list("name", "hen__name"))


def test_rows_that_refer_to_each_other_arrive_together(environments: Environments) -> None:
    pairs("source", {"Ada": "e1", "Bea": "e2"})
    bring(environments)
    assert laid("default") == ({"Ada": "e1", "Bea": "e2"}, {"e1": "Ada", "e2": "Bea"})


def test_pairs_are_exchanged(environments: Environments) -> None:
    pairs("source", {"Ada": "e1", "Bea": "e2", "Cor": "e3"})
    pairs("default", {"Ada": "e2", "Bea": "e3", "Cor": "e1"})
    bring(environments)
    assert laid("default") == laid("source")


def test_pairs_go_together_and_others_come(environments: Environments) -> None:
    pairs("source", {"Ada": "e1", "Dot": "e4"})
    pairs("default", {"Ada": "e1", "Bea": "e2"})
    changeset = bring(environments)
    assert sorted(operations(changeset).values()) == [Operation.CREATE] * 2 + [Operation.DELETE] * 2
    assert laid("default") == ({"Ada": "e1", "Dot": "e4"}, {"e1": "Ada", "e4": "Dot"})


def test_one_of_a_pair_goes_and_what_stays_lets_go_of_it(environments: Environments) -> None:
    for alias in ("source", "default"):
        pairs(alias, {"Ada": "e1", "Bea": "e2"})
    rows(Hen, "source").get(name="Bea").delete()
    bring(environments)
    assert laid("default") == ({"Ada": "e1"}, {"e1": "Ada", "e2": None})


def test_half_of_a_new_pair_needs_the_other_half(environments: Environments) -> None:
    pairs("source", {"Ada": "e1"})
    changeset = pending(environments)
    numbers = {change.model: change.number for change in changeset.changes.all()}
    needs = {change.model: change.requires for change in changeset.changes.all()}
    assert needs == {"hard.hen": [numbers["hard.egg"]], "hard.egg": [numbers["hard.hen"]]}
    environments.accept(changeset, *numbers.values())
    assert set(changeset.changes.values_list("decision", flat=True)) == {Decision.ACCEPTED}
    applied(environments, changeset)
    environments.assert_equal()
