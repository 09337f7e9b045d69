"""Asking for a revert: of all that a changeset has written, of some models and operations, or of single changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from data_sync import tasks
from data_sync.core.errors import DataSyncError, NotPermitted
from data_sync.core.states import ChangesetState
from data_sync.models import Changeset
from data_sync.services import revert
from data_sync.services.reverting import undoable
from data_sync.services.supersede import OPEN

from .markup import COLUMNS, operation_words
from .names import model_name
from .pages import actor_of, attempt, get_row, render

if TYPE_CHECKING:
    from .changesets import ChangesetAdmin


class RevertForm(forms.Form):
    """What is to be undone: kinds of changes, as "model operation", or single ones by their numbers."""

    kinds = forms.MultipleChoiceField(
        label=gettext_lazy("What to undo"), widget=forms.CheckboxSelectMultiple, required=False
    )
    numbers = forms.CharField(
        label=gettext_lazy("Only these changes"),
        required=False,
        widget=forms.TextInput(attrs={"class": "vTextField", "inputmode": "numeric"}),
        help_text=gettext_lazy(
            "Their numbers, with commas between them. Then it does not matter what is ticked above."
        ),
    )

    def __init__(self, *args: Any, choices: list[tuple[str, str]], **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["kinds"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = choices

    def clean_numbers(self) -> list[int]:
        words = [word.strip().removeprefix("#") for word in self.cleaned_data["numbers"].split(",") if word.strip()]
        if not all(word.isascii() and word.isdigit() and len(word) < 10 for word in words):
            raise forms.ValidationError(_("Write numbers such as 3, 5."))
        return [int(word) for word in words]

    def clean(self) -> None:
        if not self.errors and not self.cleaned_data["kinds"] and not self.cleaned_data["numbers"]:
            raise forms.ValidationError(_("Choose at least one kind of changes, or name changes."))


def ask(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Says what can be undone, and has the revert made that is asked for."""
    actor = actor_of(request)
    actor.require("data_sync.revert_changeset")
    admin.require_view(request)
    changeset = get_row(Changeset, pk)
    left = undoable(changeset)
    if changeset.state != ChangesetState.APPLIED or not left.exists():
        state = changeset.get_state_display()
        words = _("Changeset %(number)s is %(state)s: there is nothing of it to revert.")
        messages.error(request, words % {"number": pk, "state": state})
        return redirect(admin.url("result", pk))
    choices = _choices(left)
    number = request.GET.get("number", "")
    initial = {"kinds": [value for value, _words in choices], "numbers": number if number.isdecimal() else ""}
    form = RevertForm(request.POST or None, choices=choices, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            made = revert.request_revert(changeset, _numbers(left, form, len(choices)), actor)
        except NotPermitted:
            raise
        except DataSyncError as error:
            form.add_error(None, str(error))
        else:
            to = reverse("admin:data_sync_datapull_change", args=(made.pk,), current_app=admin.admin_site.name)
            return attempt(request, lambda: tasks.submit("pull", made.pk), to)
    return render(
        request,
        admin,
        "form.html",
        title=_("Revert changeset %(number)s") % {"number": pk},
        crumbs=admin.crumbs(changeset, _("Revert")),
        form=form,
        explanation=_(
            "This makes a new changeset that puts back what this one has altered. It is reviewed and applied like any "
            "other; until then, nothing is written. Rows that were edited since are conflicts there."
        ),
        caution=_open_revert(changeset),
        submit=_("Make the revert"),
        cancel=admin.url("result", pk),
    )


def _open_revert(changeset: Changeset) -> str:
    """What whoever asks once more is told first; empty where there is nothing to tell."""
    still = changeset.reverting.filter(state__in=OPEN).order_by("-pk").first()
    if still is None:
        return ""
    words = _(
        "Changeset %(number)s, a revert of this one, is still open. A new one that covers its changes takes its place."
    )
    return words % {"number": still.pk}


def _choices(left: Any) -> list[tuple[str, str]]:
    counts = left.order_by().values_list("model", "operation").annotate(count=Count("pk"))
    places = {operation.value: place for place, operation in enumerate(COLUMNS)}
    found = sorted(counts, key=lambda row: (row[0], places[row[1]]))
    return [(f"{label} {one}", f"{model_name(label)}: {count} {operation_words(one)}") for label, one, count in found]


def _numbers(left: Any, form: RevertForm, kinds: int) -> list[int] | None:
    """The changes that are meant, None for all."""
    if form.cleaned_data["numbers"]:
        return list(form.cleaned_data["numbers"])
    chosen = form.cleaned_data["kinds"]
    if len(chosen) == kinds:
        return None
    rows = left.values_list("number", "model", "operation")
    return [number for number, label, one in rows if f"{label} {one}" in chosen]


def standing(changeset: Changeset) -> dict[str, Any]:
    """For the page of an applied changeset: its reverts, and whether there is anything left to undo."""
    closed = changeset.state in (ChangesetState.APPLIED, ChangesetState.REVERTED)
    return {
        "reverts": list(changeset.reverting.order_by("pk")) if closed else [],
        "is_revertible": changeset.state == ChangesetState.APPLIED and undoable(changeset).exists(),
    }
