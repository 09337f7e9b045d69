"""`pull` makes a changeset of what differs; `cancel` stops a pull."""

from __future__ import annotations

from typing import Any

from data_sync import tasks
from data_sync.core.errors import InvalidInput
from data_sync.core.states import ChangesetState, Operation, PullKind, PullState
from data_sync.models import Changeset, DataPull
from data_sync.services import approval
from data_sync.services import pull as service

from .. import progress
from ..text.table import table, wrapped
from ..text.words import count, line, listing
from .call import FOUND, Answer, Call, Stream, Verbs, changeset_of, labels, number, source_of
from .trusting import verdict_document, verdict_text

RARE = ("rename", "conflicts", "cascades", "problems", "warnings")


def add_verbs(verbs: Verbs) -> None:
    pull = verbs.add("pull", pull_source, "Compare with a source, and store what differs as a changeset")
    pull.add_argument("source", metavar="SOURCE", help="the source's name")
    pull.add_argument("--models", type=labels, default=(), metavar="A.B,C.D", help="only these; default all")
    pull.add_argument(
        "--no-renames", dest="find_renames", action="store_false", help="take renamed rows for deleted and added ones"
    )
    pull.add_argument(
        "--apply", action="store_true", help="apply what is found, within what the source is trusted with"
    )
    stop = verbs.add("cancel", cancel, "Stop a pull that is queued or running, or withdraw an approval")
    which = stop.add_mutually_exclusive_group(required=True)
    which.add_argument("pull", type=number, nargs="?", metavar="PULL", help="the pull's number")
    which.add_argument(
        "--changeset", type=number, metavar="CS", help="withdraw the approval of this one, which stops a queued apply"
    )


def pull_source(call: Call) -> Answer:
    pull = service.request_pull(
        source_of(call.options["source"]),
        call.options["models"],
        call.actor,
        find_renames=call.options["find_renames"],
        wants_apply=call.options["apply"],
    )
    return run(pull, call)


def run(pull: DataPull, call: Call) -> Answer:
    """Does a pull that was asked for, or has a queue do it, and says what came of it."""
    with progress.shown(pull, call.progress):
        tasks.submit("pull", pull.pk, here=True)
    return answer_of(pull)


def answer_of(pull: DataPull) -> Answer:
    """What a pull has come to that was done here."""
    pull.refresh_from_db()
    document: dict[str, Any] = {"pull": pull.pk, "state": pull.state}
    if PullState(pull.state).is_active:  # Called within a transaction: it runs once that is committed.
        return Answer(document=document, text=[f"Pull {pull.pk} of {line(pull.source_name)} is {pull.state}."])
    differences = pull.report.get("schema", [])
    if pull.state in (PullState.FAILED, PullState.CANCELLED):
        return Answer(
            document=document | {"error": pull.error, "schema": differences},
            text=_differences(differences),
            failure=line(pull.error) or f"Pull {pull.pk} was cancelled.",
        )
    changeset = Changeset.objects.filter(pull=pull).first()
    document |= {
        "changeset": None if changeset is None else changeset.pk,
        "counts": counts(changeset),
        "compared": pull.compared,
        "conflicts": 0 if changeset is None else changeset.conflicts,
    }
    if differences:
        document["schema"] = differences
    if changeset is not None and changeset.guards:
        document["guards"] = changeset.guards
    if pull.wants_apply or (changeset is not None and changeset.auto_state):
        document |= verdict_document(changeset)
    is_over = changeset is None or changeset.state == ChangesetState.APPLIED
    return Answer(
        document=document, text=_found(pull, changeset), code=0 if is_over else FOUND, failure=_given_up(changeset)
    )


def _given_up(changeset: Changeset | None) -> str:
    """Why an apply without review, which nothing was against, came to nothing."""
    if changeset is None or changeset.state not in (ChangesetState.STALE, ChangesetState.FAILED):
        return ""
    return f"Changeset {changeset.pk} is {changeset.state}, nothing was written: {line(changeset.state_reason)}"


def cancel(call: Call) -> Answer:
    return _cancel_pull(call) if call.options["changeset"] is None else _withdraw(call)


