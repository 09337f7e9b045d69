"""What a person does to a changeset as a whole: approve, apply, withdraw, reject, override."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from data_sync import tasks
from data_sync.core.errors import DataSyncError, NotPermitted, RevisionConflict
from data_sync.core.states import ChangesetState
from data_sync.models import Changeset
from data_sync.services import apply as applying
from data_sync.services import approval, consequences

from .confirmation import name_to_type
from .deciding import conflict_page
from .effects import takers_of
from .forms import ReasonForm
from .pages import actor_of, attempt, get_row, render

if TYPE_CHECKING:
    from .changesets import ChangesetAdmin


def approve(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Approves what the confirmation page showed, applies it, or does both: as the button says."""
    changeset = get_row(Changeset, pk)
    actor = actor_of(request)
    try:
        revision = int(request.POST.get("revision", ""))
    except ValueError:
        raise Http404 from None
    name = name_to_type(changeset, consequences.consequences(changeset))
    if name and " ".join(request.POST.get("name", "").split()).casefold() != name.casefold():
        messages.error(request, _("Nothing was done: to have these rows deleted, type “%(name)s”.") % {"name": name})
        return redirect(admin.url("confirm", pk))
    step: Callable[[], object]
    match request.POST.get("do"):
        case "approve":
            step = partial(approval.approve, pk, actor, revision=revision, deadline=tasks.deadline())
            done = _("Changeset %(number)s is approved.") % {"number": pk}
            return _answered(admin, request, changeset, step, "confirm", done)
        case "apply":
            step = partial(applying.request_apply, pk, actor, revision=revision, deadline=tasks.deadline())
        case "both":
            step = partial(applying.approve_and_request, pk, actor, revision=revision, deadline=tasks.deadline())
        case _:
            raise Http404

    def apply() -> None:
        step()
        tasks.submit("apply", pk)

    return _answered(admin, request, changeset, apply, "result")


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
    changeset = get_row(Changeset, pk)
    if changeset.state not in approval.REJECTABLE:
        state = changeset.get_state_display()
        messages.error(
            request, _("Changeset %(number)s is %(state)s and cannot be rejected.") % {"number": pk, "state": state}
        )
        return redirect(admin.url("change", pk))
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
        is_danger=True,
        step=lambda given: approval.reject(
            pk, actor, given["reason"], revision=given["revision"], state=given["state"]
        ),
    )


def override(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Asks before the guards are overridden, with their figures, and does so: for what was shown, with a reason."""
    actor = actor_of(request)
    actor.require("data_sync.override_changeset_guard")
    changeset = get_row(Changeset, pk)
    if changeset.state != ChangesetState.BLOCKED:
        state = changeset.get_state_display()
        messages.error(
            request, _("Changeset %(number)s is %(state)s: no guard holds it.") % {"number": pk, "state": state}
        )
        return redirect(admin.url("change", pk))
    return _with_reason(
        admin,
        request,
        pk,
        template="override.html",
        title=_("Let changeset %(number)s through") % {"number": pk},
        submit=_("Let it through"),
        is_required=True,
        done=_("Changeset %(number)s is let through its guards, and can be approved like any other.") % {"number": pk},
        takers=takers_of(changeset) if admin.has_view_permission(request) else None,
        step=lambda given: approval.override(pk, actor, given["reason"], revision=given["revision"]),
    )


def _with_reason(
    admin: ChangesetAdmin,
    request: HttpRequest,
    pk: int,
    *,
    title: str,
    submit: str,
    is_required: bool,
    step: Callable[[dict[str, Any]], None],
    is_danger: bool = False,
    explanation: str = "",
    template: str = "form.html",
    done: str = "",
    **context: Any,
) -> HttpResponse:
    """A page that asks for a reason, and its answer. `step` gets the reason, and which revision and state were seen."""
    changeset = get_row(Changeset, pk)
    form = ReasonForm(
        request.POST or None, required=is_required, initial={"revision": changeset.revision, "state": changeset.state}
    )
    if request.method == "POST" and form.is_valid():
        try:
            step(form.cleaned_data)
        except NotPermitted:
            raise
        except RevisionConflict as conflict:
            return conflict_page(admin, request, changeset, str(conflict), admin.url("change", pk))
        except DataSyncError as error:
            form.add_error(None, str(error))
        else:
            if done:
                messages.success(request, done)
            return redirect(admin.url("change", pk))
    return render(
        request,
        admin,
        template,
        title=title,
        crumbs=admin.crumbs(changeset, title),
        form=form,
        changeset=changeset,
        explanation=explanation,
        submit=submit,
        is_danger=is_danger,
        cancel=admin.url("change", pk),
        page_name="reason",
        **context,
    )
