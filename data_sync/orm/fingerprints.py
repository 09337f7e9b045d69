"""What two sides must agree on for a column to be compared."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.utils.choices import CallableChoiceIterator

from data_sync.core import canonical

from .values import Field, codec_of


def fingerprint(field: Field) -> dict[str, Any]:
    """The column as JSON-plain traits; equal ones are of one form."""
    built_in = type(field).__module__.startswith("django.db.models.")
    shape: dict[str, Any] = {
        "type": type(field).__name__ if built_in else f"{type(field).__module__}.{type(field).__qualname__}",
        "null": field.null,
    }
    for trait in ("max_length", "max_digits", "decimal_places"):
        value = getattr(field, trait, None)
        if value is not None:
            shape[trait] = value
    if isinstance(field, models.DateTimeField):
        shape["aware"] = settings.USE_TZ
    choices = _choices(field)
    if choices is not None:
        shape["choices"] = choices
    return shape


def _choices(field: Field) -> list[Any] | None:
    """What may be chosen, as it is stored and in canonical order; not what a function makes up when it is asked."""
    if field.choices is None or isinstance(field.choices, CallableChoiceIterator):
        return None
    to_text = codec_of(field).to_text
    texts = set()
    for value, _ in field.flatchoices:
        if value is not None:
            try:
                texts.add(to_text(field.to_python(value)))
            except Exception:  # a field of the project's own raises what it likes, or a choice is none
                texts.add(canonical.dumps(str(value)))
    return [canonical.loads(text) for text in sorted(texts)]
