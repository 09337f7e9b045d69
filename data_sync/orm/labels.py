"""What people call rows: their `str()`, unless that may tell what is redacted."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db import models

from .among import among
from .batches import batches
from .cascades import Row
from .redacted import may_tell
from .tables import table


def labels_of(rows: Iterable[Row], using: str, redacting: Collection[type[models.Model]] = ()) -> dict[Row, str]:
    """The `str()` of each row, which is the project's own code; "" where that fails. A query a model and batch.

    None of rows of the `redacting` models, which have redacted fields, nor of what leads to those (`may_tell`).
    """
    by_model: dict[type[models.Model], dict[object, None]] = {}
    for model, pk in rows:
        by_model.setdefault(model, {})[pk] = None
    by_model = {model: pks for model, pks in by_model.items() if not may_tell(model, redacting)}
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
