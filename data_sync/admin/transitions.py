"""What a person does to a changeset as a whole: approve, apply, withdraw, reject, override."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from data_sync import conf, tasks
from data_sync.core.errors import DataSyncError, NotPermitted, RevisionConflict
from data_sync.core.states import ChangesetState, Decision
from data_sync.models import Change, Changeset
from data_sync.services import apply as applying
from data_sync.services import approval, consequences, review

from .agreement import disagreements_of
from .deciding import conflict_page
from .effects import effects_of
from .forms import ReasonForm
from .markup import COLUMNS
from .names import model_name
from .pages import actor_of, attempt, get_row, render
from .rehearsal import may_rehearse

if TYPE_CHECKING:
    from .changesets import ChangesetAdmin

UNMET_SHOWN = 50
NEEDING_SHOWN = 5
NEEDING_LISTED = 500


def confirm(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """What approving and applying would do, before either."""
    admin.require_view(request)
    changeset = get_row(Changeset, pk, "pull")
    if changeset.state not in (*approval.APPROVABLE, ChangesetState.APPROVED):
        return redirect(admin.url("change", pk))
    found = consequences.consequences(changeset)
    decisions = review.decision_counts(changeset)
    return render(
        request,
        admin,
        "confirm.html",
        title=_("Apply changeset %(number)s") % {"number": pk},
        crumbs=admin.crumbs(changeset, _("Apply")),
        changeset=changeset,
        found=found,
        decisions=decisions,
        is_approvable=changeset.state in approval.APPROVABLE,
        is_rejectable=changeset.state in approval.REJECTABLE,
        typed_name=_name_to_type(changeset, found),
        models=[
            (model_name(label), [(operation.value, counts.get(operation.value, 0)) for operation in COLUMNS])
            for label, counts in sorted(found.models.items(), key=lambda item: _place(changeset, item[0]))
        ],
        totals=[(operation.value, found.total(operation)) for operation in COLUMNS],
        effects=effects_of(found.cascades),
        accepted_kept=_accepted(changeset, "kept"),
        accepted_edited=_accepted(changeset, "edited"),
        accepted_conflicts=_accepted(changeset, "conflicts"),
        disagreements=disagreements_of(changeset),
        may_rehearse=may_rehearse(changeset, actor_of(request)),
        unmet=_unmet(changeset, found.unmet),
        needed=len({number for missing in found.unmet.values() for number in missing}),
        needing=len(found.unmet),
        page_name="confirm",
        **admin.permissions(request),
    )


def _accepted(changeset: Changeset, flag: str) -> int:
    """How many accepted changes a review would find by this flag."""
    return review.select(changeset, review.Selection(decision=Decision.ACCEPTED.value, flag=flag)).count()


def _place(changeset: Changeset, label: str) -> int:
    """Models in the changeset's own order."""
    return changeset.model_labels.index(label) if label in changeset.model_labels else len(changeset.model_labels)


