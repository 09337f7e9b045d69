"""The delete limits of a source: shown on its page, and changed on one of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from data_sync import conf, registry
from data_sync.core.errors import DataSyncError, NotPermitted, RevisionConflict
from data_sync.models import DataSource
from data_sync.services import limits
from data_sync.services.guards import Limit

from .forms import STALE, seen_field
from .names import model_name
from .pages import Crumb, actor_of, get_row, render

if TYPE_CHECKING:
    from .sources import DataSourceAdmin

_LABELS = {"rows": "rows:", "percent": "percent:"}
"""How fields are named: before the label of their model, or before nothing for the source's own."""


@dataclass(frozen=True, slots=True)
class Row:
    """What counts for a model; for all others without `label`."""

    label: str
    name: str
    limit: Limit


def shown(source: DataSource) -> list[Row]:
    """The limits that count: of all models, then of those that have their own."""
    found = limits.limits_of(source)
    others = _("Any other model") if found.models else _("Any model")
    own = [Row(label, model_name(label), limit) for label, limit in found.models.items()]
    return [*own, Row("", others, found.default)]


class LimitsForm(forms.Form):
    """A field in rows and one in percent for the source and for each of its models; empty ones take limits back."""

    def __init__(self, data: Any, given: dict[str, limits.Given]) -> None:
        super().__init__(data)
        self._given = given
        registered = [registration.label for registration in registry.registrations()]
        self._labels = list(dict.fromkeys([limits.ALL, *registered, *given]))
        self.fields["seen"] = seen_field(limits.limits_digest(given))
        own, settings = given[limits.ALL], {"rows": conf.delete_limit(), "percent": conf.delete_percent()}
        for label in self._labels:
            for name, prefix in _LABELS.items():
                value = settings[name] if label == limits.ALL or own[name] is None else own[name]
                self.fields[f"{prefix}{label}"] = self._field(label, name, value)

    def _field(self, label: str, name: str, otherwise: int | None) -> forms.IntegerField:
        what = model_name(label) if label else _("Every model")
        unit = _("rows") if name == "rows" else _("percent")
        return forms.IntegerField(
            label=f"{what}: {unit}",
            required=False,
            min_value=0,
            max_value=limits.MOST[name],
            initial=self._given.get(label, {}).get(name),
            widget=forms.NumberInput(
                attrs={"class": "vIntegerField", "placeholder": otherwise, "aria-label": f"{what}: {unit}"}
            ),
        )

    def rows(self) -> Iterator[tuple[str, str, Any, Any]]:
        """Label, name, and the two fields of each."""
        for label in self._labels:
            name = model_name(label) if label else _("Every model that has none of its own")
            yield label, name, self[f"rows:{label}"], self[f"percent:{label}"]

    def changes(self) -> dict[str, limits.Given]:
        """What was altered, for `limits.change_limits`."""
        found: dict[str, limits.Given] = {}
        for field in self.changed_data:
            if field == "seen":
                continue
            name, label = field.split(":", 1)
            found.setdefault(label, {})[name] = self.cleaned_data[field]
        return found


def edit(admin: DataSourceAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """The form, and its answer. A change is an event of the source."""
    actor = actor_of(request)
    actor.require("data_sync.change_datasource")
    source = get_row(DataSource, pk)
    form = LimitsForm(request.POST if request.method == "POST" else None, limits.given_limits(source))
    stale = ""
    if request.method == "POST" and form.is_valid():
        try:
            limits.change_limits(source, actor, form.changes(), seen=form.cleaned_data["seen"])
        except NotPermitted:
            raise
        except RevisionConflict:
            source.refresh_from_db()
            form, stale = LimitsForm(None, limits.given_limits(source)), str(STALE)
        except DataSyncError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, _("The limits of “%(name)s” were saved.") % {"name": source.name})
            return redirect(admin.url("change", pk))
    return render(
        request,
        admin,
        "limits.html",
        title=_("Limits of deletes"),
        crumbs=(Crumb(source.name, admin.url("change", pk)), Crumb(_("Limits of deletes"))),
        status=409 if stale else 200,
        stale=stale,
        source=source,
        form=form,
        may_raise=actor.may(limits.OVERRIDES),
        cancel=admin.url("change", pk),
    )
