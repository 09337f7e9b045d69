"""The review page, and deciding on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib import messages
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from data_sync.core.errors import DataSyncError, NotPermitted, RevisionConflict
from data_sync.core.states import Decision, Operation
from data_sync.models import Change, Changeset
from data_sync.services import approval, consequences, review

from . import overview
from .cards import build_card
from .cells import Patience
from .filters import Filters
from .names import model_name
from .pages import actor_of, attempt, get_row, render
from .paging import page_of
from .presentation import Card, Neighbour
from .shapes import shape_of, shapes

if TYPE_CHECKING:
    from .changesets import ChangesetAdmin

CONFLICT = gettext_lazy(
    "This changeset was decided on elsewhere, by another person or in another tab. Nothing was changed."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """What the buttons for all matching come to, as `services.review.decide` does it.

    They are about one decision: the one that is filtered on, else about what is undecided.
    """

    matching: int
    about: Decision
    accept: int
    reject: int
    deletes_left_out: int
    problems_left_out: int

    @classmethod
    def of(cls, selected: QuerySet[Change], filters: Filters) -> Bulk:
        about = Decision(filters.decision or Decision.UNDECIDED)
        meant = Q(decision=about.value)
        deletes = meant & Q(operation=Operation.DELETE.value)
        found = selected.order_by().aggregate(
            matching=Count("pk"),
            meant=Count("pk", filter=meant),
            deletes=Count("pk", filter=deletes),
            problems=Count("pk", filter=meant & Q(has_problems=True)),
            problems_kept=Count("pk", filter=meant & Q(has_problems=True) & ~deletes),
        )
        left_out = 0 if filters.op == Operation.DELETE else found["deletes"]
        problems = found["problems"] if filters.op == Operation.DELETE else found["problems_kept"]
        return cls(
            matching=found["matching"],
            about=about,
            accept=0 if about is Decision.ACCEPTED else found["meant"] - left_out - problems,
            reject=0 if about is Decision.REJECTED else found["meant"],
            deletes_left_out=left_out,
            problems_left_out=problems,
        )

    def words(self) -> dict[str, str]:
        """By what the buttons decide: what is on them; "" for none. "left_out" is what accepting leaves out."""
        what = dict(Change.DECISIONS)[self.about.value]
        return {
            "accepted": _("Accept %(n)s %(what)s") % {"n": self.accept, "what": what} if self.accept else "",
            "rejected": _("Reject %(n)s %(what)s") % {"n": self.reject, "what": what} if self.reject else "",
            "left_out": self._left_out() if self.accept or self.reject else "",
        }

    def _left_out(self) -> str:
        parts = []
        if self.about is not Decision.ACCEPTED and self.deletes_left_out:
            words = ngettext(
                "%(n)s delete (show the deletes to accept it)",
                "%(n)s deletes (show the deletes to accept them)",
                self.deletes_left_out,
            )
            parts.append(words % {"n": self.deletes_left_out})
        if self.about is not Decision.ACCEPTED and self.problems_left_out:
            words = ngettext(
                "%(n)s change that cannot be applied",
                "%(n)s changes that cannot be applied",
                self.problems_left_out,
            )
            parts.append(words % {"n": self.problems_left_out})
        return _("Accepting leaves out: %(what)s") % {"what": "; ".join(parts)} if parts else ""


def review_page(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """The changes that pass the filters, a page of them, each with its decision."""
    admin.require_view(request)
    changeset = get_row(Changeset, pk, "pull")
    filters = Filters.of(request.GET)
    counts = overview.Counts.of(changeset)
    selected = review.select(changeset, filters.selection())
    page = page_of(selected, request.GET)
    actor = actor_of(request)
    bulk = Bulk.of(selected, filters)
    return render(
        request,
        admin,
        "review.html",
        title=_("Changeset %(number)s") % {"number": changeset.pk},
        # The sidebar takes 299 pixels from two columns that need them.
        is_nav_sidebar_enabled=False,
        changeset=changeset,
        filters=filters,
        query=request.GET.urlencode(),
        cards=cards_of(admin, changeset, page.changes),
        page=page,
        links={
            name: filters.query(**parameters)
            for name in ("first", "previous", "next", "last")
            if (parameters := getattr(page, name)) is not None
        },
        bulk=bulk,
        bulk_words=bulk.words(),
        navigation=counts.navigation(changeset, filters),
        summary=overview.summary_rows(changeset, counts),
        same_models=overview.unchanged_models(changeset),
        cascades=overview.total_of(changeset.summary, "cascades"),
        problems=overview.total_of(changeset.summary, "problems"),
        decisions=counts.decisions(),
        total=counts.number(),
        operations=Change.OPERATIONS,
        decision_choices=Change.DECISIONS,
        filter_model_name=model_name(filters.model) if filters.model else "",
        is_rejectable=changeset.state in approval.REJECTABLE,
        may_decide=changeset.state in review.DECIDABLE and actor.may("data_sync.approve_changeset"),
        **admin.permissions(request),
    )


def cards_of(admin: ChangesetAdmin, changeset: Changeset, changes: list[Change]) -> list[Card]:
    """The cards of a page; one query for all changes that theirs require."""
    known = shapes()
    numbers = {number for row_change in changes for number in row_change.requires}
    required = changeset.changes.filter(number__in=numbers).only(
        "number", "model", "key", "key_text", "operation", "decision"
    )
    neighbours = {
        row.number: Neighbour(
            number=row.number,
            model=row.model,
            model_name=model_name(row.model),
            key=row.key,
            key_text=row.key_text,
            operation=row.operation,
            decision=row.decision,
        )
        for row in (required if numbers else ())
    }
    patience = Patience()

    def file_url(row_change: Change, name: str, side: str) -> str:
        return admin.url("file", changeset.pk, row_change.number, name, side)

    return [build_card(row, shape_of(row.model, known), neighbours, file_url, patience) for row in changes]


def decide(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """One decision, or one for all that match. Answers a script with JSON, a form with the page it came from."""
    changeset = get_row(Changeset, pk)
    filters = Filters.of(request.POST)
    wants_json = request.headers.get("Accept", "").startswith("application/json")
    back = admin.url("change", pk) + _back(request)
    try:
        decision = Decision(request.POST.get("decide", ""))
        revision = int(request.POST.get("revision", ""))
    except ValueError:
        raise Http404 from None
    try:
        decided = review.decide(pk, filters.selection(), decision, actor_of(request), revision=revision)
    except NotPermitted as error:
        if wants_json:
            return JsonResponse({"error": str(error)}, status=403)
        raise
    except RevisionConflict:
        if wants_json:
            return JsonResponse({"error": str(CONFLICT), "reload": True}, status=409)
        return conflict_page(admin, request, changeset, str(CONFLICT), back)
    except DataSyncError as error:
        if wants_json:
            return JsonResponse({"error": str(error)}, status=400)
        messages.error(request, str(error))
        return redirect(back)
    if wants_json:
        shown = Filters.of(QueryDict(request.POST.get("query", "")))
        return JsonResponse(_progress(changeset, decided.revision, shown))
    if filters.number is None:
        messages.success(request, _bulk_words(decided, decision))
    return redirect(back)


def resolve(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Accepts what accepted changes need, or rejects those that need it. Others may need those in turn."""
    changeset = get_row(Changeset, pk)
    actor = actor_of(request)
    try:
        decision = Decision(request.POST.get("resolve", ""))
        revision = int(request.POST.get("revision", ""))
    except ValueError:
        raise Http404 from None
    unmet = consequences.unmet_requirements(changeset)
    match decision:
        case Decision.ACCEPTED:
            numbers = {number for missing in unmet.values() for number in missing}
        case Decision.REJECTED:
            numbers = set(unmet)
        case _:
            raise Http404
    selection = review.Selection(numbers=tuple(sorted(numbers)))

    def step() -> None:
        decided = review.decide(pk, selection, decision, actor, revision=revision)
        messages.success(request, _bulk_words(decided, decision))

    try:
        return attempt(request, step, admin.url("confirm", pk))
    except RevisionConflict:
        return conflict_page(admin, request, changeset, str(CONFLICT), admin.url("confirm", pk))