def _withdraw(call: Call) -> Answer:
    changeset = changeset_of(call)
    approval.withdraw(changeset.pk, call.actor)
    return Answer(
        document={"changeset": changeset.pk, "state": ChangesetState.PENDING.value},
        text=[f"The approval of changeset {changeset.pk} is withdrawn; it is pending again, and nothing was written."],
    )


def _cancel_pull(call: Call) -> Answer:
    pull = DataPull.objects.filter(pk=call.options["pull"]).first()
    if pull is None:
        raise InvalidInput(f"There is no pull {call.options['pull']}.")
    service.cancel_pull(pull.pk, call.actor)
    return Answer(
        document={"pull": pull.pk, "state": PullState.CANCELLED.value},
        text=[f"Pull {pull.pk} of {line(pull.source_name)} is cancelled; nothing of it was stored."],
    )


def counts(changeset: Changeset | None) -> dict[str, int]:
    """How many changes of each operation."""
    if changeset is None:
        return dict.fromkeys((operation.value for operation in Operation), 0)
    return {
        "create": changeset.creates,
        "update": changeset.updates,
        "delete": changeset.deletes,
        "rename": changeset.renames,
    }


def counts_text(changeset: Changeset) -> str:
    """`12 creates, 80 updates, 2 deletes; 1 conflict`, without what is not there."""
    text = listing([count(number, operation) for operation, number in counts(changeset).items() if number])
    return f"{text}; {count(changeset.conflicts, 'conflict')}" if changeset.conflicts else text


def signs_text(changeset: Changeset) -> str:
    """`+12 ~80 -2`, and `→1` for renames where there are some: for tables."""
    text = f"+{changeset.creates:,} ~{changeset.updates:,} -{changeset.deletes:,}"
    return f"{text} →{changeset.renames:,}" if changeset.renames else text


def summary_table(rows: list[dict[str, Any]]) -> Stream:
    """What was compared and found, per model; what is rare has a column only where there is some of it."""
    columns = ["compared", "create", "update", "delete"]
    columns += [name for name in RARE if any(row.get(name) for row in rows)]
    body = [[line(row["label"]), *(f"{row.get(name, 0):,}" for name in columns)] for row in rows]
    return table(["model", *columns], body, numbers=range(1, len(columns) + 1))


def _found(pull: DataPull, changeset: Changeset | None) -> Stream:
    begin = f"Pull {pull.pk} of {line(pull.source_name)}: {count(pull.compared, 'row')} compared"
    differences = pull.report.get("schema", [])
    if changeset is None:
        yield f"{begin}, nothing differs."
        if pull.kind == PullKind.REVERT:
            yield "The rows are as they were before it was applied, and there is nothing to undo."
    else:
        yield f"{begin}, {counts_text(changeset)}."
        yield ""
        yield from summary_table(changeset.summary)
        yield ""
    yield from _differences(pull.report.get("staying", []))
    if differences:
        yield "Left out, because the two sides do not agree on it:"
        yield from _differences(differences)
    if changeset is None:
        return
    yield from verdict_text(changeset)
    if changeset.state == ChangesetState.BLOCKED:
        yield f"Changeset {changeset.pk} is blocked:"
        yield from guard_lines(changeset.guards)
        yield override_hint(changeset)
    done = changeset.state == ChangesetState.APPLIED
    yield f"See it: data_sync show {changeset.pk}" if done else f"Review it: data_sync show {changeset.pk}"


def guard_lines(guards: list[dict[str, Any]]) -> Stream:
    """Why a changeset is, or was, blocked: a guard a line."""
    for guard in guards:
        yield from wrapped(line(guard["message"]), "    ", "  · ")


def override_hint(changeset: Changeset) -> str:
    mend = "Revert less of it" if changeset.kind == PullKind.REVERT else "Mend the source and pull again"
    return f"{mend}; or, if it is right: data_sync override {changeset.pk} --reason TEXT"


def _differences(differences: list[dict[str, str]]) -> Stream:
    """Where the two sides' models differ, one a line; the sentence of the failure names the first ones only."""
    for row in differences:
        place = f"{row['model']}.{row['field']}" if row["field"] else row["model"]
        yield from wrapped(line(f"{place} {row['difference']}"), "    ", "  · ")
