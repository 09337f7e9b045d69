"""Changesets: the stock list, and the addresses of the pages of one."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from data_sync.models import Changeset

from . import (
    confirmation,
    deciding,
    documents,
    files,
    history,
    outcomes,
    pictures,
    rehearsal,
    remarks,
    retention,
    reverting,
    review,
    row_history,
    transitions,
    verifying,
)
from .dates import DatedList, moment
from .exporting import TableAdmin
from .markup import COLUMNS, conflict_count, counts, operation_words, state_badge
from .names import origin_words
from .pages import Crumb

PERMISSIONS = {
    "may_approve": "data_sync.approve_changeset",
    "may_apply": "data_sync.apply_changeset",
    "may_override": "data_sync.override_changeset_guard",
    "may_export": "data_sync.export_changeset",
    "may_revert": "data_sync.revert_changeset",
    "may_pull": "data_sync.pull_datasource",
}


class OperationFilter(admin.SimpleListFilter):
    """What a changeset does, by its stored counts."""

    title = gettext_lazy("operation")
    parameter_name = "operation"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(operation.value, operation_words(operation)) for operation in COLUMNS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Changeset]) -> QuerySet[Changeset]:
        return queryset.filter(**{f"{self.value()}s__gt": 0}) if self.value() in [*COLUMNS] else queryset


class RiskFilter(admin.SimpleListFilter):
    """What deserves a second look."""

    title = gettext_lazy("risk")
    parameter_name = "risk"

    RISKS: ClassVar[dict[str, tuple[Any, Q]]] = {
        "conflicts": (gettext_lazy("Conflicts"), Q(conflicts__gt=0)),
        "deletes": (gettext_lazy("Deletes"), Q(deletes__gt=0)),
        "guards": (gettext_lazy("Stopped by a guard"), ~Q(guards=[])),
        "differences": (gettext_lazy("Fields or models left out"), ~Q(omitted={})),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(name, words) for name, (words, _condition) in self.RISKS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Changeset]) -> QuerySet[Changeset]:
        risk = self.value()
        return queryset.filter(self.RISKS[risk][1]) if risk in self.RISKS else queryset


@admin.register(Changeset)
class ChangesetAdmin(TableAdmin):
    list_display = (
        "number",
        "state_badge",
        "change_counts",
        "conflict_count",
        "from_source",
        "actor",
        "pulled_at",
    )
    list_display_links = ("number",)
    list_filter = ("state", "kind", "source_name", OperationFilter, RiskFilter)
    date_hierarchy = "created_at"
    search_fields = ("=id", "source_name", "actor")
    show_full_result_count = False
    actions = (*TableAdmin.actions, "export_json")
    change_list_template = "admin/data_sync/changesets.html"

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return DatedList

    def screens(self) -> dict[str, Any]:
        return {
            **super().screens(),
            "lookup": ("lookup/", partial(row_history.lookup, self)),
            "retention": ("retention/", partial(retention.retention_page, self)),
            "change": ("<int:pk>/change/", partial(review.review_page, self)),
            "print": ("<int:pk>/print/", partial(review.print_page, self)),
            "decide": ("<int:pk>/decide/", self.posted(partial(deciding.decide, self))),
            "viewed": ("<int:pk>/viewed/", self.posted(partial(remarks.set_viewed, self))),
            "comment": ("<int:pk>/comment/", self.posted(partial(remarks.comment, self))),
            "undo": ("<int:pk>/undo/", self.posted(partial(deciding.undo, self))),
            "rehearse": ("<int:pk>/rehearse/", self.posted(partial(rehearsal.rehearse, self))),
            "resolve": ("<int:pk>/resolve/", self.posted(partial(deciding.resolve, self))),
            "confirm": ("<int:pk>/apply/", partial(confirmation.confirm, self)),
            "approve": ("<int:pk>/approve/", self.posted(partial(transitions.approve, self))),
            "withdraw": ("<int:pk>/withdraw/", self.posted(partial(transitions.withdraw, self))),
            "reject": ("<int:pk>/reject/", partial(transitions.reject, self)),
            "override": ("<int:pk>/override/", partial(transitions.override, self)),
            "revert": ("<int:pk>/revert/", partial(reverting.ask, self)),
            "result": ("<int:pk>/result/", partial(outcomes.result, self)),
            "status": ("<int:pk>/status/", partial(outcomes.status, self)),
            "history": ("<int:pk>/history/", partial(history.history, self)),
            "verify": ("<int:pk>/verify/", self.posted(partial(verifying.verify, self), "history")),
            "verify_file": ("verify/", partial(verifying.verify_file, self)),
            "export": ("<int:pk>/export/", self.posted(partial(documents.export, self), "history")),
            "thumbnail": (
                "<int:pk>/thumbnails/<int:number>/<str:field>/<str:side>/",
                partial(pictures.thumbnail, self),
            ),
            "file": (
                "<int:pk>/files/<int:number>/<str:field>/<str:side>/",
                partial(files.download, self),
            ),
        }

    def permissions(self, request: HttpRequest) -> dict[str, Any]:
        """What the person at the screen may do, for templates; services ask again."""
        may = {name: request.user.has_perm(permission) for name, permission in PERMISSIONS.items()}
        views = ("data_sync.view_datasource", "data_sync.change_datasource")
        return may | {"may_view_source": any(request.user.has_perm(permission) for permission in views)}

    def crumbs(self, changeset: Changeset, *pages: str) -> tuple[Crumb, ...]:
        """The way to a page of a changeset."""
        own = Crumb(_("Changeset %(number)s") % {"number": changeset.pk}, self.url("change", changeset.pk))
        return (own, *(Crumb(page) for page in pages))

    @admin.action(description=gettext_lazy("Export the chosen changesets as JSON"), permissions=["export"])
    def export_json(self, request: HttpRequest, queryset: QuerySet[Changeset]) -> HttpResponseBase:
        return documents.export_chosen(self, request, queryset)

    @admin.display(description=gettext_lazy("changeset"), ordering="pk")
    def number(self, changeset: Changeset) -> str:
        return _("Changeset %(number)s") % {"number": changeset.pk}

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state_badge(self, changeset: Changeset) -> SafeString:
        state = state_badge(changeset)
        if not changeset.auto_state:
            return state
        # Below it: another column would leave too little room for the others.
        reasons = " ".join(reason["message"] for reason in changeset.auto_reasons)
        words = changeset.get_auto_state_display()
        return format_html('{}<br><span class="ds-quiet" title="{}">{}</span>', state, reasons, words)

    @admin.display(description=gettext_lazy("source"), ordering="source_name")
    def from_source(self, changeset: Changeset) -> str:
        return origin_words(changeset)

    @admin.display(description=gettext_lazy("changes"))
    def change_counts(self, changeset: Changeset) -> SafeString:
        return counts(changeset)

    @admin.display(description=gettext_lazy("conflicts"), ordering="conflicts")
    def conflict_count(self, changeset: Changeset) -> SafeString:
        return conflict_count(changeset.conflicts)

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def pulled_at(self, changeset: Changeset) -> str:
        return moment(changeset.created_at, "SHORT_DATETIME_FORMAT")
