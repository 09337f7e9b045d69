"""Lists whose rows can be had as a spreadsheet: the chosen ones by an action, all that the list shows by a page."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import FileResponse, HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from data_sync.core.errors import DataSyncError, NotPermitted
from data_sync.services import audit_tables
from data_sync.sources.table_files import CONTENT_TYPES

from .pages import Crumb, ScreensAdmin, actor_of, render

ITEMS = "items"
"""The parameter that names the chosen rows, where not all that the list shows are wanted."""


class FormatForm(forms.Form):
    format = forms.ChoiceField(
        label=gettext_lazy("Format"),
        choices=[(name, name.upper()) for name in CONTENT_TYPES],
        initial="xlsx",
        widget=forms.RadioSelect,
        help_text=gettext_lazy(
            "In CSV, TSV, XLSX and ODS, texts that a spreadsheet would calculate begin with an apostrophe. JSON and "
            "YAML hold every value as it is."
        ),
    )


class TableAdmin(ScreensAdmin):
    """The action is shown to those who may export, and to nobody else."""

    actions: Any = ("export_rows",)

    def screens(self) -> dict[str, Any]:
        return {"table": ("table/", self.table)}

    def has_export_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request) and request.user.has_perm(audit_tables.PERMISSION)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        to = f"{self.url('table')}?{request.GET.urlencode()}" if self.has_export_permission(request) else ""
        return super().changelist_view(request, {"table_url": to, **(extra_context or {})})

    @admin.action(description=gettext_lazy("Export the chosen rows"), permissions=["export"])
    def export_rows(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse:
        parameters = request.GET.copy()
        if request.POST.get("select_across") != "1":
            parameters = QueryDict(mutable=True)
            parameters[ITEMS] = ",".join(str(pk) for pk in queryset.values_list("pk", flat=True))
        return redirect(f"{self.url('table')}?{parameters.urlencode()}")

    def table(self, request: HttpRequest) -> HttpResponseBase:
        """The question which format, and its answer: the file."""
        self.require_view(request)
        actor = actor_of(request)
        actor.require(audit_tables.PERMISSION)
        try:
            rows = self._rows(request)
        except IncorrectLookupParameters:
            return redirect(self.url("changelist"))
        form = FormatForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            name = form.cleaned_data["format"]
            try:
                file = audit_tables.audit_table(rows, name, actor)
            except NotPermitted:
                raise
            except DataSyncError as error:
                messages.error(request, str(error))
            else:
                called = f"{self.opts.model_name}s-{timezone.localdate():%Y-%m-%d}.{name}"
                return FileResponse(file, as_attachment=True, filename=called, content_type=CONTENT_TYPES[name])
        count = rows.count()
        return render(
            request,
            self,
            "form.html",
            title=_("Export as a table"),
            crumbs=(Crumb(_("Export as a table")),),
            form=form,
            explanation=ngettext("%(n)s row, as the list has it.", "%(n)s rows, as the list has them.", count)
            % {"n": count},
            submit=_("Export"),
            cancel=self.url("changelist"),
        )

    def _rows(self, request: HttpRequest) -> QuerySet[Any]:
        """The chosen rows, or all that the list would show with these filters."""
        items = request.GET.get(ITEMS)
        if items is not None:
            numbers = [int(item) for item in items.split(",") if item.isascii() and item.isdigit() and len(item) < 19]
            return self.get_queryset(request).filter(pk__in=numbers[: self.list_max_show_all])
        from import_export.admin import ExportMixin

        found: QuerySet[Any] = ExportMixin.get_export_queryset(self, request)
        return found
