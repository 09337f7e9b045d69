"""Deletes with everything that Django takes along, but without its signals: for rehearsals."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.deletion import Collector
from django.db.models.sql import DeleteQuery, UpdateQuery


class SilentCollector(Collector):
    """Collects what Django's collector does, and deletes it in the same order. Nobody is told."""

    def _has_signal_listeners(self, model: type[models.Model]) -> bool:
        return False

    def delete(self) -> tuple[int, dict[str, int]]:
        # The stubs know what Django documents; this is what its own `delete` works on.
        plan: Any = self
        plan.data = {model: sorted(rows, key=lambda row: row.pk, reverse=True) for model, rows in plan.data.items()}
        plan.sort()
        for rows in plan.fast_deletes:
            rows._raw_delete(using=plan.using)
        for (field, value), of_field in plan.field_updates.items():
            pks = list({row.pk for rows in of_field for row in rows})
            UpdateQuery(field.model).update_batch(pks, {field.name: value}, plan.using)
        for model, rows in plan.data.items():
            DeleteQuery(model).delete_batch([row.pk for row in rows], plan.using)
        return 0, {}
