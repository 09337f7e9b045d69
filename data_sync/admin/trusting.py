"""Trusting a source: the page that switches it on, the button that ends it, and "Pull and apply"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from data_sync import conf, tasks
from data_sync.core.errors import DataSyncError, NotPermitted, RevisionConflict
from data_sync.models import DataSource, Trust
from data_sync.services import pull, trust
from data_sync.services.source_rows import identity_of

from .forms import STALE, model_choices, seen_field
from .markup import COLUMNS, operation_words
from .names import key_words, model_name
from .pages import Crumb, actor_of, attempt, get_row, render

if TYPE_CHECKING:
    from .sources import DataSourceAdmin

HELD_UP = gettext_lazy("Nothing is applied without review now, from any source: DATA_SYNC_AUTO_APPLY is off.")
FOLLOWED = "applying"
"""In the address of a pull's page: who asked is led on to what came of applying it."""


class TrustForm(forms.Form):
    """The limits, and the source's name, typed by who knows what they are doing."""

    models = forms.MultipleChoiceField(
        label=gettext_lazy("Models"),
        choices=model_choices,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("Changes of any other model make the whole changeset wait for review."),
    )
    operations = forms.MultipleChoiceField(
        label=gettext_lazy("Operations"),
        choices=lambda: [(operation.value, operation_words(operation)) for operation in COLUMNS],
        widget=forms.CheckboxSelectMultiple,
    )
    max_changes = forms.IntegerField(
        label=gettext_lazy("Most changes"),
        min_value=1,
        max_value=trust.MOST,
        widget=forms.NumberInput(attrs={"class": "vIntegerField"}),
        help_text=gettext_lazy("A changeset with more of them waits for review."),
    )
    max_deletes = forms.IntegerField(
        label=gettext_lazy("Most deletes"),
        min_value=1,
        max_value=trust.MOST,
        widget=forms.NumberInput(attrs={"class": "vIntegerField"}),
        help_text=gettext_lazy(
            "Counts only where deletes are among the operations. Links that updates cut and references that they make "
            "empty count as deletes, one each; without deletes among the operations, such updates wait for review."
        ),
    )
    when = forms.ChoiceField(
        label=gettext_lazy("When"),
        choices=(
            ("click", gettext_lazy("With one click: “Pull and apply”")),
            ("unattended", gettext_lazy("Without one: each complete pull")),
        ),
        widget=forms.RadioSelect,
    )
    name = forms.CharField(
        label=gettext_lazy("Name of the source"),
        widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, source: DataSource, **options: Any) -> None:
        super().__init__(*args, **options)
        self._name = source.name
        self.fields["seen"] = seen_field(identity_of(source))
        self.fields["name"].help_text = _("To confirm that, type “%(name)s”.") % {"name": source.name}

    def clean_name(self) -> str:
        typed = " ".join(self.cleaned_data["name"].split())
        if typed.casefold() != " ".join(self._name.split()).casefold():
            raise forms.ValidationError(_("Nothing was done: this is not the source's name."))
        return typed


def trust_page(admin: DataSourceAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """The confirmation page, and its answer: the only way by which the admin switches trust on."""
    actor = actor_of(request)
    for permission in trust.NEEDED:
        actor.require(permission)
    source = get_row(DataSource, pk, "trust")
    former = known(source)
    form, stale = TrustForm(request.POST or None, source=source, initial=_initial(former)), ""
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            trust.switch_on(
                source,
                actor,
                models=given["models"],
                operations=given["operations"],
                max_changes=given["max_changes"],
                max_deletes=given["max_deletes"],
                unattended=given["when"] == "unattended",
                seen=given["seen"],
            )
        except NotPermitted:
            raise
        except RevisionConflict:
            source = get_row(DataSource, pk, "trust")
            form, stale = TrustForm(source=source, initial=_initial(known(source))), str(STALE)
        except DataSyncError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, _switched_on_words(former) % {"name": source.name})
            return redirect(admin.url("change", pk))
    return render(
        request,
        admin,
        "form.html",
        title=_("Trust %(name)s") % {"name": source.name},
        crumbs=(Crumb(source.name, admin.url("change", pk)), Crumb(_("Trust"))),
        status=409 if stale else 200,
        stale=stale,
        form=form,
        facts=_facts(source),
        caution=_("Changes will apply without review."),
        cautions=[
            _("They are written on your authority, with the permissions that you have then, as long as you have them."),
            _(
                "Conflicts, unknown bases, rows that deletes take along, problems, warnings, guards, differences of "
                "schema, and anything beyond these limits make the whole changeset wait for review, with the reasons. "
                "So does the first pull of each model: nothing is known yet of what was edited here."
            ),
            _("Another URL, key or audience of the source ends it."),
            _(
                "DATA_SYNC_AUTO_APPLY = False does not end it: as long as that is set, nothing is applied without "
                "review, from any source."
            ),
            *([] if conf.auto_apply() else [HELD_UP]),
        ],
        submit=_("Trust this source"),
        is_danger=True,
        cancel=admin.url("change", pk),
    )


