"""Ordering by dependency: models by their references, rows by theirs, and what a choice leaves open."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


def in_dependency_order(nodes: Iterable[Node], needs: Mapping[Node, Collection[Node]]) -> list[Node]:
    """The nodes, each after those it needs; equal inputs give equal order.

    Needs outside `nodes` are ignored. Raises `CycleError` with the path of a cycle.
    """
    ordered: list[Node] = []
    known = list(nodes)
    members = set(known)
    done: set[Node] = set()
    for start in known:
        path: dict[Node, Iterable[Node]] = {}
        stack = [start]
        while stack:
            node = stack[-1]
            if node in done:
                stack.pop()
                continue
            if node not in path:
                path[node] = iter([need for need in needs.get(node, ()) if need in members and need != node])
            following = next(iter(path[node]), None)
            if following is None:
                done.add(node)
                ordered.append(node)
                del path[node]
                stack.pop()
            elif following in path:
                walk = list(path)
                raise CycleError([*walk[walk.index(following) :], following])
            else:
                stack.append(following)
    return ordered


class CycleError(ValueError):
    """`path` starts and ends with the same node."""

    def __init__(self, path: list[Node]) -> None:
        super().__init__(" → ".join(str(node) for node in path))
        self.path = path


def unmet(chosen: Collection[int], requires: Mapping[int, Collection[int]]) -> dict[int, list[int]]:
    """For each chosen change, the numbers it requires that are not chosen; empty when closed."""
    members = set(chosen)
    missing = {number: sorted(set(requires.get(number, ())) - members) for number in sorted(members)}
    return {number: numbers for number, numbers in missing.items() if numbers}


def closure(chosen: Iterable[int], requires: Mapping[int, Collection[int]]) -> set[int]:
    """The chosen changes with everything they require, and what that requires."""
    result: set[int] = set()
    stack = list(chosen)
    while stack:
        number = stack.pop()
        if number not in result:
            result.add(number)
            stack.extend(requires.get(number, ()))
    return result


def dependents(numbers: Collection[int], requires: Mapping[int, Collection[int]]) -> set[int]:
    """Those that require one of the given changes, directly or through others; never the given ones themselves."""
    needed_by: dict[int, list[int]] = {}
    for number, needs in requires.items():
        for need in needs:
            needed_by.setdefault(need, []).append(number)
    return closure(numbers, needed_by) - set(numbers)
