"""Models and fields that look secret and are not synced unless the registration says so."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from django.db import models

from data_sync.core.errors import RegistrationError
from data_sync.registry import Registration, registration_of
from data_sync.registry.inheritance import is_own

SENSITIVE_APPS = frozenset({"auth", "sessions", "admin", "contenttypes", "data_sync"})
SENSITIVE_WORDS = ("password", "passwd", "secret", "token", "api_key", "private_key")

_WORD = re.compile(rf"(?:^|_)(?:{'|'.join(SENSITIVE_WORDS)})(?:_|$)")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def is_sensitive_name(name: str) -> bool:
    """Whether a field's name holds one of the words as a whole word (`design_tokens` does not)."""
    return _WORD.search(_HUMP.sub("_", name).lower()) is not None


def sensitive_reasons(registration: Registration) -> list[RegistrationError]:
    """One error for each thing that looks secret and is not named in `allow_sensitive`; raises none."""
    meta = registration.model._meta
    from django.contrib.auth import get_user_model

    reasons = []
    is_user = issubclass(registration.model, get_user_model())
    if (meta.app_label in SENSITIVE_APPS or is_user) and "model" not in registration.allow_sensitive:
        reasons.append(
            RegistrationError(
                f"{meta.label} is a sensitive model and is not synced. "
                'If it must be, register it with allow_sensitive=("model",).',
                "sensitive_model",
            )
        )
    for name in _travelling_names(registration):
        if is_sensitive_name(name) and name not in registration.allow_sensitive:
            reasons.append(
                RegistrationError(
                    f"{meta.label}.{name} looks secret and is not synced. Exclude it, or name it in allow_sensitive.",
                    "sensitive_field",
                )
            )
    return reasons


def is_withheld(model: type[models.Model], names: Iterable[str]) -> bool:
    """Whether columns of a model hold what is sensitive, and no registration allows it."""
    from django.contrib.auth import get_user_model

    known = registration_of(model)
    allowed: Collection[str] = () if known is None else known.allow_sensitive
    is_sensitive = model._meta.app_label in SENSITIVE_APPS or issubclass(model, get_user_model())
    return (is_sensitive and "model" not in allowed) or any(
        is_sensitive_name(name) and name not in allowed for name in names
    )


def _travelling_names(registration: Registration) -> list[str]:
    """The fields that records would hold, and every name on the way of the natural key: keys are shown everywhere."""
    meta = registration.model._meta
    try:
        paths = registration.key
    except RegistrationError:
        paths = ()  # None was given and none can be inferred, which resolving the registration says.
    names = {name: None for path in paths for name in path.split(".")}
    names |= dict.fromkeys(registration.file_fields)
    for field in (*meta.concrete_fields, *meta.many_to_many):
        if isinstance(field, models.FileField) or field.name in registration.exclude:
            continue
        if not is_own(registration.model, field):
            continue
        plain_key = field.primary_key and not isinstance(field, models.ForeignKey)
        chosen = not plain_key if registration.fields is None else field.name in registration.fields
        if chosen:
            names[field.name] = None
    return list(names)
