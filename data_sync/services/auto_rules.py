"""When a changeset may be applied without review: one rule a function, each of which says in words why not.

Pure: what is looked at is `Facts`, what is allowed is `TrustLimits`. There is no order among the rules, and all are
asked: who has to review a changeset is told everything that is in the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from data_sync.core.states import Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustLimits:
    """What a source is trusted with. `max_deletes` counts within `max_changes`, and what is severed within that."""

    models: tuple[str, ...]
    operations: tuple[Operation, ...]
    max_changes: int
    max_deletes: int
    unattended: bool

    def to_plain(self) -> dict[str, Any]:
        return {
            "models": list(self.models),
            "operations": [operation.value for operation in self.operations],
            "max_changes": self.max_changes,
            "max_deletes": self.max_deletes,
            "unattended": self.unattended,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What there is to know of a changeset. Numbers are of changes.

    `models` are those that have changes; `unagreed` those of them of which nothing was agreed on with the source before
    this pull, or nobody has looked at what was found then; `omitted` those that have fields left out. `severed` are
    links that updates cut, and references that they make empty. `guards` are sentences. `others_at_it` are the
    changesets, this or earlier ones, at which somebody is or was. `lacks` says what who is answerable may not do, ""
    for nothing.
    """

    is_allowed: bool = True
    lacks: str = ""
    needs_others: bool = False
    guards: tuple[str, ...] = ()
    omitted: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    unagreed: tuple[str, ...] = ()
    counts: Mapping[Operation, int] = field(default_factory=dict)
    severed: int = 0
    conflicts: int = 0
    unknown_base: int = 0
    cascades: int = 0
    missing_references: int = 0
    other_problems: int = 0
    warnings: int = 0
    rejected_before: int = 0
    kept_before: int = 0
    others_at_it: tuple[int, ...] = ()


Rule = Callable[[TrustLimits, Facts], Iterator[str]]
"""Yields the sentences that say why not; none where nothing is in the way."""


def reasons(limits: TrustLimits | None, facts: Facts) -> list[dict[str, str]]:
    """Why a changeset has to wait for review, as `code` and `message`; empty where it may be applied without.

    Without limits the source is not trusted, and nothing else is asked.
    """
    found = [*_told("switched_off", _switched_off(facts))]
    if limits is None:
        return [*found, *_told("not_trusted", iter(["The source is not trusted."]))]
    return found + [reason for code, rule in RULES.items() for reason in _told(code, rule(limits, facts))]


def _told(code: str, sentences: Iterator[str]) -> Iterator[dict[str, str]]:
    return ({"code": code, "message": sentence} for sentence in sentences)


def _switched_off(facts: Facts) -> Iterator[str]:
    if not facts.is_allowed:
        yield "DATA_SYNC_AUTO_APPLY is off: nothing is applied without review."


def _authority(limits: TrustLimits, facts: Facts) -> Iterator[str]:
    if facts.lacks:
        yield facts.lacks


def _four_eyes(limits: TrustLimits, facts: Facts) -> Iterator[str]:
    if facts.needs_others:
        yield (
            "Four eyes are required, and who switched trust on is who asked for the pull, or is no user: somebody else "
            "has to approve."
        )


def _guard(limits: TrustLimits, facts: Facts) -> Iterator[str]:
    yield from facts.guards


def _schema(limits: TrustLimits, facts: Facts) -> Iterator[str]:
    if facts.omitted:
        yield f"The two sides do not agree on fields of {_some(facts.omitted)}, which were left out."


def _model(limits: TrustLimits, facts: Facts) -> Iterator[str]:
    others = [label for label in facts.models if label not in limits.models]
    if others:
        yield f"The source is not trusted with {_some(others)}."


