"""Verify: whether a changeset that is stored, or a file that somebody has, is as it was made, and where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from data_sync.core.errors import InvalidInput
from data_sync.models import Changeset
from data_sync.services import verify as service

from .pages import Crumb, actor_of, get_row, render

if TYPE_CHECKING:
    from .changesets import ChangesetAdmin


class FileForm(forms.Form):
    file = forms.FileField(
        label=gettext_lazy("Exported changeset"),
        help_text=gettext_lazy("A JSON file, as “Export JSON” gives it. It is read, and not kept."),
        widget=forms.FileInput(attrs={"accept": "application/json,.json"}),
    )


def verify(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Of a stored changeset. Alters nothing."""
    changeset = get_row(Changeset, pk)
    found = service.verify_changeset(changeset, actor_of(request))
    return render(
        request,
        admin,
        "verified.html",
        title=_("Verification of changeset %(number)s") % {"number": pk},
        crumbs=admin.crumbs(changeset, _("Verification")),
        changeset=changeset,
        found=found,
        page_name="verified",
        **admin.permissions(request),
    )


def verify_file(admin: ChangesetAdmin, request: HttpRequest) -> HttpResponse:
    """Of a file, which need not be of this installation."""
    actor = actor_of(request)
    actor.require("data_sync.view_changeset")
    form = FileForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        file: Any = form.cleaned_data["file"]
        try:
            found = service.verify_file(file.file, actor)
        except InvalidInput as error:
            form.add_error("file", str(error))
        else:
            title = _("Verification of a file")
            return render(
                request, admin, "verified.html", title=title, crumbs=(Crumb(title),), found=found, file=file.name
            )
    return render(
        request,
        admin,
        "form.html",
        title=_("Verify a file"),
        crumbs=(Crumb(_("Verify a file")),),
        form=form,
        explanation=_(
            "Whether an exported changeset is as it was exported. It may be of another installation: whether that made "
            "it can then only be told where its key is among those of this one."
        ),
        submit=_("Verify"),
        cancel=admin.url("changelist"),
    )
