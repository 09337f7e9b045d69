"""`list`: the changesets there are, and the pulls that are running."""

from __future__ import annotations

from typing import Any

from data_sync.core.states import AutoApply, ChangesetState
from data_sync.models import Changeset, DataPull
from data_sync.services import expiry
from data_sync.services.progress import progress
from data_sync.services.pull import is_abandoned

from ..progress import steps_text
from ..text.table import table, wrapped
from ..text.words import bounded, line, moment
from .call import Answer, Call, Stream, Verbs
from .pulls import counts, override_hint, signs_text
from .trusting import verdict_text

EXPLAINED = 20
"""Of how many changesets, the latest, a list says why they are stale, failed, blocked or closed, and how long an
approval holds."""
MOST_REASON = 120


def add_verbs(verbs: Verbs) -> None:
    verbs.add("list", list_changesets, "List the changesets, latest first, and the pulls that are running")


def list_changesets(call: Call) -> Answer:
    call.actor.require("data_sync.view_changeset")
    active = list(DataPull.objects.filter(active_source__isnull=False).select_related("heartbeat").order_by("pk"))
    if not call.actor.may("data_sync.view_datapull"):
        active = []
    changesets = list(Changeset.objects.defer("summary").order_by("-pk"))
    return Answer(
        document={
            "changesets": [head(changeset) | {"guards": _codes(changeset)} for changeset in changesets],
            "pulls": [
                {
                    "pull": pull.pk,
                    "source": pull.source_name,
                    "state": pull.state,
                    "phase": seen.phase,
                    "done": seen.done,
                    "total": seen.total,
                }
                for pull in active
                for seen in (progress(pull),)
            ],
        },
        text=_text(changesets, active),
    )


def _text(changesets: list[Changeset], active: list[DataPull]) -> Stream:
    for pull in active:
        steps = steps_text(progress(pull))
        yield f"Pull {pull.pk} of {line(pull.source_name)} is {pull.state}{':' if steps else ''}{steps}."
        if is_abandoned(pull):
            yield "    Nobody is at it. Have it done: data_sync sweep"
    if not changesets:
        yield "There are no changesets. Make one: data_sync pull SOURCE"
        return
    names = ["no", "state", "source", "changes", "conflicts", "pulled", "by"]
    yield from table(names, [_row(changeset) for changeset in changesets], numbers=(0, 4))
    for changeset in changesets[:EXPLAINED]:
        if changeset.auto_state == AutoApply.LEFT and changeset.state == ChangesetState.PENDING:
            reasons = " ".join(reason["message"] for reason in changeset.auto_reasons)
            words = f"{changeset.pk}: not applied by itself: {line(reasons)}"
            yield from wrapped(bounded(words, MOST_REASON), "    ", "  · ")
        if changeset.auto_state == AutoApply.APPROVED:
            yield from wrapped(f"{changeset.pk}: {' '.join(verdict_text(changeset))}", "    ", "  · ")
        if changeset.state_reason:
            yield from wrapped(f"{changeset.pk}: {bounded(line(changeset.state_reason), MOST_REASON)}", "    ", "  · ")
        if changeset.state == ChangesetState.BLOCKED:
            yield f"    {override_hint(changeset)}"
        elif changeset.state == ChangesetState.APPROVED and not changeset.state_reason:
            yield from wrapped(f"{changeset.pk}: {approved_text(changeset)}", "    ", "  · ")


def _codes(changeset: Changeset) -> list[dict[str, str]]:
    """Which guards held it, or hold it still; `show` has their figures."""
    return [{"code": guard["code"], "model": guard.get("model", "")} for guard in changeset.guards]


def _row(changeset: Changeset) -> list[str]:
    return [
        str(changeset.pk),
        changeset.state,
        line(changeset.source_name),
        signs_text(changeset),
        f"{changeset.conflicts:,}",
        moment(changeset.created_at),
        line(changeset.actor),
    ]


def approved_text(changeset: Changeset) -> str:
    """By whom, and until when that holds."""
    until = expiry.holds_until(changeset)
    if until is None:
        return f"Approved by {line(changeset.approval_actor)}."
    holds = "has expired: it held until" if expiry.has_expired(changeset) else "holds until"
    return f"The approval by {line(changeset.approval_actor)} {holds} {moment(until)}."


def head(changeset: Changeset) -> dict[str, Any]:
    until = expiry.holds_until(changeset)
    return {
        "number": changeset.pk,
        "state": changeset.state,
        "reason": changeset.state_reason,
        "by_itself": {"state": changeset.auto_state, "reasons": changeset.auto_reasons}
        if changeset.auto_state
        else None,
        "source": changeset.source_name,
        "created_at": changeset.created_at.isoformat(),
        "by": changeset.actor,
        "counts": counts(changeset),
        "conflicts": changeset.conflicts,
        "compared": changeset.compared,
        "revision": changeset.revision,
        "approved_until": None if until is None else until.isoformat(),
        "applied_at": None if changeset.applied_at is None else changeset.applied_at.isoformat(),
    }
