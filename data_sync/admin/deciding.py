"""Decisions from a review: one change, all that match, or what belongs to an accepted one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from data_sync.core.errors import DataSyncError, NotAcknowledged, NotPermitted, RequirementRejected, RevisionConflict
from data_sync.core.states import Decision, RenameChoice
from data_sync.models import Changeset
from data_sync.services import review, undoing
from data_sync.services.requirements import unmet_requirements

from . import closure, overview, remarks
from .bulk import Bulk, decided_words, undo_words, undone_words
from .confirmation import needed_of
from .filters import Filters, UnclearForm
from .pages import actor_of, attempt, get_row, render

if TYPE_CHECKING:
    from .changesets import ChangesetAdmin

CONFLICT = gettext_lazy(
    "This changeset was decided on elsewhere, by another person or in another tab. Nothing was changed."
)

UNCLEAR = gettext_lazy(
    "It is not clear what the form was about: the page may be from before an update. Nothing was changed. Reload it."
)


def decide(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """One decision, or one for all that match. Answers a script with JSON, a form with the page it came from."""
    changeset = get_row(Changeset, pk)
    wants_json = request.headers.get("Accept", "").startswith("application/json")
    back = remarks.back(admin, request, pk)
    actor = actor_of(request)
    try:
        actor.require("data_sync.approve_changeset")
        filters = Filters.posted(request.POST)
        decision, revision, consents = _understood(request.POST, filters)
        decided = review.decide(pk, filters.selection(request.user.pk), decision, actor, revision=revision, **consents)
    except NotPermitted as error:
        if wants_json:
            return JsonResponse({"error": str(error)}, status=403)
        raise
    except UnclearForm:
        if wants_json:
            return JsonResponse({"error": str(UNCLEAR), "remedy": "reload"}, status=400)
        return conflict_page(admin, request, changeset, str(UNCLEAR), back, status=400)
    except RevisionConflict:
        if wants_json:
            return JsonResponse({"error": str(CONFLICT), "remedy": "reload"}, status=409)
        return conflict_page(admin, request, changeset, str(CONFLICT), back)
    except RequirementRejected as error:
        found = closure.together(changeset, error, decision)
        if wants_json:
            return closure.as_json(found, error)
        return closure.as_page(admin, request, changeset, found, error)
    except DataSyncError as error:
        if wants_json:
            remedy = "none"  # Whatever else is refused is refused again.
            if isinstance(error, NotAcknowledged) and error.number == filters.number:
                remedy = "acknowledge" if error.digest == request.POST.get("seen", "") else "reload"
            return JsonResponse({"error": str(error), "remedy": remedy}, status=400)
        messages.error(request, str(error))
        # Above the card alone: further down a page, nobody would see the message.
        return redirect(back if filters.number is None else f"{admin.url('change', pk)}?number={filters.number}")
    if wants_json:
        also = dict.fromkeys(decided.also_decided, decision.value)
        return JsonResponse(_progress(request, changeset, decided.revision) | ({"also": also} if also else {}))
    if filters.number is None or decided.also_decided:
        level = messages.SUCCESS if decided.count else messages.WARNING
        messages.add_message(request, level, decided_words(decided, decision))
    return redirect(back)


def undo(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Takes the latest decision on many changes back."""
    changeset = get_row(Changeset, pk)
    back = remarks.back(admin, request, pk)
    try:
        revision = int(request.POST.get("revision", ""))
    except ValueError:
        raise Http404 from None

    def step() -> None:
        messages.success(request, undone_words(undoing.undo(pk, actor_of(request), revision=revision)))

    try:
        return attempt(request, step, back)
    except RevisionConflict:
        return conflict_page(admin, request, changeset, str(CONFLICT), back)


def _understood(given: QueryDict, filters: Filters) -> tuple[Decision, int, dict[str, Any]]:
    """What a form decides, on which revision, and what it says beyond that. Raises `UnclearForm`."""
    try:
        decision, revision = Decision(given.get("decide", "")), int(given.get("revision", ""))
        if filters.number is not None:
            return decision, revision, _of_one(given)
        # A form for all that match says how many these are, and nothing of what was seen.
        return decision, revision, {"expected": int(given.get(f"expect_{decision.value}", ""))}
    except ValueError:
        raise UnclearForm from None


def _of_one(given: QueryDict) -> dict[str, Any]:
    """What the form of a card says beyond the decision: a conflict was seen, what is needed too, how to write a rename,
    which fields stay as they are here. Raises `ValueError`."""
    choice = given.get("rename_choice", "")
    return {
        "acknowledge": "acknowledge" in given,
        "with_requirements": "with_requirements" in given,
        "rename_choice": RenameChoice(choice) if choice else None,
        "keep": given.getlist("keep") if "keeps" in given else None,
        "seen": given.get("seen", ""),
    }


def resolve(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Accepts what accepted changes need, or rejects those that need it. Others may need those in turn."""
    changeset = get_row(Changeset, pk)
    actor = actor_of(request)
    try:
        decision = Decision(request.POST.get("resolve", ""))
        revision = int(request.POST.get("revision", ""))
    except ValueError:
        raise Http404 from None
    if decision is Decision.UNDECIDED:
        raise Http404
    numbers = needed_of(changeset, unmet_requirements(changeset))[decision]
    selection = review.Selection(numbers=tuple(sorted(numbers)))

    def step() -> None:
        decided = review.decide(pk, selection, decision, actor, revision=revision, with_requirements=True)
        messages.success(request, decided_words(decided, decision))

    try:
        return attempt(request, step, admin.url("confirm", pk))
    except RevisionConflict:
        return conflict_page(admin, request, changeset, str(CONFLICT), admin.url("confirm", pk))


def conflict_page(
    admin: ChangesetAdmin, request: HttpRequest, changeset: Changeset, reason: str, back: str, *, status: int = 409
) -> HttpResponse:
    return render(
        request,
        admin,
        "conflict.html",
        title=_("Nothing was changed"),
        crumbs=admin.crumbs(changeset, _("Decisions changed")),
        status=status,
        reason=reason,
        back=back,
    )


def _progress(request: HttpRequest, changeset: Changeset, revision: int) -> dict[str, object]:
    """What a script updates after a decision: the counts of the bar, the navigation, and the buttons for many."""
    counts = overview.Counts.of(changeset)
    bulk = Bulk.of_page(request, changeset)
    return {
        "revision": revision,
        "decisions": counts.decisions(),
        "undecided": counts.undecided(),
        "bulk": bulk.words(),
        "expect": bulk.counts(),
        "undo": undo_words(changeset),
    }
