"""The audit trail of everything in one list. It is only read: nobody edits or deletes an event."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from data_sync.core import canonical
from data_sync.models import Event

from .dates import DatedList, moment
from .exporting import TableAdmin

LONGEST = 200


@admin.register(Event)
class EventAdmin(TableAdmin):
    list_display = ("at_words", "about", "number_words", "action", "actor", "detail_text")
    list_display_links = None
    list_filter = ("action",)
    search_fields = ("actor", "action", "=chain")
    search_help_text = gettext_lazy("Who, what, or whose trail, such as changeset:42 or source:7.")
    date_hierarchy = "at"
    ordering = ("-pk",)
    show_full_result_count = False

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return DatedList

    @admin.display(description=gettext_lazy("when"), ordering="at")
    def at_words(self, event: Event) -> str:
        return moment(event.at)

    @admin.display(description=gettext_lazy("trail"), ordering="chain")
    def about(self, event: Event) -> str | SafeString:
        if event.changeset_id is None:
            return format_html("<bdi>{}</bdi>", event.chain)
        url = reverse("admin:data_sync_changeset_history", args=(event.changeset_id,))
        return format_html('<a href="{}">{}</a>', url, event.chain)

    @admin.display(description=gettext_lazy("number"), ordering="number")
    def number_words(self, event: Event) -> int:
        return event.number

    @admin.display(description=gettext_lazy("detail"))
    def detail_text(self, event: Event) -> SafeString:
        text = canonical.dumps(event.detail)
        return format_html("<code>{}</code>", text if len(text) <= LONGEST else f"{text[:LONGEST]}…")
