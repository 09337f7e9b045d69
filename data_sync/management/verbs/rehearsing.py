"""`apply --rehearse`: what an apply would come to, before anybody approves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_sync.models import Changeset
from data_sync.services.rehearsal import Rehearsal
from data_sync.services.rehearsal import rehearse as rehearse_changes

from ..text.table import wrapped
from ..text.words import count, line
from .call import FOUND, Answer, Call, Stream, changeset_of

BATCH = 500


def rehearse(call: Call) -> Answer:
    """Answers with 2 where something could not be written, as `doctor` does: the rehearsal itself went well."""
    changeset = changeset_of(call)
    if call.progress is not None:
        call.progress.write(f"Rehearsing changeset {changeset.pk} …\n")
    found = rehearse_changes(changeset.pk, call.actor)
    errors, dependents = _rows(changeset, found.errors), _rows(changeset, found.dependents)
    return Answer(
        document={
            "changeset": changeset.pk,
            "state": changeset.state,
            "would_write": found.written,
            "errors": errors,
            "dependents": dependents,
            "refusals": found.refusals,
            "not_checked": found.not_checked,
        },
        text=_text(changeset, found, errors, dependents),
        code=0 if found.is_clean else FOUND,
    )


def _rows(changeset: Changeset, reasons: Mapping[int, str]) -> list[dict[str, Any]]:
    """Each change with its sentence, by number."""
    numbers = sorted(reasons)
    rows: list[dict[str, Any]] = []
    for start in range(0, len(numbers), BATCH):
        changes = changeset.changes.filter(number__in=numbers[start : start + BATCH]).order_by("number")
        rows += (
            {
                "change": change.number,
                "model": change.model,
                "natural_key": change.key,
                "operation": change.operation,
                "reason": reasons[change.number],
            }
            for change in changes.only("changeset", "number", "model", "key", "operation")
        )
    return rows


def _text(
    changeset: Changeset, found: Rehearsal, errors: list[dict[str, Any]], dependents: list[dict[str, Any]]
) -> Stream:
    yield f"Rehearsal of changeset {changeset.pk}: {count(found.written, 'change')} would be written; nothing was."
    for sentence in found.refusals:
        yield from wrapped(line(sentence), "    ", "  · ")
    if errors:
        yield f"{count(len(errors), 'change')} could not be:"
        yield from _lines(errors)
    if dependents:
        yield f"{count(len(dependents), 'change')} not tried, because of what they need:"
        yield from _lines(dependents)
    if found.not_checked:
        yield "Not checked:"
        for sentence in found.not_checked:
            yield from wrapped(line(sentence), "    ", "  · ")


def _lines(rows: list[dict[str, Any]]) -> Stream:
    for row in rows:
        yield from wrapped(f"#{row['change']} {row['operation']} {row['model']}: {line(row['reason'])}", "    ", "  · ")
