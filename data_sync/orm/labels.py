"""What people call rows: their `str()`."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import models

from .among import among
from .batches import batches
from .cascades import Row
from .tables import table


def labels_of(rows: Iterable[Row], using: str) -> dict[Row, str]:
    """The `str()` of each row, which is the project's own code; "" where that fails. A query a model and batch."""
    by_model: dict[type[models.Model], dict[object, None]] = {}
    for model, pk in rows:
        by_model.setdefault(model, {})[pk] = None
    return {
        (model, row.pk): _label(row)
        for model, pks in by_model.items()
        for some in batches(pks)
        for row in table(model, using).filter(among("pk", some))
    }


def _label(row: models.Model) -> str:
    try:
        return str(row)[:200]
    except Exception:
        return ""
