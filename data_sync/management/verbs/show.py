"""`show`: the review of a changeset as text."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

from data_sync.core.errors import InvalidInput
from data_sync.core.states import ChangesetState, Decision, Operation
from data_sync.models import Change, Changeset
from data_sync.services import approval, consequences, expiry, review, revision
from data_sync.services.content import change_content
from data_sync.services.document import override_document
from data_sync.services.moved import Moved, moved_rows
from data_sync.services.redaction import redaction_of
from data_sync.services.seals import kept_of

from ..text.changes import Manner, describe, since_the_pull
from ..text.table import wrapped
from ..text.words import count, line, listing, moment
from .call import Answer, Call, Stream, Verbs, changeset_of, number
from .changesets import approved_text, head
from .pulls import counts_text, guard_lines, override_hint, summary_table
from .rows import day_or_time, show_row
from .selection import add_filters, require_changes, selection_of
from .trusting import verdict_text

BATCH = 200


def add_verbs(verbs: Verbs) -> None:
    show = verbs.add("show", show_changeset, "Show a changeset for review: what differs, and what goes with it")
    show.add_argument("changeset", type=number, nargs="?", metavar="CS", help="the changeset's number")
    show.add_argument(
        "--change", type=number, nargs="+", action="extend", metavar="N", help="these changes only, and in full"
    )
    add_filters(show)
    show.add_argument(
        "--key",
        nargs="+",
        metavar=("MODEL", "KEY"),
        help="instead of a changeset: a model, and a row's natural key; every change that was applied to that row",
    )
    show.add_argument("--at", type=day_or_time, metavar="DATE", help="with --key: the row as it was then")


def show_changeset(call: Call) -> Answer:
    call.actor.require("data_sync.view_changeset")
    if call.options["key"] is not None:
        return show_row(call)
    if call.options["changeset"] is None or call.options["at"] is not None:
        raise InvalidInput("One is required: CS, a changeset's number; or --key MODEL KEY, with which --at may go.")
    changeset = changeset_of(call)
    selection = selection_of(call)
    require_changes(changeset, selection)
    return Answer(document=_document(changeset, selection), text=_text(call, changeset, selection))


def _changes(changeset: Changeset, selection: review.Selection) -> Iterator[Change]:
    return review.select(changeset, selection).iterator(chunk_size=BATCH)


def _document(changeset: Changeset, selection: review.Selection) -> Stream:
    """The review as JSON, one change a line; changes in the order of review."""
    unmet = consequences.unmet_requirements(changeset)
    document = {
        "changeset": head(changeset),
        "models": changeset.summary,
        "guards": changeset.guards,
        "override": override_document(changeset),
        "omitted": changeset.omitted,
        "redacted": changeset.redacted,
        "decisions": review.decision_counts(changeset),
        "unmet": [{"change": accepted, "requires": missing} for accepted, missing in unmet.items()],
    }
    yield f'{json.dumps(document)[:-1]}, "changes": ['
    separator, edited, redaction = "\n", _edited(changeset, selection), redaction_of(changeset)
    for change in _changes(changeset, selection):
        told = _told(edited.get(change.number), redaction.of(change.model))
        of_row = {"changed_since_pull": told} if selection.numbers is not None else {}
        yield separator + json.dumps(change_content(change, redaction) | _decided(change) | of_row)
        separator = ",\n"
    yield "\n]}\n"


def _edited(changeset: Changeset, selection: review.Selection) -> dict[int, Moved]:
    """Rows that were edited after the pull, of changes that are asked for by number."""
    if selection.numbers is None or not revision.is_decidable(changeset):
        return {}
    return moved_rows(changeset, review.select(changeset, selection))


def _told(moved: Moved | None, redacted: Collection[str]) -> dict[str, Any] | None:
    if moved is None or moved.record is None:
        return None if moved is None else {"reason": moved.reason}
    hidden = [name for name in moved.names if name in redacted]
    return {
        "digest": moved.digest,
        "fields": {name: moved.record.fields[name] for name in moved.names if name not in hidden},
        **({"redacted": hidden} if hidden else {}),
    }


def _decided(change: Change) -> dict[str, Any]:
    """What became of a change since it was stored."""
    return {
        "decision": change.decision,
        "kept_fields": kept_of(change.decision, change.kept),
        "acknowledged_digest": change.acknowledged_digest,
        "rename_choice": change.rename_choice if change.operation == Operation.RENAME else None,
        "outcome": change.outcome or None,
        "reason": change.outcome_reason,
    }


def _text(call: Call, changeset: Changeset, selection: review.Selection) -> Stream:
    whole = selection.numbers is not None
    if not whole:
        yield from _heading(changeset)
    manner = Manner(paint=call.paint, whole=whole)
    shown, edited = 0, _edited(changeset, selection)
    for change in _changes(changeset, selection):
        if shown or not whole:
            yield ""
        redacted = changeset.redacted.get(change.model, ())
        yield from describe(change, manner, redacted)
        if change.number in edited:
            yield from since_the_pull(edited[change.number], manner, redacted)
        shown += 1
    if not whole:
        yield ""
        yield from _closing(changeset)


def _heading(changeset: Changeset) -> Stream:
    yield f"Changeset {changeset.pk} from {line(changeset.source_name)}: {changeset.state}"
    if changeset.state == ChangesetState.BLOCKED:
        yield from guard_lines(changeset.guards)
    elif changeset.state_reason:
        yield from wrapped(line(changeset.state_reason), "    ")
    rows = count(changeset.compared, "row")
    yield f"Pulled {moment(changeset.created_at)} by {line(changeset.actor)}; {rows} compared."
    yield f"{counts_text(changeset)}. {decisions_text(changeset)}."
    yield from verdict_text(changeset)
    yield ""
    yield from summary_table(changeset.summary)
    event = approval.overridden(changeset)
    if event is not None:
        who = f"{line(event.actor)}, {moment(event.at)}: {line(event.detail['reason'])}"
        yield from wrapped(f"Guards overridden by {who}", "    ", "")
        yield from guard_lines(changeset.guards)
    for label, names in changeset.omitted.items():
        yield from wrapped(f"{label}: left out, because the two sides do not agree on it: {listing(names)}", "    ")


def _closing(changeset: Changeset) -> Stream:
    unmet = consequences.unmet_requirements(changeset)
    for accepted, missing in list(unmet.items())[:5]:
        numbers = listing([f"#{other}" for other in missing], 10)
        yield f"#{accepted} is accepted and requires {numbers}, not accepted."
    if len(unmet) > 5:
        yield f"And {len(unmet) - 5:,} more accepted changes require some that are not."
    open_conflicts = changeset.changes.filter(is_conflict=True, decision=Decision.UNDECIDED.value).count()
    if open_conflicts and changeset.state == ChangesetState.PENDING:
        yield from wrapped(
            f"{count(open_conflicts, 'conflict')} undecided: rows that were changed here. Accept them by name: "
            f"data_sync accept {changeset.pk} --change N --acknowledge",
            "    ",
            "",
        )
    match changeset.state:
        case ChangesetState.PENDING:
            yield f"Decide: data_sync accept {changeset.pk} --all, or --change N; then data_sync approve {changeset.pk}"
        case ChangesetState.BLOCKED:
            yield f"Blocked. {override_hint(changeset)}"
        case ChangesetState.APPROVED if expiry.has_expired(changeset):
            yield f"{approved_text(changeset)} Approve it anew: data_sync approve {changeset.pk}"
        case ChangesetState.APPROVED:
            yield f"{approved_text(changeset)} Apply it: data_sync apply {changeset.pk}"
        case _:
            yield f"Changeset {changeset.pk} is {changeset.state}."


def decisions_text(changeset: Changeset) -> str:
    """`3 accepted, 1 rejected, 2 undecided`."""
    found = review.decision_counts(changeset)
    order = (Decision.ACCEPTED, Decision.REJECTED, Decision.UNDECIDED)
    return listing([f"{found[decision.value]:,} {decision}" for decision in order])
