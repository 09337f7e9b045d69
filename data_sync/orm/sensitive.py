"""Models and fields that look secret and are not synced unless the registration says so."""

from __future__ import annotations

import re

from data_sync.registry import Registration

SENSITIVE_APPS = frozenset({"auth", "sessions", "admin", "contenttypes", "data_sync"})
SENSITIVE_WORDS = ("password", "passwd", "secret", "token", "api_key", "private_key")

_WORD = re.compile(rf"(?:^|_)(?:{'|'.join(SENSITIVE_WORDS)})(?:_|$)")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def is_sensitive_name(name: str) -> bool:
    """Whether a field's name holds one of the words as a whole word (`design_tokens` does not)."""
    return _WORD.search(_HUMP.sub("_", name).lower()) is not None


def sensitive_reasons(registration: Registration) -> list[str]:
    """Sentences, one for each thing that looks secret and is not named in `allow_sensitive`."""
    meta = registration.model._meta
    from django.contrib.auth import get_user_model

    reasons = []
    is_user = issubclass(registration.model, get_user_model())
    if (meta.app_label in SENSITIVE_APPS or is_user) and "model" not in registration.allow_sensitive:
        reasons.append(
            f"{meta.label} is a sensitive model and is not synced. "
            'If it must be, register it with allow_sensitive=("model",).'
        )
    for field in (*meta.concrete_fields, *meta.many_to_many):
        named = registration.fields is None or field.name in registration.fields
        if field.primary_key or not named or field.name in registration.exclude:
            continue
        if is_sensitive_name(field.name) and field.name not in registration.allow_sensitive:
            reasons.append(
                f"{meta.label}.{field.name} looks secret and is not synced. Exclude it, or name it in allow_sensitive."
            )
    return reasons
