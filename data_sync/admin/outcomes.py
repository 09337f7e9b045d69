"""After the decision: what became of each change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Count
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _

from data_sync.core.states import ChangesetState, Outcome
from data_sync.models import Change, Changeset
from data_sync.services.apply import is_abandoned
from data_sync.services.progress import Progress, progress

from .following import ABANDONED, progress_document
from .names import model_name
from .pages import get_row, render
from .reverting import standing

if TYPE_CHECKING:
    from .changesets import ChangesetAdmin

PAGE = 100
TELLING = (Outcome.FAILED, Outcome.STALE, Outcome.BLOCKED)
"""The outcomes that somebody has to do something about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    change: Change
    model_name: str
    remedy: str


def result(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """An outcome per change. What went wrong comes first, unless another outcome is asked for."""
    admin.require_view(request)
    changeset = get_row(Changeset, pk, "apply_requested_by", "source", "heartbeat")
    seen = progress(changeset)
    changes = changeset.changes.order_by()
    counts = dict(changes.exclude(outcome="").values_list("outcome").annotate(count=Count("pk")))
    outcome = request.GET.get("outcome", "")
    if "outcome" not in request.GET:
        outcome = next((name.value for name in TELLING if name in counts), "")
    rows = changes.filter(outcome=outcome) if outcome in list(Outcome) else changes.exclude(outcome="")
    after = request.GET.get("after", "")
    if after.isascii() and after.isdigit() and len(after) < 10:
        rows = rows.filter(number__gt=int(after))
    columns = ("changeset", "number", "model", "operation", "key_text", "outcome", "outcome_reason", "kept")
    found = list(rows.order_by("number").only(*columns)[: PAGE + 1])
    return render(
        request,
        admin,
        "result.html",
        title=_("Result of changeset %(number)s") % {"number": pk},
        crumbs=admin.crumbs(changeset, _("Result")),
        changeset=changeset,
        stage=_stage(changeset),
        progress=progress_words(changeset, seen),
        seen=seen,
        outcomes=[(value, words, counts[value]) for value, words in Change.OUTCOMES if value in counts],
        outcome=outcome,
        rows=[
            ResultRow(change=row, model_name=model_name(row.model), remedy=_remedy(row.outcome)) for row in found[:PAGE]
        ],
        has_reasons=any(row.outcome_reason for row in found),
        next=found[PAGE - 1].number if len(found) > PAGE else None,
        total=sum(counts.values()),
        # Where nothing was written, those that were not accepted have no outcome.
        is_complete=sum(counts.values())
        == changeset.creates + changeset.updates + changeset.renames + changeset.deletes,
        page_name="result",
        **standing(changeset),
        **admin.permissions(request),
    )


def _remedy(outcome: str) -> str:
    match outcome:
        case Outcome.FAILED:
            return _("Mend the cause here or at the source and pull again, or reject this change and approve the rest.")
        case _:
            return ""


def status(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """For the script that follows an apply."""
    admin.require_view(request)
    changeset = get_row(Changeset, pk, "heartbeat")
    seen = progress(changeset)
    return JsonResponse(progress_document(seen, progress_words(changeset, seen), _stage(changeset)))


def _stage(changeset: Changeset) -> str:
    return ABANDONED if is_abandoned(changeset) else changeset.state


def progress_words(changeset: Changeset, seen: Progress) -> str:
    if changeset.state == ChangesetState.APPROVED:
        return _("Waiting to be applied")
    if changeset.state != ChangesetState.APPLYING:
        return str(changeset.get_state_display())
    numbers = {"n": seen.done, "total": seen.total}
    match seen.phase:
        case "files":
            return _("Copying files: %(n)s so far") % numbers
        case "checking":
            return _("Comparing rows with what was reviewed: %(n)s of %(total)s") % numbers
        case "writing":
            return _("Writing, all of it or nothing: %(n)s of %(total)s") % numbers
        case "reading back":
            return _("Reading back what was written: %(n)s of %(total)s") % numbers
        case _:
            return _("Being applied: all of it, or nothing")
