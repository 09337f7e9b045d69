"""What every screen of ours has in common: the admin's frame, breadcrumbs, and how errors are answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, TypeVar, cast

import django
from django.contrib import admin, messages
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.db import OperationalError, models, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from data_sync.core.errors import DataSyncError, NotPermitted, RevisionConflict
from data_sync.services.actors import Actor, of_user
from data_sync.services.redaction import log_error

Row = TypeVar("Row", bound=models.Model)
View = Callable[..., HttpResponseBase]
BUSY = gettext_lazy("The database is busy; nothing was changed. Try again.")


class ScreensAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A model whose list is the admin's own and whose other pages are ours.

    Nothing is written but through services, so there are no bulk actions and no stock forms.
    `screens` gives the pages: by URL name, the path below the list and the view.
    """

    actions: Any = None
    list_per_page = 50

    class Media:
        css = {"all": ["data_sync/data_sync.css"]}

    def screens(self) -> dict[str, tuple[str, View]]:
        return {}

    def get_urls(self) -> list[URLPattern]:
        prefix = f"{self.opts.app_label}_{self.opts.model_name}"
        ours = [
            path(route, screen(self, view), name=f"{prefix}_{name}") for name, (route, view) in self.screens().items()
        ]
        # Of the stock pages the list alone: others would show a row's columns, such as a key's hash, to whoever writes
        # its number in a way that ours do not take (`_35/change/`).
        return [*ours, *(one for one in super().get_urls() if one.name == f"{prefix}_changelist")]

    def url(self, name: str, *args: object) -> str:
        """The address of a page by the last part of its URL's name."""
        route = f"admin:{self.opts.app_label}_{self.opts.model_name}_{name}"
        return reverse(route, args=args, current_app=self.admin_site.name)

    def posted(self, view: View, page: str = "change") -> View:
        """A view that answers forms alone. Who comes by its address, as after logging in again, is led to the page of
        the form's row, and told that nothing was done."""

        def answer(request: HttpRequest, pk: int) -> HttpResponseBase:
            if request.method in ("GET", "HEAD"):
                messages.warning(request, _("Nothing was done: what was sent did not arrive. Send it again."))
                return redirect(self.url(page, pk))
            return require_POST(view)(request, pk=pk)

        return answer

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def require_view(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied


@dataclass(frozen=True, slots=True)
class Crumb:
    """A step of the breadcrumbs; the one without URL is the page itself."""

    text: str
    url: str = ""


def actor_of(request: HttpRequest) -> Actor:
    """Who is at the screen; the admin has seen to it that somebody is."""
    user: AbstractBaseUser | AnonymousUser = request.user
    if isinstance(user, AnonymousUser):
        raise PermissionDenied
    return of_user(user)


def render(
    request: HttpRequest,
    model_admin: ScreensAdmin,
    template: str,
    *,
    title: str,
    crumbs: tuple[Crumb, ...] = (),
    status: int = 200,
    **context: Any,
) -> TemplateResponse:
    """One of our pages within the admin's frame. `crumbs` are those below the model's list."""
    meta = model_admin.opts
    trail = (
        Crumb(str(meta.app_config.verbose_name), reverse("admin:app_list", args=(meta.app_label,))),
        Crumb(capfirst(str(meta.verbose_name_plural)), model_admin.url("changelist")),
        *(crumbs or (Crumb(title),)),
    )
    return TemplateResponse(
        request,
        f"admin/data_sync/{template}",
        {
            **model_admin.admin_site.each_context(request),
            "opts": meta,
            "title": title,
            "crumbs": trail,
            # Django 6.1 lays breadcrumbs out as a list, and styles nothing else.
            "crumbs_are_a_list": django.VERSION >= (6, 1),
            **context,
        },
        status=status,
    )


def get_row(model: type[Row], pk: int | str, *related: str) -> Row:
    """The row with its related rows, in one query. Raises `Http404`, also for what is no number."""
    rows = model._default_manager.select_related(*related) if related else model._default_manager.all()
    try:
        return rows.get(pk=int(pk))
    except (ValueError, OverflowError, ObjectDoesNotExist):
        raise Http404(_("There is no %(name)s %(pk)s.") % {"name": model._meta.verbose_name, "pk": pk}) from None


def screen(model_admin: ScreensAdmin, view: View) -> View:
    """A view as the admin's URLs want it: for staff only, with CSRF, outside of `ATOMIC_REQUESTS`.

    Services open their own transactions; one round all of them would hide their progress, and
    would undo what they recorded about a failure. `NotPermitted` is answered with 403, a database that is
    locked or away with 503.
    """

    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except NotPermitted as error:
            raise PermissionDenied(str(error)) from error
        except OperationalError as error:
            _log(request, error)
            return _busy(request, model_admin)

    wrapped = model_admin.admin_site.admin_view(update_wrapper(guarded, view))
    return cast(View, transaction.non_atomic_requests(wrapped))


def _log(request: HttpRequest, error: OperationalError) -> None:
    # Hidden whatever is redacted here: what a changeset redacts, its source may have said, and cannot be asked for now.
    log_error(f"{request.path} could not be answered.", error, hidden=True)


def _busy(request: HttpRequest, model_admin: ScreensAdmin) -> HttpResponse:
    if request.headers.get("Accept", "").startswith("application/json"):
        return JsonResponse({"error": str(BUSY)}, status=503)
    try:
        # Rendered here: the frame around the page reads permissions from the database.
        return render(
            request, model_admin, "busy.html", title=_("The database is busy"), status=503, reason=BUSY
        ).render()
    except OperationalError:
        return HttpResponse(str(BUSY), status=503, content_type="text/plain; charset=utf-8")


def attempt(request: HttpRequest, step: Callable[[], object], to: str, done: str = "") -> HttpResponse:
    """Does one step and goes on to `to`; what goes wrong on purpose is told there.

    Lets `NotPermitted` and `RevisionConflict` through: these have answers of their own.
    """
    try:
        step()
    except (NotPermitted, RevisionConflict):
        raise
    except DataSyncError as error:
        messages.error(request, str(error))
    except OperationalError as error:
        _log(request, error)
        messages.error(request, BUSY)
    else:
        if done:
            messages.success(request, done)
    return redirect(to)
