"""Aligning two sequences: which stretches are the same, and what stands for what between them.

Items that occur once on both sides are matched first, as in patience diff: that takes little time
and cuts the rest into small gaps. `difflib.SequenceMatcher` then looks at each gap. Its time has no
bound worth the name (two texts of 600 words that share each second word take half a second), so
each of its searches is paid for in advance out of a `Budget`; a caller who runs out falls back to
something plainer.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate

TOO_COSTLY = "too_costly"
"""The note of a diff that is coarser than it might be, because the budget did not suffice."""


@dataclass(slots=True)
class Budget:
    """Steps that may still be taken; a step takes less than a tenth of a microsecond."""

    remaining: int

    def spend(self, steps: int) -> bool:
        """Whether the steps could be paid for. What cannot be paid for leaves the budget as it was."""
        if steps > self.remaining:
            return False
        self.remaining -= steps
        return True


@dataclass(frozen=True, slots=True)
class Run:
    """One stretch of both sequences: equal on both sides, or what each side has between two such."""

    equal: bool
    before: range
    after: range


def align(before: Sequence[Hashable], after: Sequence[Hashable], budget: Budget) -> list[Run] | None:
    """Cuts both sequences into runs, equal and unequal in turn; None where the budget does not suffice.

    The runs cover both sequences from end to end, in order.
    """
    start, end = common_ends(before, after)
    low, high, low_after, high_after = start, len(before) - end, start, len(after) - end
    blocks = [(0, 0, start)]
    if low < high and low_after < high_after:
        if not budget.spend(15 * (high - low + high_after - low_after)):
            return None
        anchors = _anchors(before[low:high], after[low_after:high_after])
        for i, j in [*((low + i, low_after + j) for i, j in anchors), (high, high_after)]:
            matches = _matches(before[low:i], after[low_after:j], budget)
            if matches is None:
                return None
            blocks += [(low + x, low_after + y, size) for x, y, size in matches]
            if i < high:
                blocks.append((i, j, 1))
            low, low_after = i + 1, j + 1
    blocks.append((len(before) - end, len(after) - end, end))
    return _runs(blocks)


def common_ends(before: Sequence[Hashable], after: Sequence[Hashable]) -> tuple[int, int]:
    """How many items both sequences start with, and how many of the rest they end with."""
    shorter = min(len(before), len(after))
    start = 0
    while start < shorter and before[start] == after[start]:
        start += 1
    end = 0
    while end < shorter - start and before[-1 - end] == after[-1 - end]:
        end += 1
    return start, end


def _anchors(before: Sequence[Hashable], after: Sequence[Hashable]) -> list[tuple[int, int]]:
    """The most items that occur once on each side and stand in the same order on both."""
    once_before = {item for item, count in Counter(before).items() if count == 1}
    once = {item for item, count in Counter(after).items() if count == 1} & once_before
    places = {item: j for j, item in enumerate(after) if item in once}
    candidates = [(i, places[item]) for i, item in enumerate(before) if item in once]
    # The longest ascending series: `ends[n]` is the lowest j in which a series of n + 1 can end.
    ends: list[int] = []
    series: list[int] = []
    previous: list[int] = []
    for number, (_, j) in enumerate(candidates):
        length = bisect_left(ends, j)
        previous.append(series[length - 1] if length else -1)
        ends[length : length + 1] = [j]
        series[length : length + 1] = [number]
    anchors = []
    number = series[-1] if series else -1
    while number >= 0:
        anchors.append(candidates[number])
        number = previous[number]
    return anchors[::-1]


def _matches(
    before: Sequence[Hashable], after: Sequence[Hashable], budget: Budget
) -> list[tuple[int, int, int]] | None:
    """The equal stretches of one gap, as (position before, position after, length)."""
    if not before or not after:
        return []
    # get_matching_blocks() cannot be stopped: make its searches here, each for a price known in advance.
    occurrences = Counter(after)
    prices = list(accumulate((2 + occurrences[item] for item in before), initial=0))
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    found: list[tuple[int, int, int]] = []
    ranges = [(0, len(before), 0, len(after))]
    while ranges:
        low, high, low_after, high_after = ranges.pop()
        if not budget.spend(prices[high] - prices[low]):
            return None
        i, j, size = matcher.find_longest_match(low, high, low_after, high_after)
        if size:
            found.append((i, j, size))
            if low < i and low_after < j:
                ranges.append((low, i, low_after, j))
            if i + size < high and j + size < high_after:
                ranges.append((i + size, high, j + size, high_after))
    return sorted(found)


def _runs(blocks: list[tuple[int, int, int]]) -> list[Run]:
    runs: list[Run] = []
    i = j = 0
    for next_i, next_j, size in blocks:
        if next_i > i or next_j > j:
            runs.append(Run(False, range(i, next_i), range(j, next_j)))
        if size and runs and runs[-1].equal:
            last = runs.pop()
            runs.append(Run(True, range(last.before.start, next_i + size), range(last.after.start, next_j + size)))
        elif size:
            runs.append(Run(True, range(next_i, next_i + size), range(next_j, next_j + size)))
        i, j = next_i + size, next_j + size
    return runs


def pair(before: Sequence[int], after: Sequence[int], likeness: Callable[[int, int], int]) -> list[tuple[int, int]]:
    """Pairs items, without crossing, so that the sum of their likeness is the greatest possible.

    Likeness 0 means that two items do not belong together. Of several best pairings, the one that
    pairs earlier items is taken. Calls `likeness` once for each combination: keep the runs short.
    """
    scores = [[likeness(i, j) for j in after] for i in before]
    best = [[0] * (len(after) + 1) for _ in range(len(before) + 1)]
    for row in reversed(range(len(before))):
        for column in reversed(range(len(after))):
            paired = scores[row][column] and scores[row][column] + best[row + 1][column + 1]
            best[row][column] = max(paired, best[row + 1][column], best[row][column + 1])
    pairs: list[tuple[int, int]] = []
    row = column = 0
    while row < len(before) and column < len(after):
        score = scores[row][column]
        if score and best[row][column] == score + best[row + 1][column + 1]:
            pairs.append((before[row], after[column]))
            row, column = row + 1, column + 1
        elif best[row][column] == best[row][column + 1]:
            column += 1
        else:
            row += 1
    return pairs
