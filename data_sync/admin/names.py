"""What people call models."""

from __future__ import annotations

from django.apps import apps
from django.utils.text import capfirst


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
