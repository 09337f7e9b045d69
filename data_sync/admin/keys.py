"""Export keys: who may read from here. A key's text is on one page, once."""

from __future__ import annotations

from typing import Any, assert_never

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_variables

from data_sync.core.errors import DataSyncError, NotPermitted
from data_sync.models import ExportKey
from data_sync.services import keys

from .dates import moment
from .forms import KeyForm, RotationForm
from .key_history import page_of, who_made
from .markup import badge
from .pages import Crumb, ScreensAdmin, actor_of, attempt, get_row, render

PERMISSION = keys.PERMISSION


class _Text:
    """A key as its page needs it. Django logs the whole context of a template that lacks a variable, by `repr`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


@admin.register(ExportKey)
class ExportKeyAdmin(ScreensAdmin):
    list_display = ("name", "state", "begins_with", "models_readable", "created", "expires", "last_used")
    search_fields = ("name", "prefix")

    def screens(self) -> dict[str, Any]:
        return {
            "add": ("add/", self.add),
            "change": ("<int:pk>/change/", self.detail),
            "rotate": ("<int:pk>/rotate/", self.rotate),
            "revoke": ("<int:pk>/revoke/", self.revoke),
        }

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(PERMISSION)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("data_sync.view_exportkey") or request.user.has_perm(PERMISSION)

    @admin.display(description=gettext_lazy("state"))
    def state(self, key: ExportKey) -> SafeString:
        match keys.state_of(key):
            case keys.KeyState.REVOKED:
                return badge("rejected", _("revoked"))
            case keys.KeyState.EXPIRED:
                return badge("stale", _("expired"))
            case keys.KeyState.EXPIRING:
                return badge("approved", _("expires soon"))
            case keys.KeyState.ACTIVE:
                return badge("applied", _("active"))
            case state:
                assert_never(state)

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def created(self, key: ExportKey) -> str:
        return moment(key.created_at)

    @admin.display(description=gettext_lazy("expires"), ordering="expires_at", empty_value="–")
    def expires(self, key: ExportKey) -> str | None:
        return moment(key.expires_at) or None

    @admin.display(description=gettext_lazy("last used"), ordering="last_used_at", empty_value="–")
    def last_used(self, key: ExportKey) -> str | None:
        return moment(key.last_used_at) or None

    @admin.display(description=gettext_lazy("begins with"))
    def begins_with(self, key: ExportKey) -> SafeString:
        return format_html("<code>{}…</code>", key.prefix)

    @admin.display(description=gettext_lazy("models"))
    def models_readable(self, key: ExportKey) -> str:
        return ", ".join(key.model_labels) or _("all registered")

    def detail(self, request: HttpRequest, pk: int) -> HttpResponse:
        self.require_view(request)
        key = get_row(ExportKey, pk, "created_by")
        return render(
            request,
            self,
            "key.html",
            title=key.name,
            key=key,
            state=self.state(key),
            made_by=who_made(key),
            may_revoke=key.revoked_at is None and self.has_add_permission(request),
            **page_of(key, request.GET.get("before", "")),
        )

    @sensitive_variables("text")
    def add(self, request: HttpRequest) -> HttpResponse:
        """The answer to the POST shows the key; nothing keeps it, so there is nothing to redirect to."""
        actor = actor_of(request)
        actor.require(PERMISSION)
        form = KeyForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            options = form.cleaned_data
            try:
                key, text = keys.create_key(
                    options["name"],
                    actor,
                    model_labels=options["models"],
                    expires_in_days=options["expires_in_days"],
                )
            except NotPermitted:
                raise
            except DataSyncError as error:
                form.add_error(None, str(error))
            else:
                return render(
                    request, self, "key_created.html", title=_("Export key created"), key=key, text=_Text(text)
                )
        return render(
            request,
            self,
            "form.html",
            title=_("Add export key"),
            crumbs=(Crumb(_("Add export key")),),
            form=form,
            submit=_("Create the key"),
            cancel=self.url("changelist"),
        )

    @sensitive_variables("text")
    def rotate(self, request: HttpRequest, pk: int) -> HttpResponse:
        """As `add`: the answer to the POST shows the new key."""
        actor = actor_of(request)
        actor.require(PERMISSION)
        key = get_row(ExportKey, pk)
        name = key.name
        form = RotationForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                made, text = keys.rotate_key(key, actor, **form.cleaned_data)
            except NotPermitted:
                raise
            except DataSyncError as error:
                form.add_error(None, str(error))
            else:
                crumbs = (Crumb(name, self.url("change", made.pk)), Crumb(_("Rotate")))
                title = _("Export key rotated")
                return render(
                    request, self, "key_created.html", title=title, crumbs=crumbs, key=made, text=_Text(text), old=key
                )
        return render(
            request,
            self,
            "form.html",
            title=_("Rotate export key"),
            crumbs=(Crumb(name, self.url("change", pk)), Crumb(_("Rotate"))),
            explanation=_(
                "Makes a second key that is named “%(name)s” and reads the same models. The old one gets another name, "
                "and stays good until the new one is in its place."
            )
            % {"name": name},
            form=form,
            submit=_("Make the new key"),
            cancel=self.url("change", pk),
        )

    def revoke(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The question, and its answer."""
        actor = actor_of(request)
        actor.require(PERMISSION)
        key = get_row(ExportKey, pk)
        if request.method == "POST":
            done = _("The key “%(name)s” is revoked: nobody can read with it any more.") % {"name": key.name}
            return attempt(request, lambda: keys.revoke_key(key, actor), self.url("change", pk), done)
        return render(
            request,
            self,
            "key_revoke.html",
            title=_("Revoke export key"),
            crumbs=(Crumb(key.name, self.url("change", pk)), Crumb(_("Revoke"))),
            key=key,
        )
