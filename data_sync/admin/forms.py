"""The forms that are not decisions: sources, keys, pulls, and reasons."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from data_sync import registry
from data_sync.models import DataSource
from data_sync.services.keys import OVERLAP_DAYS
from data_sync.services.reasons import LONGEST
from data_sync.services.source_rows import identity_of
from data_sync.services.sources import REFERENCE_PREFIX
from data_sync.sources.sheet_rows import FORMATS


def model_choices() -> list[tuple[str, str]]:
    """The registered models, by label, as people know them."""
    return [
        (registration.label, f"{registration.model._meta.verbose_name_plural} ({registration.label})")
        for registration in registry.registrations()
    ]


STALE = _("The source was changed meanwhile, so nothing was saved. This is how it is now: look again.")
"""Above a form, answered with 409, that was made from what is no longer so."""


def seen_field(digest: str) -> forms.CharField:
    """What a form was made from, which comes back with it."""
    return forms.CharField(required=False, initial=digest, widget=forms.HiddenInput)


class ModelsField(forms.MultipleChoiceField):
    """Some of the registered models; none chosen means all of them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=model_choices, widget=forms.CheckboxSelectMultiple, required=False, **options)


class SourceForm(forms.Form):
    """A source. The key is only ever written: a source that has one keeps it if the field stays empty."""

    name = forms.CharField(
        label=_("Name"), max_length=100, help_text=_("What people call the environment, such as Staging.")
    )
    url = forms.URLField(
        label=_("URL"),
        max_length=500,
        assume_scheme="https",
        widget=forms.URLInput(attrs={"class": "vURLField", "placeholder": "https://staging.example.com/api"}),
        help_text=_("The prefix under which the other environment includes data_sync.urls, without end slash."),
    )
    key = forms.CharField(
        label=_("Export key"),
        strip=True,
        required=False,
        widget=forms.PasswordInput(attrs={"class": "vTextField", "autocomplete": "off", "spellcheck": "false"}),
    )
    google_audience = forms.CharField(
        label=_("Google audience"),
        required=False,
        max_length=500,
        strip=True,
        widget=forms.TextInput(attrs={"class": "vTextField", "spellcheck": "false"}),
        help_text=_(
            "Only for a source on Cloud Run or behind Identity-Aware Proxy: each request then carries an ID token of "
            "this environment's service account. Here it can be the source's own host, such as "
            "https://staging.example.com; any other is set on the command line."
        ),
    )

    def __init__(self, *args: Any, source: DataSource | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["name"].widget.attrs["class"] = "vTextField"
        if source is not None:
            self.fields["seen"] = seen_field(identity_of(source))
        stored = self._has_key = source is not None and bool(source.key)
        self.fields["key"].help_text = (
            _("A key is stored and is not shown again. Leave this empty to keep it.")
            if stored
            else _(
                "A key that the other environment made under Export keys; it is stored encrypted and not shown "
                "again. Or env: and the name of an environment variable that holds it and whose name begins with "
                "%(prefix)s, such as env:%(prefix)sSTAGING."
            )
            % {"prefix": REFERENCE_PREFIX}
        )

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if not (self._has_key or given.get("key") or given.get("google_audience")) and "key" in given:
            self.add_error("key", self.fields["key"].error_messages["required"])
        return given


class KeyForm(forms.Form):
    name = forms.CharField(
        label=_("Name"),
        max_length=100,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text=_("Who will use it, such as Production."),
    )
    models = ModelsField(label=_("Models"), help_text=_("What the key may read. None chosen: every registered model."))
    expires_in_days = forms.IntegerField(
        label=_("Expires after"),
        required=False,
        min_value=1,
        max_value=3650,
        widget=forms.NumberInput(attrs={"class": "vIntegerField"}),
        help_text=_("Days; empty: it does not expire."),
    )


class RotationForm(forms.Form):
    expires_in_days = forms.IntegerField(
        label=_("The new key expires after"),
        required=False,
        min_value=1,
        max_value=3650,
        widget=forms.NumberInput(attrs={"class": "vIntegerField"}),
        help_text=_("Days; empty: it lives as long as the old one was to live."),
    )
    overlap_days = forms.IntegerField(
        label=_("The old key stays good for"),
        initial=OVERLAP_DAYS,
        min_value=0,
        max_value=365,
        widget=forms.NumberInput(attrs={"class": "vIntegerField"}),
        help_text=_("Days, in which the new key is put in its place. 0: it is refused at once."),
    )


class PullForm(forms.Form):
    source = forms.ModelChoiceField(label=_("Source"), queryset=DataSource.objects.all())
    models = ModelsField(
        label=_("Models"), help_text=_("What to compare. None chosen: every model that the source offers.")
    )
    find_renames = forms.BooleanField(
        label=_("Find renames"),
        required=False,
        initial=True,
        help_text=_(
            "Offer a row that only its key tells from a deleted one as that row, renamed: what refers to it here stays."
        ),
    )


class UploadForm(forms.Form):
    """A file. Django keeps a large one in a temporary file while it arrives, so none is ever held in memory."""

    file = forms.FileField(
        label=_("File"), help_text=_("A bundle, made with data_sync bundle; or a spreadsheet of one model.")
    )
    model = forms.ChoiceField(
        label=_("Model"), required=False, help_text=_("Of a spreadsheet: whose rows it has. A bundle says so itself.")
    )
    format = forms.ChoiceField(
        label=_("Format"),
        required=False,
        choices=[("", _("as the file's name says")), *((name, name.upper()) for name in FORMATS)],
        help_text=_("Of a spreadsheet."),
    )
    deletes = forms.BooleanField(
        label=_("Propose deletes"),
        required=False,
        help_text=_(
            "Of a spreadsheet that has all rows of its model: rows here that it lacks are to be deleted. Otherwise "
            "they stay as they are, as do columns that it lacks."
        ),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["model"].choices = [("", "–"), *model_choices()]  # type: ignore[attr-defined]


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"),
        widget=forms.Textarea(attrs={"class": "vLargeTextField", "rows": 3}),
        help_text=_("Kept in the changeset's history."),
        max_length=LONGEST,
    )
    revision = forms.IntegerField(required=False, widget=forms.HiddenInput)
    state = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, required: bool = True, **options: Any) -> None:
        """`required`: a reason has to be given, and what was seen has to be said."""
        super().__init__(*args, **options)
        self.fields["reason"].required = self.fields["revision"].required = required