def untrust(admin: DataSourceAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    source = get_row(DataSource, pk)
    done = _("“%(name)s” is not trusted any more: what is pulled waits for review.") % {"name": source.name}
    return attempt(request, lambda: trust.switch_off(source, actor_of(request)), admin.url("change", pk), done)


def pull_and_apply(admin: DataSourceAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Leads to the pull, and its page on to the changeset: what became of it, or why it waits for review."""
    source = get_row(DataSource, pk)
    actor = actor_of(request)
    if trust.standing(source) is None:
        messages.error(request, _("“%(name)s” is not trusted. Nothing was pulled.") % {"name": source.name})
        return redirect(admin.url("change", pk))
    try:
        asked = pull.request_pull(source, [], actor, wants_apply=True)
    except NotPermitted:
        raise
    except DataSyncError as error:
        messages.error(request, str(error))
        return redirect(admin.url("change", pk))
    page = reverse("admin:data_sync_datapull_change", args=(asked.pk,), current_app=admin.admin_site.name)
    return attempt(request, lambda: tasks.submit("pull", asked.pk), f"{page}?{FOLLOWED}=1")


def known(source: DataSource) -> Trust | None:
    """The trust that a source has or has had; it comes with the source where that is fetched with it."""
    found: Trust | None = getattr(source, "trust", None)
    return found


def trust_words(source: DataSource) -> SafeString:
    """For the list of sources."""
    found = known(source)
    if found is None or not found.is_on:
        return format_html('<span class="ds-zero">{}</span>', _("none"))
    words = _("by itself") if found.unattended else _("one click")
    return format_html('<span class="ds-warn"><span aria-hidden="true">⚑</span> {}</span>', words)


def trust_context(request: HttpRequest, source: DataSource) -> dict[str, Any]:
    """What the page of a source says of trust, and what the person there may do about it."""
    found, may = known(source), request.user.has_perm
    return {
        "trust": found,
        "held_up": "" if conf.auto_apply() else HELD_UP,
        "trust_models": [] if found is None else [(label, model_name(label)) for label in found.model_labels],
        "trust_operations": [] if found is None else [operation_words(operation) for operation in found.operations],
        "may_trust": all(may(permission) for permission in trust.NEEDED),
        "may_untrust": may(trust.PERMISSION) or may("data_sync.change_datasource"),
        "may_pull_and_apply": may("data_sync.pull_datasource") and may("data_sync.apply_changeset"),
    }


def unattended_sources() -> list[str]:
    """The names of the sources of which each complete pull applies without review, as things are now."""
    if not conf.auto_apply():
        return []
    found = DataSource.objects.filter(trust__is_on=True, trust__unattended=True)
    return list(found.order_by("name").values_list("name", flat=True))


def _switched_on_words(former: Trust | None) -> str:
    if former is not None and former.is_on:
        return _("Trust in “%(name)s” was changed. It rests on your authority now.")
    return _("“%(name)s” is trusted from now on.")


def _facts(source: DataSource) -> list[tuple[str, str]]:
    """Which environment it is that would be trusted, and by which door."""
    facts = [(_("URL"), source.url), (_("Export key"), key_words(source.key))]
    return [*facts, (_("Google audience"), source.google_audience)] if source.google_audience else facts


def _initial(former: Trust | None) -> dict[str, Any]:
    """The limits that the source has or has had; else the usual, and no model."""
    if former is None:
        return {
            "operations": [operation.value for operation in trust.USUAL_OPERATIONS],
            "max_changes": trust.USUAL_CHANGES,
            "max_deletes": trust.USUAL_DELETES,
            "when": "click",
        }
    return {
        "models": former.model_labels,
        "operations": former.operations,
        "max_changes": former.max_changes,
        "max_deletes": former.max_deletes or trust.USUAL_DELETES,
        "when": "unattended" if former.unattended else "click",
    }
