"""Uploading a bundle or a spreadsheet: a form, and then the page of the pull that reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from data_sync import tasks
from data_sync.core.errors import DataSyncError, NotPermitted
from data_sync.services import uploads

from .forms import UploadForm
from .pages import Crumb, actor_of, attempt, render

if TYPE_CHECKING:
    from .pulls import DataPullAdmin


def upload(model_admin: DataPullAdmin, request: HttpRequest) -> HttpResponse:
    """What is wrong with the file stands beside its field; what is right leads to the page of its pull."""
    actor = actor_of(request)
    actor.require(uploads.PERMISSION)
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data["file"]
        options = {name: form.cleaned_data[name] for name in ("model", "format", "deletes")}
        try:
            requested = uploads.request_upload(given.chunks(), given.name, actor, options=options)
        except NotPermitted:
            raise
        except DataSyncError as error:
            form.add_error("file", str(error))
        else:
            to = model_admin.url("change", requested.pk)
            return attempt(request, lambda: tasks.submit("pull", requested.pk), to)
    return render(
        request,
        model_admin,
        "form.html",
        title=_("Upload a file"),
        crumbs=(Crumb(_("Upload a file")),),
        form=form,
        explanation=_(
            "A file is compared with this environment. What differs becomes a changeset, which waits for review; until "
            "then, nothing is written. The file is removed once it was read."
        ),
        caution=_(
            "A bundle shows by itself that it is whole, not who made it. Compare its checksum with what its maker told "
            "you by another way: it stands on the next page."
        ),
        submit=_("Upload"),
        cancel=model_admin.url("changelist"),
    )
