"""Data pulls: asking for one, following it, and what came of it."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from data_sync import tasks
from data_sync.core.errors import DataSyncError, NotPermitted
from data_sync.core.states import AutoApply, PullState
from data_sync.models import DataPull, DataSource
from data_sync.services import auto_apply, pull
from data_sync.services.progress import Progress, progress

from . import uploading
from .agreement import Disagreement, disagreements
from .dates import DatedList, moment
from .following import ABANDONED, progress_document
from .forms import PullForm
from .markup import badge, counts
from .names import model_name, origin_words
from .pages import Crumb, ScreensAdmin, actor_of, attempt, get_row, render
from .trusting import FOLLOWED, unattended_sources

PERMISSION = "data_sync.pull_datasource"
NAMED = 5
"""So many sources are named in a sentence."""
SETTLING, UNSETTLED = "settling", "unsettled"
"""The stages between a pull and what becomes of its changeset without review: somebody looks at it; nobody does."""


@admin.register(DataPull)
class DataPullAdmin(ScreensAdmin):
    list_display = ("number", "state_badge", "from_source", "actor", "compared", "outcome", "requested_at")
    list_display_links = ("number",)
    list_filter = ("state", "kind", "source_name")
    list_select_related = ("changeset",)
    date_hierarchy = "created_at"
    show_full_result_count = False

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return DatedList

    def screens(self) -> dict[str, Any]:
        return {
            "add": ("add/", self.add),
            "upload": ("upload/", partial(uploading.upload, self)),
            "change": ("<int:pk>/change/", self.detail),
            "status": ("<int:pk>/status/", self.status),
            "cancel": ("<int:pk>/cancel/", self.posted(self.cancel)),
        }

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(PERMISSION)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("data_sync.view_datapull") or request.user.has_perm(PERMISSION)

    @admin.display(description=gettext_lazy("pull"), ordering="pk")
    def number(self, row: DataPull) -> str:
        return _("Pull %(number)s") % {"number": row.pk}

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state_badge(self, row: DataPull) -> SafeString:
        return badge(row.state, row.get_state_display())

    @admin.display(description=gettext_lazy("source"), ordering="source_name")
    def from_source(self, row: DataPull) -> str:
        return origin_words(row)

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def requested_at(self, row: DataPull) -> str:
        return moment(row.created_at)

    @admin.display(description=gettext_lazy("outcome"))
    def outcome(self, row: DataPull) -> str | SafeString:
        changeset = getattr(row, "changeset", None)
        if changeset is not None:
            return format_html(
                '<a href="{}">{}</a> {}',
                reverse("admin:data_sync_changeset_change", args=(changeset.pk,)),
                _("Changeset %(number)s") % {"number": changeset.pk},
                counts(changeset),
            )
        match PullState(row.state):
            case PullState.DONE:
                return _("nothing differs")
            case PullState.FAILED:
                return Truncator(row.error).chars(70)
            case _:
                return "–"

    def detail(self, request: HttpRequest, pk: int) -> HttpResponse:
        self.require_view(request)
        row = get_row(DataPull, pk, "changeset", "source", "heartbeat")
        onward = self._onward(request, row)
        if onward:
            return redirect(onward)
        state = PullState(row.state)
        seen = progress(row)
        return render(
            request,
            self,
            "pull.html",
            title=_("Pull %(number)s") % {"number": pk},
            pull=row,
            changeset=getattr(row, "changeset", None),
            is_active=state.is_active,
            is_settling=_is_settling(row),
            stage=_stage(row),
            progress=progress_words(row, seen),
            seen=seen,
            disagreements=self._disagreements(row),
            models=[{**model, "name": model_name(model["label"])} for model in row.report.get("models", [])],
            wanted=[model_name(label) for label in row.model_labels],
            may_pull=self.has_add_permission(request),
        )

    def _onward(self, request: HttpRequest, row: DataPull) -> str:
        """Where whoever asked with "Pull and apply" is led on to: what became of the changeset, or why it waits."""
        changeset = getattr(row, "changeset", None)
        if FOLLOWED not in request.GET or changeset is None or _is_settling(row):
            return ""
        page = "result" if changeset.auto_state == AutoApply.APPROVED else "change"
        route = f"admin:data_sync_changeset_{page}"
        return reverse(route, args=(changeset.pk,), current_app=self.admin_site.name)

    def _disagreements(self, row: DataPull) -> list[Disagreement]:
        changeset = getattr(row, "changeset", None)
        if changeset is not None:
            return disagreements(row.report.get("schema", []), changeset.omitted, changeset.model_labels)
        compared = [model["label"] for model in row.report.get("models", [])]
        return disagreements(row.report.get("schema", []), {}, compared)

    def status(self, request: HttpRequest, pk: int) -> HttpResponse:
        """For the script that follows a pull."""
        self.require_view(request)
        row = get_row(DataPull, pk, "heartbeat", "changeset")
        seen = progress(row)
        return JsonResponse(progress_document(seen, progress_words(row, seen), _stage(row)))

    def add(self, request: HttpRequest) -> HttpResponse:
        """Saving starts the pull, and leads to its page."""
        actor = actor_of(request)
        actor.require(PERMISSION)
        form = PullForm(request.POST or None, initial={"source": request.GET.get("source") or _only_source()})
        if request.method == "POST" and form.is_valid():
            try:
                requested = pull.request_pull(
                    form.cleaned_data["source"],
                    form.cleaned_data["models"],
                    actor,
                    find_renames=form.cleaned_data["find_renames"],
                )
            except NotPermitted:
                raise
            except DataSyncError as error:
                form.add_error(None, str(error))
            else:
                return attempt(request, lambda: tasks.submit("pull", requested.pk), self.url("change", requested.pk))
        return render(
            request,
            self,
            "form.html",
            title=_("Add data pull"),
            crumbs=(Crumb(_("Add data pull")),),
            form=form,
            explanation=_(
                "A pull compares a source with this environment. What differs becomes a changeset, which waits for "
                "review; until then, nothing is written."
            ),
            caution=_unattended_words(unattended_sources()),
            submit=_("Pull now"),
            cancel=self.url("changelist"),
        )

    def cancel(self, request: HttpRequest, pk: int) -> HttpResponse:
        return attempt(
            request,
            lambda: pull.cancel_pull(pk, actor_of(request)),
            self.url("change", pk),
            _("The pull is cancelled."),
        )


def _only_source() -> int | None:
    """Where there is one source only, nobody has to choose it."""
    sources = DataSource.objects.values_list("pk", flat=True)[:2]
    return sources[0] if len(sources) == 1 else None


def _unattended_words(names: list[str]) -> str:
    """Of which sources what differs does not wait for review; "" where it always does."""
    if not names:
        return ""
    listed = ", ".join(_("“%(name)s”") % {"name": name} for name in names[:NAMED])
    more = len(names) - NAMED
    if more > 0:
        listed += " " + ngettext("and %(n)s more", "and %(n)s more", more) % {"n": more}
    return _(
        "Not so with %(names)s: what differs there applies without review, as far as the limits of trust allow."
    ) % {"names": listed}


def _is_settling(row: DataPull) -> bool:
    """Whether it is over, and its changeset is still to be looked at for applying without review."""
    changeset = getattr(row, "changeset", None)
    return changeset is not None and auto_apply.is_due(changeset)


def _stage(row: DataPull) -> str:
    if _is_settling(row):
        return UNSETTLED if auto_apply.is_abandoned(row.changeset) else SETTLING
    return ABANDONED if PullState(row.state).is_active and pull.is_abandoned(row) else row.state


def progress_words(row: DataPull, seen: Progress) -> str:
    if row.state == PullState.QUEUED:
        return _("Waiting to start")
    if _is_settling(row):
        return _("Looking whether it applies without review")
    if not PullState(row.state).is_active:
        return str(row.get_state_display())
    match seen.phase:
        case "files":
            return _("Fetching files: %(n)s looked at") % {"n": seen.done}
        case "changes":
            return _("Looking at what differs: %(n)s of %(total)s") % {"n": seen.done, "total": seen.total}
        case _:
            read = ngettext("%(n)s row read", "%(n)s rows read", seen.done) % {"n": seen.done}
            return _("Reading both sides: %(rows)s") % {"rows": read}
