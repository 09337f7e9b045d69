"""Registrations that are others for the length of a block."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest import mock

from django.db.models import Model

from data_sync import registry


def registered(model: type[Model], **options: Any) -> AbstractContextManager[Any]:
    """This process with some options of a model's registration altered; the source's server keeps its own."""
    before = registry.registration_of(model)
    assert before is not None
    return mock.patch.dict(registry._registrations, {model: replace(before, **options)})
