"""`DataSyncEnhancedManager`, for models whose rows are to be found by natural key."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import models

from . import registry
from .core.errors import RegistrationError

ModelRow = TypeVar("ModelRow", bound=models.Model)


class DataSyncEnhancedManager(models.Manager[ModelRow]):
    """A manager with `get_by_natural_key`, by the key that the model is registered with."""

    def get_by_natural_key(self, *key: Any) -> ModelRow:
        """The row with this key, one value per part.

        Raises the model's `DoesNotExist` or `MultipleObjectsReturned`, and `RegistrationError` for a
        model that is not registered, whose key cannot be told, or for a wrong number of parts.
        """
        registration = registry.registration_of(self.model)
        if registration is None:
            raise RegistrationError(f"{self.model._meta.label} is not registered with data_sync.")
        paths = registration.key
        if len(key) != len(paths):
            raise RegistrationError(
                f"The natural key of {self.model._meta.label} has {len(paths)} parts "
                f"({', '.join(paths)}); {len(key)} were given."
            )
        return self.get(**dict(zip((path.replace(".", "__") for path in paths), key, strict=True)))
