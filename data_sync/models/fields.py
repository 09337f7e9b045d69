"""A JSON column whose text every database gives back as it was written."""

from __future__ import annotations

from typing import Any

from django.db import models

from data_sync.core import canonical


class CanonicalJSONField(models.TextField):
    """Stores a JSON-plain value as canonical JSON text.

    Django's `JSONField` is unfit here: `jsonb` rewrites numbers and refuses `\\u0000`, and a seal or
    digest recomputed from the stored value has to come out the same on every database.
    """

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        return None if value is None else canonical.loads(value)

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else canonical.dumps(value)

    def value_to_string(self, obj: models.Model) -> str:
        return self.get_prep_value(self.value_from_object(obj)) or ""
