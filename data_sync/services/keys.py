"""Export keys: who may read from this environment, and which models.

A key is `prefix.secret`. The prefix finds the row; the secret is 256 random bits, of which only the
SHA-256 is stored. A slow password hash would add nothing: it slows guessing down, and 2**256 equally
likely secrets cannot be guessed at any speed.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.debug import sensitive_variables

from data_sync import conf, registry
from data_sync.core.errors import InvalidInput
from data_sync.models import ExportKey

from .actors import Actor

PERMISSION = "data_sync.manage_exportkey"
TOKEN_LENGTH = 32
"""Fewest characters that `DATA_SYNC_EXPORT_TOKEN` must have to count."""

_KEY = re.compile(r"[a-z0-9_]{1,16}\.[A-Za-z0-9_-]{43}")
_NOBODY = hashlib.sha256(b"compared with where no key has the prefix").hexdigest()
_USE_NOTED_EVERY = timedelta(minutes=1)
_LONGEST_LIFE = 36_500
_logger = logging.getLogger(__name__)


@sensitive_variables("secret")
def create_key(
    name: str, actor: Actor, *, model_labels: Iterable[str] = (), expires_in_days: int | None = None
) -> tuple[ExportKey, str]:
    """A new key and its text, which nobody can find out again.

    `model_labels` empty: the key may read every registered model, also those registered later.
    Raises `NotPermitted`, and `InvalidInput` for a name that is taken, an unknown model, or a life
    that is not a positive number of days.
    """
    actor.require(PERMISSION)
    secret = secrets.token_urlsafe(32)
    key = ExportKey(
        name=_new_name(name),
        prefix="ds_" + secrets.token_hex(6),
        secret_hash=_hash(secret),
        model_labels=_known_labels(model_labels),
        created_by=actor.user,
        expires_at=_expiry(expires_in_days),
    )
    try:
        with transaction.atomic():
            key.save(force_insert=True)
    except IntegrityError:
        raise InvalidInput(f"There is an export key named “{key.name}” already; choose another name.") from None
    return key, f"{key.prefix}.{secret}"


def revoke_key(key: ExportKey, actor: Actor) -> None:
    """From now on the key is refused. Its row stays, so that it is known who could read until when."""
    actor.require(PERMISSION)
    ExportKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
    key.refresh_from_db(fields=["revoked_at"])


@sensitive_variables()
def authenticate(authorization: str | None) -> frozenset[str] | None:
    """The labels that the sender of this `Authorization` header may read; None: refused.

    An empty set is a valid key none of whose models is registered any more. Never says why it refuses.
    """
    scheme, _, given = (authorization or "").partition(" ")
    given = given.strip()
    if scheme.lower() != "bearer" or not given:
        return None
    if _is_export_token(given):
        return _registered()
    if _KEY.fullmatch(given) is None:
        return None
    prefix, _, secret = given.partition(".")
    key = ExportKey.objects.filter(prefix=prefix).first()
    matches = constant_time_compare(_hash(secret), _NOBODY if key is None else key.secret_hash)
    if key is None or not matches or not is_usable(key):
        return None
    _note_use(key)
    return _registered() if not key.model_labels else _registered() & frozenset(key.model_labels)


def is_usable(key: ExportKey) -> bool:
    """Whether the key is neither revoked nor expired."""
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > timezone.now())


@sensitive_variables()
def _is_export_token(given: str) -> bool:
    token = conf.export_token()
    if not token:
        return False
    if len(token) < TOKEN_LENGTH:
        _logger.error(
            "DATA_SYNC_EXPORT_TOKEN has fewer than %d characters and is therefore refused; "
            "make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
            TOKEN_LENGTH,
        )
        return False
    # Hashed, so that the comparison takes as long whatever the lengths are.
    return constant_time_compare(_hash(token), _hash(given))


def _note_use(key: ExportKey) -> None:
    now = timezone.now()
    if key.last_used_at is not None and now - key.last_used_at < _USE_NOTED_EVERY:
        return
    unnoted = Q(last_used_at=None) | Q(last_used_at__lt=now - _USE_NOTED_EVERY)
    try:
        with transaction.atomic():
            ExportKey.objects.filter(unnoted, pk=key.pk).update(last_used_at=now)
    except DatabaseError:
        # Reading must go on where the database only reads, or is locked by a long write.
        _logger.warning("The use of the export key %s could not be noted.", key.prefix, exc_info=True)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _registered() -> frozenset[str]:
    return frozenset(registration.label for registration in registry.registrations())


def _new_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > 100:
        raise InvalidInput("An export key needs a name of 1 to 100 characters: who is it for?")
    return name


def _known_labels(labels: Iterable[str]) -> list[str]:
    wanted = sorted({label.strip().lower() for label in labels})
    registered = _registered()
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
