"""`apply` writes what was approved, or rehearses it; `export` gives the changeset's own JSON document."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.db.models import Count

from data_sync import tasks
from data_sync.core.errors import InvalidInput, InvalidTransition
from data_sync.core.states import ChangesetState, Outcome
from data_sync.models import Changeset
from data_sync.services import apply as service
from data_sync.services.approval import APPROVABLE
from data_sync.services.document import changeset_document

from ..text.table import wrapped
from ..text.words import line, listing
from .call import Answer, Call, Stream, Verbs, changeset_of, number
from .rehearsing import rehearse

UNDONE = (Outcome.STALE, Outcome.BLOCKED, Outcome.FAILED)


def add_verbs(verbs: Verbs) -> None:
    apply = verbs.add("apply", apply_changeset, "Write the accepted changes of an approved changeset, or nothing")
    apply.add_argument("changeset", type=number, metavar="CS", help="the changeset's number")
    apply.add_argument(
        "--rehearse", action="store_true", help="write and take it back, at any time before: says what would go wrong"
    )
    export = verbs.add("export", export_changeset, "Give a changeset, with its decisions and events, as JSON")
    export.add_argument("changeset", type=number, metavar="CS", help="the changeset's number")
    export.add_argument("--output", metavar="FILE", default="-", help="default: standard output")


def apply_changeset(call: Call) -> Answer:
    if call.options["rehearse"]:
        return rehearse(call)
    changeset = changeset_of(call)
    try:
        service.request_apply(changeset.pk, call.actor)
    except InvalidTransition as error:
        changeset.refresh_from_db()
        if changeset.state not in APPROVABLE:
            raise
        raise InvalidTransition(f"{error} Approve it first: data_sync approve {changeset.pk}") from None
    if call.progress is not None:
        call.progress.write(f"Applying changeset {changeset.pk} …\n")
    tasks.submit("apply", changeset.pk, here=True)
    changeset.refresh_from_db()
    outcomes = _outcomes(changeset)
    document: dict[str, Any] = {"changeset": changeset.pk, "state": changeset.state, "outcomes": outcomes}
    if changeset.state == ChangesetState.APPLIED:
        counts = listing([f"{number:,} {outcome}" for outcome, number in outcomes.items()])
        return Answer(document=document, text=[f"Changeset {changeset.pk} is applied: {counts}."])
    if changeset.state in (ChangesetState.APPROVED, ChangesetState.APPLYING):
        # Called within a transaction: it is applied once that is committed.
        return Answer(document=document, text=[f"Changeset {changeset.pk} is {changeset.state}, and will be applied."])
    undone = list(_undone(changeset))
    return Answer(
        document=document | {"reason": changeset.state_reason, "changes": undone},
        text=[text for row in undone for text in _undone_text(row)],
        failure=f"Changeset {changeset.pk} is {changeset.state}, nothing was written: {line(changeset.state_reason)}",
    )


def _outcomes(changeset: Changeset) -> dict[str, int]:
    rows = changeset.changes.exclude(outcome="").order_by().values_list("outcome").annotate(count=Count("pk"))
    found = dict(rows)
    return {outcome.value: found[outcome.value] for outcome in Outcome if outcome.value in found}


def _undone(changeset: Changeset) -> Iterator[dict[str, Any]]:
    """The changes that were the reason why nothing was written."""
    rows = changeset.changes.filter(outcome__in=[outcome.value for outcome in UNDONE]).order_by("number")
    for change in rows.only("changeset", "number", "model", "key", "outcome", "outcome_reason").iterator():
        yield {
            "change": change.number,
            "model": change.model,
            "natural_key": change.key,
            "outcome": change.outcome,
            "reason": change.outcome_reason,
        }


def _undone_text(row: dict[str, Any]) -> list[str]:
    return wrapped(f"#{row['change']} {row['outcome']}: {line(row['reason'])}", "    ", "  · ")


def export_changeset(call: Call) -> Answer:
    changeset = changeset_of(call)
    target = call.options["output"]
    if target == "-":
        return Answer(document=_pieces(changeset, call))
    size = _write(Path(target), changeset_document(changeset, call.actor))
    return Answer(
        document={"changeset": changeset.pk, "file": target, "bytes": size},
        text=[f"Wrote changeset {changeset.pk} to {line(target)}: {size:,} bytes."],
    )


def _pieces(changeset: Changeset, call: Call) -> Stream:
    yield from changeset_document(changeset, call.actor)


def _write(path: Path, pieces: Iterable[str]) -> int:
    """Writes the file whole or not at all: under another name first. Raises `InvalidInput` where it cannot."""
    try:
        if path.exists() and not path.is_file():
            raise InvalidInput(f"{path} is no file that could be written; name another one, or - for standard output.")
        path = path.resolve()
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with part.open("x", encoding="utf-8", newline="\n") as file:
                file.writelines(pieces)
                size = file.tell()
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}.") from None
    return size
