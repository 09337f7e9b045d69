"""Rehearsing: writing what an apply would write, finding every error, and taking all of it back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from django.db import DEFAULT_DB_ALIAS, Error, OperationalError, connections, transaction

from data_sync.core.errors import ChangeFailed, InvalidTransition
from data_sync.core.states import ChangesetState, Decision
from data_sync.models import Change, Changeset
from data_sync.orm.refusals import words_of
from data_sync.orm.snapshot import read_what_is_committed

from .actors import Actor
from .deferred import broken_at_the_end, dangling_before
from .execution import Execution
from .plan import Plan
from .read_back import mismatches
from .redaction import every_redacted
from .staleness import stale_rows
from .transitions import refusal

STATES = (ChangesetState.PENDING, ChangesetState.BLOCKED, ChangesetState.APPROVED, ChangesetState.FAILED)
TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What an apply would come to. `written` counts the changes that would be written.

    `errors` has, by number, why a change could not be; `dependents` those that were not tried, or would be of no
    use, because they need such a change. `refusals` says why nothing at all would be written where that is no single
    change's fault; `not_checked` what a rehearsal leaves out. Both in sentences.
    """

    written: int = 0
    errors: dict[int, str] = field(default_factory=dict)
    dependents: dict[int, str] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether everything that was chosen could be written."""
        return not (self.errors or self.dependents or self.refusals)


def rehearse(changeset_id: int, actor: Actor, numbers: Collection[int] | None = None) -> Rehearsal:
    """Tries the accepted changes, those with `numbers`, or, where none is accepted, all without problems.

    Everything is written in one transaction that is always rolled back: state, rows and outcomes stay as they were.
    No signals, no files, no `Model.save()`. Raises `NotPermitted`, or `InvalidTransition` where the changeset is not
    open or the database is busy.
    """
    actor.require("data_sync.approve_changeset")
    changeset = Changeset.objects.filter(pk=changeset_id).first()
    if changeset is None or changeset.purged_at is not None or changeset.state not in STATES:
        raise InvalidTransition(refusal(changeset_id, "be rehearsed"))
    redacted = every_redacted(changeset)
    chosen = _chosen(changeset) if numbers is None else set(numbers)
    for attempt in range(1, TRIES + 1):
        try:
            return _rehearse(changeset, chosen)
        except OperationalError as error:
            # SQLite refuses to write in a transaction that has read what another has altered since.
            if attempt == TRIES or connections[DEFAULT_DB_ALIAS].vendor != "sqlite":
                words = words_of(error, redacted)
                raise InvalidTransition(f"The database is busy: {words}. Nothing was written; try again.") from error
        except Error as error:
            reason = f"The database broke the rehearsal off: {words_of(error, redacted)}. Nothing was written."
            raise InvalidTransition(reason) from error
    raise AssertionError


def _chosen(changeset: Changeset) -> set[int]:
    accepted = set(changeset.changes.filter(decision=Decision.ACCEPTED.value).values_list("number", flat=True))
    return accepted or set(changeset.changes.filter(has_problems=False).values_list("number", flat=True))


def _rehearse(changeset: Changeset, chosen: set[int]) -> Rehearsal:
    read_what_is_committed(DEFAULT_DB_ALIAS)
    with transaction.atomic(using=DEFAULT_DB_ALIAS, durable=True):
        try:
            return _Attempt(changeset, chosen).result()
        finally:
            transaction.set_rollback(True, using=DEFAULT_DB_ALIAS)


class _Attempt:
    """One pass through all steps of an apply. Rows are read before any is written: SQLite's lock is held shortly."""

    def __init__(self, changeset: Changeset, chosen: set[int]) -> None:
        self._changeset = changeset
        self._errors: dict[int, str] = {}
        self._dependents: dict[int, str] = {}
        self._requires = _requires(changeset, chosen)
        self._needed_by: dict[int, list[int]] = {}
        for number, needs in self._requires.items():
            for need in needs:
                self._needed_by.setdefault(need, []).append(number)
        self._plan: Plan | None = None
        for need in sorted(self._needed_by.keys() - chosen):
            self._drop_dependents(need, f"It needs #{need}, which is not among the changes that are tried.")
        self._chosen = chosen

    def result(self) -> Rehearsal:
        plan = self._plan = self._planned()
        self._fail_all(stale_rows(plan))
        before = dangling_before(plan)
        execution = Execution(plan, self._fail, self._fail_all, is_rehearsal=True)
        execution.write()
        execution.close()
        execution.check_deletes()
        execution.delete()
        refusals = []
        for number, reason in broken_at_the_end(plan, before):
            if number is None:
                refusals.append(f"When it commits, the database would refuse it all: {reason}")
            else:
                self._fail(number, reason)
        self._fail_all(mismatches(plan, with_files=False))
        left = self._chosen - self._errors.keys() - self._dependents.keys()
        return Rehearsal(
            written=0 if refusals else sum(number not in plan.done for number in left),
            errors=self._errors,
            dependents=self._dependents,
            refusals=refusals,
            not_checked=list(_not_checked(plan)),
        )

    def _planned(self) -> Plan:
        """The plan of what can be tried at all."""
        while True:
            numbers = self._chosen - self._errors.keys() - self._dependents.keys()
            try:
                return Plan(self._changeset, {}, numbers)
            except ChangeFailed as error:
                self._fail_all(error.reasons)

    def _fail_all(self, reasons: Mapping[int, str]) -> None:
        for number, reason in sorted(reasons.items()):
            self._fail(number, reason)

    def _fail(self, number: int, reason: str) -> None:
        if number in self._errors or number in self._dependents:
            return
        self._errors[number] = reason
        if self._plan is not None:
            self._plan.drop(number)
        self._drop_dependents(number, f"It needs #{number}, which could not be written.")

    def _drop_dependents(self, number: int, reason: str) -> None:
        """Leaves out what needs a change, and what needs that."""
        stack = [number]
        while stack:
            for dependent in self._needed_by.get(stack.pop(), ()):
                if dependent not in self._errors and dependent not in self._dependents:
                    self._dependents[dependent] = reason
                    if self._plan is not None:
                        self._plan.drop(dependent)
                    stack.append(dependent)


def _requires(changeset: Changeset, chosen: Collection[int]) -> dict[int, list[int]]:
    """By number, what each chosen change needs; only of those that need something."""
    needing = Change.objects.filter(changeset=changeset).exclude(requires=[]).values_list("number", "requires")
    return {number: needs for number, needs in needing.iterator(chunk_size=2000) if number in chosen}


def _not_checked(plan: Plan) -> Iterator[str]:
    concerned = [schema for label, schema in plan.schemas.items() if any(plan.entries(label))]
    yield "Signals are not sent: what their receivers would do, or refuse, is not seen."
    saved = [schema.label for schema in concerned if schema.registration.save == "model"]
    if saved:
        yield f"Model.save() is not called, of {', '.join(saved)}: their rows are written as they are."
    if any(schema.files for schema in concerned):
        yield "Files are not copied to their storages, and columns that name them are left as they are."