def conflict_page(
    admin: ChangesetAdmin, request: HttpRequest, changeset: Changeset, reason: str, back: str
) -> HttpResponse:
    return render(
        request,
        admin,
        "conflict.html",
        title=_("Decided on elsewhere"),
        crumbs=admin.crumbs(changeset, _("Decisions changed")),
        status=409,
        reason=reason,
        back=back,
    )


def _back(request: HttpRequest) -> str:
    """Where a form came from: the filters it was shown with, and the card. Never another page."""
    query, number = request.POST.get("query", ""), Filters.of(request.POST).number
    return (f"?{query}" if query else "") + ("" if number is None else f"#change-{number}")


def _progress(changeset: Changeset, revision: int, shown: Filters) -> dict[str, object]:
    """What a script updates after a decision: the counts of the bar, the navigation, and the buttons for many."""
    counts = overview.Counts.of(changeset)
    undecided = {"": counts.number(decision=Decision.UNDECIDED)}
    for model, operation, _decision in counts.groups:
        undecided[model] = counts.number(model=model, decision=Decision.UNDECIDED)
        undecided[f"{model} {operation}"] = counts.number(model=model, operation=operation, decision=Decision.UNDECIDED)
    return {
        "revision": revision,
        "decisions": counts.decisions(),
        "undecided": undecided,
        "bulk": Bulk.of(review.select(changeset, shown.selection()), shown).words(),
    }


def _bulk_words(decided: review.Decided, decision: Decision) -> str:
    match decision:
        case Decision.ACCEPTED:
            words = ngettext("%(n)s change accepted.", "%(n)s changes accepted.", decided.count)
        case Decision.REJECTED:
            words = ngettext("%(n)s change rejected.", "%(n)s changes rejected.", decided.count)
        case Decision.UNDECIDED:
            words = ngettext("%(n)s change set to undecided.", "%(n)s changes set to undecided.", decided.count)
    parts = [words % {"n": decided.count}]
    if decided.skipped_deletes:
        left = ngettext(
            "%(n)s delete was left out: filter on deletes to decide on it.",
            "%(n)s deletes were left out: filter on deletes to decide on them.",
            decided.skipped_deletes,
        )
        parts.append(left % {"n": decided.skipped_deletes})
    if decided.skipped_problems:
        left = ngettext(
            "%(n)s change that cannot be applied was left out.",
            "%(n)s changes that cannot be applied were left out.",
            decided.skipped_problems,
        )
        parts.append(left % {"n": decided.skipped_problems})
    if decided.skipped_decided:
        left = ngettext(
            "%(n)s change was left as it had been decided.",
            "%(n)s changes were left as they had been decided.",
            decided.skipped_decided,
        )
        parts.append(left % {"n": decided.skipped_decided})
    return " ".join(parts)
