"""Order by need: each after what it needs, the same order each time, and a cycle named by its path."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_sync.core.ordering import CycleError, closure, dependents, in_dependency_order, unmet

graphs = st.dictionaries(st.integers(0, 12), st.lists(st.integers(0, 12), max_size=4), max_size=12)


@given(graphs)
def test_each_comes_after_what_it_needs_or_the_path_is_a_cycle(needs: dict[int, list[int]]) -> None:
    nodes = list(needs)
    try:
        order = in_dependency_order(nodes, needs)
    except CycleError as error:
        assert error.path[0] == error.path[-1] and len(error.path) > 2
        for one, other in pairwise(error.path):
            assert other in needs[one]
        return
    assert sorted(order) == sorted(nodes)
    place = {node: at for at, node in enumerate(order)}
    for node in nodes:
        for need in needs[node]:
            assert need == node or need not in place or place[need] < place[node]


def test_equal_inputs_give_equal_order_and_nothing_moves_without_need() -> None:
    assert in_dependency_order(["c", "a", "b"], {}) == ["c", "a", "b"]
    assert in_dependency_order(["c", "a", "b"], {"c": ["b"]}) == ["b", "c", "a"]


def test_needs_outside_and_needs_of_itself_are_ignored() -> None:
    assert in_dependency_order(["a"], {"a": ["a", "elsewhere"]}) == ["a"]


def test_a_cycle_is_named_by_its_path() -> None:
    with pytest.raises(CycleError, match="b → c → b"):
        in_dependency_order(["a", "b", "c"], {"a": ["b"], "b": ["c"], "c": ["b"]})


def test_a_long_chain_needs_no_recursion() -> None:
    nodes = list(range(50_000))
    assert in_dependency_order(nodes, {node: [node + 1] for node in nodes}) == nodes[::-1]


@given(st.sets(st.integers(0, 12)), graphs)
def test_a_closure_lacks_nothing_and_holds_nothing_else(chosen: set[int], requires: dict[int, list[int]]) -> None:
    closed = closure(chosen, requires)
    assert chosen <= closed
    assert unmet(closed, requires) == {}
    for extra in closed - chosen:
        assert any(extra in requires.get(number, ()) for number in closed)
    assert (unmet(chosen, requires) == {}) == (closed == chosen)


@given(st.sets(st.integers(0, 12)), graphs)
def test_dependents_are_those_whose_closure_reaches_a_given_one(
    chosen: set[int], requires: dict[int, list[int]]
) -> None:
    expected = {number for number in requires if number not in chosen and closure([number], requires) & chosen}
    assert dependents(chosen, requires) == expected


def test_what_is_missing_is_listed_by_who_needs_it() -> None:
    assert unmet([1, 2], {1: [2, 3, 5], 2: [4], 3: [9]}) == {1: [3, 5], 2: [4]}