def _operation(limits: TrustLimits, facts: Facts) -> Iterator[str]:
    others = [
        _count(number, operation.value)
        for operation in Operation
        if (number := facts.counts.get(operation, 0)) and operation not in limits.operations
    ]
    if others:
        yield f"The source is not trusted with this operation: {_some(others)}."
    if facts.severed and Operation.DELETE not in limits.operations:
        yield (
            f"Updates take away {_count(facts.severed, 'link or reference', 'links or references')}, and the source is "
            "not trusted with deletes."
        )


def _changes(limits: TrustLimits, facts: Facts) -> Iterator[str]:
    total = sum(facts.counts.values())
    if total > limits.max_changes:
        yield f"{_count(total, 'change')}, and {limits.max_changes:,} is the most."


def _deletes(limits: TrustLimits, facts: Facts) -> Iterator[str]:
    deletes, severed = facts.counts.get(Operation.DELETE, 0), facts.severed
    if Operation.DELETE in limits.operations and deletes + severed > limits.max_deletes:
        also = f" and {_count(severed, 'link or reference', 'links or references')} taken away" if severed else ""
        yield f"{_count(deletes, 'delete')}{also}, and {limits.max_deletes:,} is the most."


def _first_pull(limits: TrustLimits, facts: Facts) -> Iterator[str]:
    if facts.unagreed:
        yield (
            f"Nothing was agreed on with this source before about {_some(facts.unagreed)}, or nobody has applied or "
            "rejected yet what was found then."
        )


def _conflict(limits: TrustLimits, facts: Facts) -> Iterator[str]:
    if facts.conflicts:
        yield f"{_count(facts.conflicts, 'conflict')}: rows that were changed here, too."


def _unknown_base(limits: TrustLimits, facts: Facts) -> Iterator[str]:
    if facts.unknown_base:
        changes = _count(facts.unknown_base, "change")
        yield f"{changes} of unknown base: nobody can tell whether the row was edited here."


def _cascade(limits: TrustLimits, facts: Facts) -> Iterator[str]:
    if facts.cascades:
        yield f"{_count(facts.cascades, 'change')} would take other rows along."


def _missing_reference(limits: TrustLimits, facts: Facts) -> Iterator[str]:
    if facts.missing_references:
        yield f"{_count(facts.missing_references, 'change')} with a missing reference."


def _problem(limits: TrustLimits, facts: Facts) -> Iterator[str]:
    if facts.other_problems:
        yield f"{_count(facts.other_problems, 'change')} with a problem that forbids applying."


def _warning(limits: TrustLimits, facts: Facts) -> Iterator[str]:
    if facts.warnings:
        yield f"{_count(facts.warnings, 'change')} with a warning of the model's own validators."


def _rejected(limits: TrustLimits, facts: Facts) -> Iterator[str]:
    if facts.rejected_before:
        yield f"{_count(facts.rejected_before, 'change')} of rows of which somebody has rejected a change before."


def _kept(limits: TrustLimits, facts: Facts) -> Iterator[str]:
    if facts.kept_before:
        yield f"{_count(facts.kept_before, 'change')} of rows of which somebody has kept fields as they are here."


def _others(limits: TrustLimits, facts: Facts) -> Iterator[str]:
    if facts.others_at_it:
        numbers = _some([str(number) for number in facts.others_at_it])
        yield f"Somebody has decided or commented in changeset {numbers}."


RULES: Mapping[str, Rule] = {
    "authority": _authority,
    "four_eyes": _four_eyes,
    "guard": _guard,
    "schema_difference": _schema,
    "model": _model,
    "operation": _operation,
    "too_many_changes": _changes,
    "too_many_deletes": _deletes,
    "first_pull": _first_pull,
    "conflict": _conflict,
    "unknown_base": _unknown_base,
    "cascade": _cascade,
    "missing_reference": _missing_reference,
    "problem": _problem,
    "warning": _warning,
    "rejected_before": _rejected,
    "kept_before": _kept,
    "somebody_at_it": _others,
}
"""By the code of their reasons."""


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _some(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