def approve(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Approves what the confirmation page showed, applies it, or does both: as the button says."""
    changeset = get_row(Changeset, pk)
    actor = actor_of(request)
    try:
        revision = int(request.POST.get("revision", ""))
    except ValueError:
        raise Http404 from None
    name = _name_to_type(changeset, consequences.consequences(changeset))
    if name and " ".join(request.POST.get("name", "").split()).casefold() != name.casefold():
        messages.error(request, _("Nothing was done: to have these rows deleted, type “%(name)s”.") % {"name": name})
        return redirect(admin.url("confirm", pk))
    step: Callable[[], object]
    match request.POST.get("do"):
        case "approve":
            step = partial(approval.approve, pk, actor, revision=revision)
            done = _("Changeset %(number)s is approved.") % {"number": pk}
            return _answered(admin, request, changeset, step, "confirm", done)
        case "apply":
            step = partial(applying.request_apply, pk, actor, revision=revision)
        case "both":
            step = partial(applying.approve_and_request, pk, actor, revision=revision)
        case _:
            raise Http404

    def apply() -> None:
        step()
        tasks.submit("apply", pk)

    return _answered(admin, request, changeset, apply, "result")


def _name_to_type(changeset: Changeset, found: consequences.Consequences) -> str:
    """What has to be typed before so many rows are deleted; "" where they are few."""
    many = found.rows_deleted > conf.confirm_deletes()
    return _("Changeset %(number)s") % {"number": changeset.pk} if many else ""


def _answered(
    admin: ChangesetAdmin,
    request: HttpRequest,
    changeset: Changeset,
    step: Callable[[], object],
    page: str,
    done: str = "",
) -> HttpResponse:
    try:
        return attempt(request, step, admin.url(page, changeset.pk), done)
    except RevisionConflict as conflict:
        return conflict_page(admin, request, changeset, str(conflict), admin.url("change", changeset.pk))


def withdraw(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    done = _("The approval is withdrawn.")
    return attempt(request, lambda: approval.withdraw(pk, actor_of(request)), admin.url("change", pk), done)


def reject(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    actor = actor_of(request)
    actor.require("data_sync.approve_changeset")
    return _with_reason(
        admin,
        request,
        pk,
        title=_("Reject changeset %(number)s") % {"number": pk},
        explanation=_(
            "Nothing of it will be written here, and it cannot be opened again. "
            "A later pull finds again what still differs."
        ),
        submit=_("Reject the changeset"),
        is_required=False,
        step=lambda reason: approval.reject(pk, actor, reason),
    )


def override(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    actor = actor_of(request)
    actor.require("data_sync.override_changeset_guard")
    return _with_reason(
        admin,
        request,
        pk,
        title=_("Let changeset %(number)s through") % {"number": pk},
        explanation=_(
            "Guards have stopped it. Say why it is right all the same; "
            "after that it can be reviewed and approved like any other."
        ),
        submit=_("Let it through"),
        is_required=True,
        step=lambda reason: approval.override(pk, actor, reason),
    )


def _with_reason(
    admin: ChangesetAdmin,
    request: HttpRequest,
    pk: int,
    *,
    title: str,
    explanation: str,
    submit: str,
    is_required: bool,
    step: Callable[[str], None],
) -> HttpResponse:
    """A page that asks for a reason, and its answer."""
    changeset = get_row(Changeset, pk)
    form = ReasonForm(request.POST or None, required=is_required)
    if request.method == "POST" and form.is_valid():
        try:
            step(form.cleaned_data["reason"])
        except NotPermitted:
            raise
        except DataSyncError as error:
            form.add_error(None, str(error))
        else:
            return redirect(admin.url("change", pk))
    return render(
        request,
        admin,
        "form.html",
        title=title,
        crumbs=admin.crumbs(changeset, title),
        form=form,
        explanation=explanation,
        guards=changeset.guards if is_required else [],
        submit=submit,
        cancel=admin.url("change", pk),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmet:
    """A change that accepted ones require, and that is not accepted itself. `needed_by` are some of those; `others`
    the numbers of more, and `unlisted` how many there are beyond."""

    missing: Change
    needed_by: list[Change]
    others: list[int]
    count: int

    @property
    def rest(self) -> int:
        return self.count - len(self.needed_by)

    @property
    def unlisted(self) -> int:
        return self.rest - len(self.others)


def _unmet(changeset: Changeset, found: dict[int, list[int]]) -> list[Unmet]:
    needed_by: dict[int, list[int]] = {}
    for number, missing in found.items():
        for other in missing:
            needed_by.setdefault(other, []).append(number)
    shown = {number: numbers for number, numbers in list(needed_by.items())[:UNMET_SHOWN]}
    wanted = {*shown, *(number for numbers in shown.values() for number in numbers[:NEEDING_SHOWN])}
    rows = {}
    if wanted:
        columns = ("changeset", "number", "model", "key_text", "operation", "decision")
        rows = {row.number: row for row in changeset.changes.filter(number__in=wanted).only(*columns)}
    return [
        Unmet(
            missing=rows[number],
            needed_by=[rows[other] for other in numbers[:NEEDING_SHOWN]],
            others=numbers[NEEDING_SHOWN:NEEDING_LISTED],
            count=len(numbers),
        )
        for number, numbers in shown.items()
        if number in rows
    ]
