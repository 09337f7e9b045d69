"""What retention purges next, and what it has purged: a page that alters nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from data_sync import conf
from data_sync.services import retention

from .pages import render

if TYPE_CHECKING:
    from .changesets import ChangesetAdmin

SHOWN = 50


def retention_page(admin: ChangesetAdmin, request: HttpRequest) -> HttpResponse:
    """The changesets whose values are due to be purged, and those whose values are gone, the latest."""
    admin.require_view(request)
    before = retention.cutoff()
    due = None if before is None else retention.expired(before)
    purged = retention.latest_purged()
    return render(
        request,
        admin,
        "retention.html",
        title=_("Retention"),
        days=conf.retention_days(),
        due=[] if due is None else due[:SHOWN],
        due_count=0 if due is None else due.count(),
        purged=purged[:SHOWN],
        purged_count=purged.count(),
    )
