"""Changes of all changesets in one list: where a row came from, and what has become of it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from data_sync.models import Change

from .dates import moment
from .exporting import TableAdmin
from .markup import badge
from .names import model_name


class LightList(ChangeList):
    """Without the records, of which a page would have megabytes."""

    def get_queryset(self, *args: Any, **options: Any) -> QuerySet[Any]:
        shown = ("changeset", "number", "model", "key_text", "operation", "decision", "outcome")
        return super().get_queryset(*args, **options).only(*shown, "changeset__created_at")


@admin.register(Change)
class ChangeAdmin(TableAdmin):
    """Shows no values: those are on the page of the changeset, which knows what is redacted."""

    list_display = (
        "row",
        "model_words",
        "operation_words",
        "decision_badge",
        "outcome_badge",
        "in_changeset",
        "pulled_at",
    )
    list_display_links = None
    list_filter = ("operation", "decision", "outcome")
    list_select_related = ("changeset",)
    search_fields = ("model", "key_text")
    search_help_text = gettext_lazy("Words of the model's label and of the natural key.")
    ordering = ("-changeset", "number")
    show_full_result_count = False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("data_sync.view_change") or request.user.has_perm("data_sync.view_changeset")

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return LightList

    @admin.display(description=gettext_lazy("natural key"), ordering="key_text")
    def row(self, change: Change) -> SafeString:
        return format_html("<bdi>{}</bdi>", change.key_text)

    @admin.display(description=gettext_lazy("model"), ordering="model")
    def model_words(self, change: Change) -> str:
        return model_name(change.model)

    @admin.display(description=gettext_lazy("operation"), ordering="operation")
    def operation_words(self, change: Change) -> str:
        return str(change.get_operation_display())

    @admin.display(description=gettext_lazy("decision"), ordering="decision")
    def decision_badge(self, change: Change) -> SafeString:
        return badge(change.decision, change.get_decision_display())

    @admin.display(description=gettext_lazy("outcome"), ordering="outcome", empty_value="–")
    def outcome_badge(self, change: Change) -> SafeString | None:
        return badge(change.outcome, change.get_outcome_display()) if change.outcome else None

    @admin.display(description=gettext_lazy("changeset"), ordering="changeset")
    def in_changeset(self, change: Change) -> SafeString:
        url = reverse("admin:data_sync_changeset_change", args=(change.changeset_id,))
        number = _("Changeset %(number)s") % {"number": change.changeset_id}
        return format_html('<a href="{}?number={}#change-{}">{}</a>', url, change.number, change.number, number)

    @admin.display(description=gettext_lazy("created"), ordering="changeset__created_at")
    def pulled_at(self, change: Change) -> str:
        return moment(change.changeset.created_at)
