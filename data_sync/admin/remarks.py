"""What a reviewer leaves at a change beside the decision: a tick for having looked, and comments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from data_sync.core.errors import DataSyncError, NotPermitted
from data_sync.models import Change, Changeset, Comment, Viewing
from data_sync.services import remarks

from .bulk import Bulk
from .dates import moment
from .filters import Filters
from .pages import actor_of
from .presentation import comments_words

if TYPE_CHECKING:
    from .changesets import ChangesetAdmin


def set_viewed(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Ticks a change off for whoever is at the screen. Answers a script with how many are, a form with its page."""
    change = _change(request, pk)
    remarks.set_viewed(change, actor_of(request), is_viewed=request.POST.get("viewed") == "1")
    if request.headers.get("Accept", "").startswith("application/json"):
        viewed = viewed_by_model(change.changeset, request.user.pk)
        bulk = Bulk.of_page(request, change.changeset)
        return JsonResponse({"viewed": viewed, "bulk": bulk.words(), "expect": bulk.counts()})
    return redirect(back(admin, request, pk))


def comment(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Adds a comment. Answers a script with what to show of it, a form with its card."""
    change = _change(request, pk)
    wants_json = request.headers.get("Accept", "").startswith("application/json")
    try:
        added = remarks.comment(change, request.POST.get("comment", ""), actor_of(request))
    except NotPermitted:
        raise
    except DataSyncError as error:
        if wants_json:
            return JsonResponse({"error": str(error), "remedy": "none"}, status=400)
        messages.error(request, str(error))
        return redirect(back(admin, request, pk))
    if wants_json:
        summary = comments_words(Comment.objects.filter(change=change).count())
        head = f"{added.actor} · {moment(added.at)}"
        return JsonResponse({"head": head, "text": added.text, "summary": summary})
    messages.success(request, _("The comment is added."))
    return redirect(back(admin, request, pk))


def back(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> str:
    """Where a form came from: the filters it was shown with, and the card. Never another page."""
    query, number = request.POST.get("query", ""), Filters.of(request.POST).number
    place = (f"?{query}" if query else "") + ("" if number is None else f"#change-{number}")
    return admin.url("change", pk) + place


def viewed_by_model(changeset: Changeset, user_pk: Any) -> dict[str, int]:
    """How many changes somebody has ticked off, by model."""
    mine = Viewing.objects.filter(user=user_pk, change__changeset=changeset)
    return dict(mine.values_list("change__model").annotate(Count("pk")).order_by())


def comments_of(changes: Iterable[Change]) -> dict[int, list[Comment]]:
    """The comments on some changes, by their primary keys, the first one first; one query."""
    found: dict[int, list[Comment]] = {}
    for one in Comment.objects.filter(change__in=[change.pk for change in changes]).order_by("pk"):
        found.setdefault(one.change_id, []).append(one)
    return found


def _change(request: HttpRequest, pk: int) -> Change:
    number = Filters.of(request.POST).number
    changes = Change.objects.select_related("changeset").filter(changeset=pk)
    change = None if number is None else changes.filter(number=number).first()
    if change is None:
        raise Http404
    return change
