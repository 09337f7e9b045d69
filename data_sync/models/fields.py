"""A JSON column whose text every database gives back as it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

from data_sync.core import canonical

if TYPE_CHECKING:
    TextField = models.TextField[Any, Any]
else:
    TextField = models.TextField


class CanonicalJSONField(TextField):
    """Stores a JSON-plain value as canonical JSON text.

    Django's `JSONField` is unfit here: `jsonb` rewrites numbers and refuses `\\u0000`, and a seal or
    digest recomputed from the stored value has to come out the same on every database.
    """

    if TYPE_CHECKING:
        _pyi_private_set_type: Any
        _pyi_private_get_type: Any
        _pyi_lookup_exact_type: Any

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        match value:
            case None:
                return None
            case "[]":  # Most changes have no cascades, problems, requirements and files.
                return []
            case "{}":
                return {}
            case _:
                return canonical.loads(value)

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else canonical.dumps(value)

    def value_to_string(self, obj: models.Model) -> str:
        return self.get_prep_value(self.value_from_object(obj)) or ""


def as_stored(column: str) -> Any:
    """An expression for the text of a `CanonicalJSONField`, not read as JSON."""
    return models.ExpressionWrapper(models.F(column), output_field=models.TextField())
