"""What people call models, and the keys of sources."""

from __future__ import annotations

from django.apps import apps
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from data_sync.core.states import PullKind
from data_sync.models import Changeset, DataPull
from data_sync.services import credentials


def model_name(label: str) -> str:
    """What people call a model; its label where it is gone."""
    try:
        return capfirst(str(apps.get_model(label)._meta.verbose_name))
    except (LookupError, ValueError):
        return label


def model_names(label: str, count: int) -> str:
    """The model's name for so many rows."""
    try:
        meta = apps.get_model(label)._meta
    except (LookupError, ValueError):
        return label
    return str(meta.verbose_name if count == 1 else meta.verbose_name_plural)


def origin_words(row: DataPull | Changeset) -> str:
    """Where it comes from: a source by its name; a file by its own, and what it is; a revert by what it undoes."""
    if row.kind == PullKind.SOURCE:
        return row.source_name
    if row.reverts_id is not None:
        return _("Revert of changeset %(n)s") % {"n": row.reverts_id}
    return _("%(name)s (%(kind)s)") % {"name": row.source_name, "kind": row.get_kind_display()}


def key_words(stored: str) -> str:
    """How a stored key is shown: the reference, or in words that there is one, or none."""
    shown = credentials.describe(stored)
    return {"stored encrypted": _("stored encrypted"), "none": _("none")}.get(shown, shown)
