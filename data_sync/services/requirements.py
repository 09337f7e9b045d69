"""What changes require of each other, as far as a decision needs to know it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, assert_never

from django.db.models import Q, QuerySet

from data_sync.core import canonical, ordering
from data_sync.core.errors import InvalidTransition, RequirementRejected
from data_sync.core.states import Decision, Operation
from data_sync.models import Change, Changeset
from data_sync.models.fields import as_stored
from data_sync.orm.batches import batches

FEW = 20
"""For so many changes the database looks for those that require them, instead of all requirements being read."""


def requires_of(changes: QuerySet[Change]) -> dict[int, list[int]]:
    """What each of the changes requires; those that require nothing are not in it, nor is what kept fields waive."""
    some = changes.order_by().annotate(required=as_stored("requires")).exclude(required="[]")
    rows = some.values_list("number", "requires", "kept").iterator(chunk_size=2000)
    return {number: needs for number, requires, kept in rows if (needs := needs_of(requires, kept))}


def needs_of(requires: list[int], kept: Mapping[str, Any]) -> list[int]:
    """What a change requires, given what is stored of its requirements and of the fields it keeps."""
    return [need for need in requires if need not in kept.get("waives", ())]


def unmet_requirements(changeset: Changeset) -> dict[int, list[int]]:
    """For each accepted change, the changes it requires that are not accepted; empty when closed."""
    accepted = _of_decision(changeset, Decision.ACCEPTED)
    requires = requires_of(accepted)
    if not requires:
        return {}
    return ordering.unmet(set(accepted.values_list("number", flat=True)), requires)


def refuse_replacement(changeset: Changeset, changes: QuerySet[Change]) -> None:
    """Raises `InvalidTransition` for a rename whose row others refer to: deleting it would take them along for good."""
    renames = changes.filter(operation=Operation.RENAME.value)
    dependents = _dependents(changeset, set(renames.values_list("number", flat=True)))
    for change in renames.order_by("number"):
        if change.has_cascades or change.number in dependents:
            raise InvalidTransition(
                f"Change {name_of(change)} cannot delete the row and add a new one: other rows here refer to the row, "
                "and would go along. Rename it, or pull again without finding renames, which proposes those, too."
            )


def _dependents(changeset: Changeset, numbers: set[int]) -> set[int]:
    """Those of these changes that others require."""
    if not numbers:
        return set()
    return {number for required in requires_of(changeset.changes.all()).values() for number in required} & numbers


def closure(changeset: Changeset, numbers: Collection[int], decision: Decision) -> list[int]:
    """As `closure_of`, for changes given by number."""
    return closure_of(changeset, changeset.changes.filter(number__in=numbers), decision)


def closure_of(changeset: Changeset, changes: QuerySet[Change], decision: Decision) -> list[int]:
    """What has to be decided with these changes, so that no accepted change lacks one that it requires.

    Accepting: all that they require, and what that requires. Rejecting: accepted changes that require them, and
    those that require these. In number order, without the given ones and those so decided already.
    """
    numbers = set(changes.values_list("number", flat=True))
    match decision:
        case Decision.ACCEPTED:
            needed = required_by(changeset, numbers, requires_of(changes))
            return sorted(needed.difference(_numbers(changeset, needed, decision=Decision.ACCEPTED.value)))
        case Decision.REJECTED:
            return sorted(ordering.dependents(numbers, requires_of(_of_decision(changeset, Decision.ACCEPTED))))
        case Decision.UNDECIDED:
            return []
        case _:
            assert_never(decision)


def required_by(changeset: Changeset, numbers: Collection[int], requires: Mapping[int, Collection[int]]) -> set[int]:
    """Everything that these changes require, given what they require themselves; without them."""
    found = set(numbers)
    frontier = {need for needs in requires.values() for need in needs} - found
    while frontier:
        found |= frontier
        frontier = {need for needs in _requires(changeset, frontier).values() for need in needs} - found
    return found.difference(numbers)


def refuse_rejected_requirements(changeset: Changeset, changes: QuerySet[Change]) -> None:
    """Raises `RequirementRejected` if one of the changes, to be accepted, requires a rejected one that is not."""
    requires = requires_of(changes)
    needed = {need for needs in requires.values() for need in needs}.difference(
        changes.values_list("number", flat=True)
    )
    rejected = set(_numbers(changeset, needed, decision=Decision.REJECTED.value))
    found = {number: sorted(rejected & set(needs)) for number, needs in requires.items() if rejected & set(needs)}
    if found:
        number, missing = min(found.items())
        raise RequirementRejected(
            f"Change {named(changeset, [number])} requires {named(changeset, missing)}, which {_are(missing)} "
            f"rejected{more_like(found)}. Nothing was decided: accept them together, or leave this.",
            number,
            missing,
        )


def refuse_accepted_dependents(changeset: Changeset, changes: QuerySet[Change]) -> None:
    """Raises `RequirementRejected` if an accepted change requires one of these, which are to be rejected."""
    given = set(changes.values_list("number", flat=True))
    found: dict[int, list[int]] = {}
    for dependent, needs in requires_that_may_include(changeset, given).items():
        for number in given.intersection(needs) if dependent not in given else ():
            found.setdefault(number, []).append(dependent)
    if found:
        number, missing = min(found.items())
        missing.sort()
        raise RequirementRejected(
            f"Change {named(changeset, [number])} is required by {named(changeset, missing)}, which {_are(missing)} "
            f"accepted{more_like(found)}. Nothing was decided: reject them together, or leave this.",
            number,
            missing,
        )


def requires_that_may_include(changeset: Changeset, numbers: set[int]) -> dict[int, list[int]]:
    """What accepted changes require; for a few numbers, only of changes whose requirements name one."""
    accepted = _of_decision(changeset, Decision.ACCEPTED)
    if not numbers:
        return {}
    if len(numbers) <= FEW:
        named = Q()
        for number in numbers:
            for start, end in (("[", "]"), ("[", ","), (",", "]"), (",", ",")):
                named |= Q(required__contains=f"{start}{number}{end}")
        accepted = accepted.annotate(required=as_stored("requires")).filter(named)
    return requires_of(accepted)


def refuse_problems(changes: QuerySet[Change], *, are_required: bool = False) -> None:
    """Raises `InvalidTransition`, naming the first of these changes that cannot be applied."""
    change = changes.filter(has_problems=True).order_by("number").first()
    if change is not None:
        why = "is required, but cannot" if are_required else "cannot"
        raise InvalidTransition(
            f"Change {name_of(change)} {why} be applied: {change.problems[0]['message']} Nothing was decided."
        )


def name_of(change: Change) -> str:
    """A change in messages."""
    return f"#{change.number} ({change.model} {canonical.dumps(change.key)})"


def named(changeset: Changeset, numbers: list[int]) -> str:
    """Some changes in messages."""
    changes = (
        changeset.changes.filter(number__in=numbers[:3]).only("changeset", "number", "model", "key").order_by("number")
    )
    more = f" and {len(numbers) - 3} more" if len(numbers) > 3 else ""
    return ", ".join(name_of(change) for change in changes) + more


def _are(members: Collection[Any]) -> str:
    return "is" if len(members) == 1 else "are"


def more_like(found: Collection[Any]) -> str:
    """How many a message does not name beside the first, if any."""
    return f" ({len(found) - 1} more like it)" if len(found) > 1 else ""


def _of_decision(changeset: Changeset, decision: Decision) -> QuerySet[Change]:
    return changeset.changes.filter(decision=decision.value).order_by()


def _requires(changeset: Changeset, numbers: Iterable[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for batch in batches(numbers):
        found |= requires_of(changeset.changes.filter(number__in=batch))
    return found


def _numbers(changeset: Changeset, numbers: Collection[int], **only: Any) -> Iterator[int]:
    for batch in batches(numbers):
        yield from changeset.changes.filter(number__in=batch, **only).values_list("number", flat=True)
