"""Aligning sequences: whole, in order, and never dearer than the budget."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from data_sync.core.alignment import Budget, align, pair

SEQUENCES = st.text("abc", max_size=12) | st.text("abcdefghijklmnop", max_size=20)


@given(SEQUENCES, SEQUENCES)
def test_runs_cover_both_sequences_in_order_and_tell_the_truth(before: str, after: str) -> None:
    runs = align(before, after, Budget(10**6))
    assert runs is not None
    assert [i for run in runs for i in run.before] == list(range(len(before)))
    assert [j for run in runs for j in run.after] == list(range(len(after)))
    assert all(run.before or run.after for run in runs)
    assert all(left.equal != right.equal for left, right in pairwise(runs))
    for run in runs:
        if run.equal:
            assert before[run.before.start : run.before.stop] == after[run.after.start : run.after.stop]


@given(SEQUENCES, SEQUENCES)
def test_what_is_equal_is_not_taken_apart(before: str, after: str) -> None:
    runs = align(before, after, Budget(10**6)) or []
    for run in runs:
        if not run.equal:
            assert not set(before[run.before.start : run.before.stop]) & set(after[run.after.start : run.after.stop])


@given(SEQUENCES, SEQUENCES, st.integers(0, 500))
def test_the_budget_is_kept_or_there_is_no_answer(before: str, after: str, steps: int) -> None:
    budget = Budget(steps)
    runs = align(before, after, budget)
    assert 0 <= budget.remaining <= steps
    if runs is not None:
        assert runs == align(before, after, Budget(10**6))


def test_common_ends_cost_nothing() -> None:
    runs = align("same" * 1000 + "x" + "tail", "same" * 1000 + "tail", Budget(0))
    assert runs is not None
    assert [run.equal for run in runs] == [True, False, True]


def test_what_occurs_twice_on_one_side_is_no_anchor() -> None:
    runs = align("xabcdy", "zabcdwabc", Budget(10**6)) or []
    assert ["xabcdy"[run.before.start : run.before.stop] for run in runs if run.equal] == ["abcd"]


def test_looking_at_the_items_is_paid_for() -> None:
    assert align("abc", "bca", Budget(0)) is None
    assert align(range(10_000), range(10_000, 20_000), Budget(100_000)) is None


def test_each_search_is_paid_for() -> None:
    """Two sequences that share each second item: a search is cheap, but one follows another."""
    before = [item for i in range(300) for item in ("shared", f"before {i}")]
    after = [item for i in range(300) for item in (f"after {i}", "shared")]
    assert align(before, after, Budget(1_000_000)) is None
    assert align(before, after, Budget(20_000_000)) is not None


LIKENESSES = st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=4, max_size=4)


@given(LIKENESSES)
def test_the_pairing_is_the_best_without_crossing(likenesses: list[list[int]]) -> None:
    pairs = pair(range(4), range(4), lambda i, j: likenesses[i][j])
    assert all(likenesses[i][j] for i, j in pairs)
    assert all(i < k and j < m for (i, j), (k, m) in pairwise(pairs))

    def best(i: int, j: int) -> int:
        if 4 in (i, j):
            return 0
        return max(likenesses[i][j] + best(i + 1, j + 1), best(i + 1, j), best(i, j + 1))

    assert sum(likenesses[i][j] for i, j in pairs) == best(0, 0)


def test_of_equally_good_pairings_the_first_items_are_taken() -> None:
    assert pair(range(5, 8), range(2), lambda i, j: 1) == [(5, 0), (6, 1)]
    assert pair(range(2), range(5, 8), lambda i, j: 1) == [(0, 5), (1, 6)]
