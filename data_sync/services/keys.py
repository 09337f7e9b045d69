"""Export keys: who may read from this environment, and which models.

A key is `prefix.secret`. The prefix finds the row; the secret is 256 random bits, of which only the
SHA-256 is stored. A slow password hash would add nothing: it slows guessing down, and 2**256 equally
likely secrets cannot be guessed at any speed.

What is done to a key is an event of its chain, in the same transaction.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from data_sync import registry
from data_sync.core.errors import InvalidInput
from data_sync.models import ExportKey

from . import audit
from .actors import Actor

PERMISSION = "data_sync.manage_exportkey"
OVERLAP_DAYS = 7
"""For how long a key that is rotated stays good unless something else is said."""
EXPIRES_SOON = timedelta(days=14)
_LONGEST_LIFE = 36_500
_LONGEST_NAME = 100
_REPLACED = " (old, "
"""Between the name of a key that another has taken the place of, and its prefix."""


class KeyState(StrEnum):
    """`EXPIRING`: active, but not for longer than `EXPIRES_SOON`."""

    ACTIVE = "active"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    REVOKED = "revoked"


@sensitive_variables("text")
def create_key(
    name: str, actor: Actor, *, model_labels: Iterable[str] = (), expires_in_days: int | None = None
) -> tuple[ExportKey, str]:
    """A new key and its text, which nobody can find out again.

    `model_labels` empty: the key may read every registered model, also those registered later.
    Raises `NotPermitted`, and `InvalidInput` for a name that is taken, an unknown model, or a life
    that is not a positive number of days.
    """
    actor.require(PERMISSION)
    key, text = _new(_new_name(name), actor, _known_labels(model_labels), _expiry(expires_in_days))
    _insert(key, actor, {})
    return key, text


@sensitive_variables("text")
def rotate_key(
    key: ExportKey, actor: Actor, *, expires_in_days: int | None = None, overlap_days: int = OVERLAP_DAYS
) -> tuple[ExportKey, str]:
    """A second active key of the same name and models, and its text, which nobody can find out again.

    The old one gets another name (`ExportKey.name` of `key` is refreshed), and is refused after `overlap_days`, with 0
    at once, or when it would have been anyway. Without `expires_in_days` the new one lives as long as the old one was
    to live. Raises `NotPermitted`, and `InvalidInput` for a key that is revoked, or was rotated meanwhile.
    """
    actor.require(PERMISSION)
    if not 0 <= overlap_days <= _LONGEST_LIFE:
        raise InvalidInput(f"The old key is refused after 0 to {_LONGEST_LIFE} days, not {overlap_days}.")
    now, name, old_name = timezone.now(), key.name, _rotated_name(key)
    ending, expires_at = now + timedelta(days=overlap_days), _expiry(expires_in_days)
    if key.expires_at is not None:
        ending = min(ending, key.expires_at)
        expires_at = expires_at or now + (key.expires_at - key.created_at)
    made, text = _new(name, actor, key.model_labels, expires_at)
    with transaction.atomic():
        # Under the name and expiry that were read, so that of two rotations at once one finds nothing.
        unaltered = ExportKey.objects.filter(pk=key.pk, name=name, expires_at=key.expires_at, revoked_at=None)
        if not unaltered.update(name=old_name, expires_at=ending):
            raise InvalidInput(
                f"The export key “{name}” is revoked, or has just been rotated; only one that is neither can be "
                "rotated. Look at it again, or create another."
            )
        _insert(made, actor, {"rotates": key.prefix})
        detail = {"by": made.prefix, "name": old_name, "expires_at": ending.isoformat()}
        audit.record_of(chain(key), actor, "rotated", detail)
    key.refresh_from_db(fields=["name", "expires_at"])
    return made, text


def revoke_key(key: ExportKey, actor: Actor) -> None:
    """From now on the key is refused. Its row stays, so that it is known who could read until when."""
    actor.require(PERMISSION)
    with transaction.atomic():
        if ExportKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
            audit.record_of(chain(key), actor, "revoked", {"name": key.name})
    key.refresh_from_db(fields=["revoked_at"])


def chain(key: ExportKey) -> str:
    """Where the audit trail has the key's events."""
    return f"key:{key.pk}"


def predecessors(key: ExportKey) -> QuerySet[ExportKey]:
    """The keys that it has taken the place of, as far as they are still good."""
    return ExportKey.objects.filter(usable(), name__startswith=f"{key.name}{_REPLACED}")


def usable() -> Q:
    """The keys that are neither revoked nor expired."""
    return Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=timezone.now()))


def state_of(key: ExportKey) -> KeyState:
    """What a key is good for now."""
    now = timezone.now()
    if key.revoked_at is not None:
        return KeyState.REVOKED
    if key.expires_at is None or key.expires_at - now > EXPIRES_SOON:
        return KeyState.ACTIVE
    return KeyState.EXPIRING if key.expires_at > now else KeyState.EXPIRED


def registered_labels() -> frozenset[str]:
    """The labels that a key without models may read."""
    return frozenset(registration.label for registration in registry.registrations())


def hash_of(text: str) -> str:
    """What is stored of a secret, in 64 hex digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@sensitive_variables()
def _new(name: str, actor: Actor, model_labels: list[str], expires_at: datetime | None) -> tuple[ExportKey, str]:
    secret = secrets.token_urlsafe(32)
    key = ExportKey(
        name=name,
        prefix="ds_" + secrets.token_hex(6),
        secret_hash=hash_of(secret),
        model_labels=model_labels,
        created_by=actor.user,
        expires_at=expires_at,
    )
    return key, f"{key.prefix}.{secret}"


def _insert(key: ExportKey, actor: Actor, more: dict[str, Any]) -> None:
    detail = {
        "name": key.name,
        "prefix": key.prefix,
        "models": key.model_labels,
        "expires_at": None if key.expires_at is None else key.expires_at.isoformat(),
        **more,
    }
    try:
        with transaction.atomic():
            key.save(force_insert=True)
            audit.record_of(chain(key), actor, "created", detail)
    except IntegrityError:
        raise InvalidInput(f"There is an export key named “{key.name}” already; choose another name.") from None


def _new_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > _LONGEST_NAME:
        raise InvalidInput(f"An export key needs a name of 1 to {_LONGEST_NAME} characters: who is it for?")
    return name


def _rotated_name(key: ExportKey) -> str:
    """Its name with its prefix behind it, which no other key has."""
    ending = f"{_REPLACED}{key.prefix})"
    return key.name[: _LONGEST_NAME - len(ending)] + ending


def _known_labels(labels: Iterable[str]) -> list[str]:
    wanted = sorted({label.strip().lower() for label in labels})
    registered = registered_labels()
    for label in wanted:
        if label not in registered:
            known = ", ".join(sorted(registered)) or "none"
            raise InvalidInput(f"The model {label!r} is not registered with data_sync. Registered: {known}.")
    return wanted


def _expiry(days: int | None) -> datetime | None:
    if days is None:
        return None
    if not 1 <= days <= _LONGEST_LIFE:
        raise InvalidInput(
            f"A key expires after 1 to {_LONGEST_LIFE} days, not {days}; leave it out for a key that stays."
        )
    return timezone.now() + timedelta(days=days)
