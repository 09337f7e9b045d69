"""Changesets as JSON documents, to take along: one, or several in a zip file. That it was done is an event of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.db.models import QuerySet
from django.http import FileResponse, HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect

from data_sync.core.errors import DataSyncError, NotPermitted
from data_sync.models import Changeset
from data_sync.services.document import changeset_archive, changeset_document

from .pages import actor_of, get_row

if TYPE_CHECKING:
    from .changesets import ChangesetAdmin


def export(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> HttpResponseBase:
    """The changeset as one JSON document, streamed."""
    admin.require_view(request)
    try:
        document = changeset_document(get_row(Changeset, pk), actor_of(request))
    except NotPermitted:
        raise
    except DataSyncError as error:
        messages.error(request, str(error))
        return redirect(admin.url("history", pk))
    return StreamingHttpResponse(
        document,
        content_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="changeset-{pk}.json"'},
    )


def export_chosen(admin: ChangesetAdmin, request: HttpRequest, chosen: QuerySet[Changeset]) -> HttpResponseBase:
    """The chosen changesets, a document each, in one zip file."""
    admin.require_view(request)
    try:
        archive = changeset_archive(chosen.order_by("pk"), actor_of(request))
    except NotPermitted:
        raise
    except DataSyncError as error:
        messages.error(request, str(error))
        return redirect(admin.url("changelist"))
    return FileResponse(archive, as_attachment=True, filename="changesets.zip", content_type="application/zip")
