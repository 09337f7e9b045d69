"""Data sources: the other environments, whether they answer, and pulling from them."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin, messages
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from data_sync import tasks
from data_sync.core.errors import DataSyncError, NotPermitted, RevisionConflict
from data_sync.core.states import ChangesetState, PullState
from data_sync.models import Changeset, DataPull, DataSource
from data_sync.services import pull, source_checks, sources, trust

from . import limits, trusting
from .dates import moment
from .forms import STALE, SourceForm
from .names import key_words
from .pages import Crumb, ScreensAdmin, actor_of, attempt, get_row, render

OPEN = (ChangesetState.PENDING, ChangesetState.BLOCKED, ChangesetState.APPROVED, ChangesetState.APPLYING)


@admin.register(DataSource)
class DataSourceAdmin(ScreensAdmin):
    list_display = ("name", "host", "trusted", "last_pull", "open_changesets")
    search_fields = ("name", "url")

    def screens(self) -> dict[str, Any]:
        return {
            "add": ("add/", self.add),
            "change": ("<int:pk>/change/", self.detail),
            "edit": ("<int:pk>/edit/", self.edit),
            "limits": ("<int:pk>/limits/", partial(limits.edit, self)),
            "delete": ("<int:pk>/delete/", self.remove),
            "test": ("<int:pk>/test/", self.posted(self.test)),
            "pull": ("<int:pk>/pull/", self.posted(self.pull_now)),
            "pull_and_apply": ("<int:pk>/pull-and-apply/", self.posted(partial(trusting.pull_and_apply, self))),
            "trust": ("<int:pk>/trust/", partial(trusting.trust_page, self)),
            "untrust": ("<int:pk>/untrust/", self.posted(partial(trusting.untrust, self))),
        }

    # Whoever may view a source sees its page; services ask for these permissions again.
    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("data_sync.add_datasource")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return any(request.user.has_perm(f"data_sync.{verb}_datasource") for verb in ("view", "change"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[DataSource]:
        of_this = {"source": OuterRef("pk")}
        done = DataPull.objects.filter(**of_this, state=PullState.DONE)
        waiting = Changeset.objects.filter(**of_this, state__in=OPEN)
        return DataSource.objects.select_related("trust").annotate(
            pulled_at=Subquery(done.order_by("-finished_at").values("finished_at")[:1]),
            open_count=Coalesce(Subquery(waiting.order_by().values("source").annotate(n=Count("pk")).values("n")), 0),
        )

    @admin.display(description=gettext_lazy("host"), ordering="url")
    def host(self, source: DataSource) -> str:
        return urlsplit(source.url).netloc

    @admin.display(description=gettext_lazy("trust"))
    def trusted(self, source: DataSource) -> SafeString:
        return trusting.trust_words(source)

    @admin.display(description=gettext_lazy("last pull"), ordering="pulled_at")
    def last_pull(self, source: Any) -> Any:
        return moment(source.pulled_at) or _("never")

    @admin.display(description=gettext_lazy("open changesets"), ordering="open_count")
    def open_changesets(self, source: Any) -> int:
        return int(source.open_count)

    def detail(self, request: HttpRequest, pk: int, checks: list[source_checks.Check] | None = None) -> HttpResponse:
        self.require_view(request)
        source = get_row(DataSource, pk, "trust")
        return render(
            request,
            self,
            "source.html",
            title=source.name,
            source=source,
            checks=checks,
            key=key_words(source.key),
            limits=limits.shown(source),
            pulls=source.pulls.select_related("changeset").order_by("-pk")[:10],
            may_pull=request.user.has_perm("data_sync.pull_datasource"),
            may_change=request.user.has_perm("data_sync.change_datasource"),
            may_delete=request.user.has_perm("data_sync.delete_datasource"),
            **trusting.trust_context(request, source),
        )

    def test(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Shows what was found there and then; it writes nothing, but it does reach out, hence the POST."""
        self.require_view(request)
        actor_of(request).require("data_sync.pull_datasource")
        return self.detail(request, pk, checks=source_checks.check_source(get_row(DataSource, pk)))

    def pull_now(self, request: HttpRequest, pk: int) -> HttpResponse:
        source = get_row(DataSource, pk)
        try:
            requested = pull.request_pull(source, [], actor_of(request))
        except NotPermitted:
            raise
        except DataSyncError as error:
            messages.error(request, str(error))
            return redirect(self.url("change", pk))
        page = reverse("admin:data_sync_datapull_change", args=(requested.pk,), current_app=self.admin_site.name)
        return attempt(request, lambda: tasks.submit("pull", requested.pk), page)

    def add(self, request: HttpRequest) -> HttpResponse:
        actor_of(request).require("data_sync.add_datasource")
        return self._edit(request, None)

    def edit(self, request: HttpRequest, pk: int) -> HttpResponse:
        actor_of(request).require("data_sync.change_datasource")
        return self._edit(request, get_row(DataSource, pk))

    @method_decorator(sensitive_post_parameters("key"))
    def _edit(self, request: HttpRequest, source: DataSource | None) -> HttpResponse:
        form, stale = _form(request.POST or None, source), ""
        is_trusted = trust.standing(source) is not None
        if request.method == "POST" and form.is_valid():
            try:
                saved = self._save(request, source, **form.cleaned_data)
            except NotPermitted:
                raise
            except RevisionConflict:
                assert source is not None
                source.refresh_from_db()
                form, stale = _form(None, source), str(STALE)
            except DataSyncError as error:
                form.add_error(None, str(error))
            else:
                messages.success(request, _("The data source “%(name)s” was saved.") % {"name": saved.name})
                if is_trusted and trust.standing(saved) is None:
                    messages.warning(
                        request,
                        _("“%(name)s” is not trusted any more: what is pulled waits for review.")
                        % {"name": saved.name},
                    )
                return redirect(self.url("change", saved.pk))
        crumbs = (
            (Crumb(_("Add data source")),)
            if source is None
            else (Crumb(source.name, self.url("change", source.pk)), Crumb(_("Change")))
        )
        return render(
            request,
            self,
            "form.html",
            title=_("Add data source") if source is None else _("Change data source"),
            crumbs=crumbs,
            status=409 if stale else 200,
            stale=stale,
            form=form,
            caution=_("This source is trusted. Another URL, key or audience ends that.") if is_trusted else "",
            submit=_("Save"),
            cancel=self.url("changelist") if source is None else self.url("change", source.pk),
        )

    @sensitive_variables("key")
    def _save(self, request: HttpRequest, source: DataSource | None, *, key: str, **given: str) -> DataSource:
        if source is None:
            return sources.add_source(key=key, actor=actor_of(request), **given)
        return sources.change_source(source, actor_of(request), key=key or None, **given)

    def remove(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The question, and its answer. Pulls and changesets stay, so there is nothing else to list."""
        actor = actor_of(request)
        actor.require("data_sync.delete_datasource")
        source = get_row(DataSource, pk)
        if request.method == "POST":
            try:
                sources.remove_source(source, actor)
            except NotPermitted:
                raise
            except DataSyncError as error:
                messages.error(request, str(error))
                return redirect(self.url("change", pk))
            messages.success(request, _("The data source “%(name)s” was removed.") % {"name": source.name})
            return redirect(self.url("changelist"))
        return render(
            request,
            self,
            "source_remove.html",
            title=_("Remove data source"),
            crumbs=(Crumb(source.name, self.url("change", pk)), Crumb(_("Remove"))),
            source=source,
        )


def _form(data: Any, source: DataSource | None) -> SourceForm:
    initial = {} if source is None else {name: getattr(source, name) for name in ("name", "url", "google_audience")}
    return SourceForm(data, initial=initial, source=source)
