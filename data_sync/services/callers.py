"""Who reads from here: the holder of an export key, of `DATA_SYNC_EXPORT_TOKEN`, or of a Google account that is named.

Never says why it refuses.
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from datetime import timedelta

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.debug import sensitive_variables

from data_sync import conf
from data_sync.models import ExportKey

from . import google_tokens, keys, rate_limit

TOKEN_LENGTH = 32
"""Fewest characters that `DATA_SYNC_EXPORT_TOKEN` must have to count."""

_KEY = re.compile(r"[a-z0-9_]{1,16}\.[A-Za-z0-9_-]{43}")
_NOBODY = hashlib.sha256(b"compared with where no key has the prefix").hexdigest()
_USE_NOTED_EVERY = timedelta(minutes=1)
_logger = logging.getLogger("data_sync")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Somebody who may read the models of these labels; none, where none of theirs is registered any more.

    `chain` is where the audit trail has what they did, `name` what it calls them; `key_pk` is set for an export key.
    """

    chain: str
    name: str
    labels: frozenset[str]
    address: str
    key_pk: int | None = None


@sensitive_variables()
def authenticate(authorization: str | None, address: str = "") -> Caller | None:
    """Who the sender of this `Authorization` header is; None: refused.

    Raises `TooManyFailures` where this failed, and too often from the address, and
    `certificates.KeysUnavailable` where Google's keys cannot be had to verify a token of an account that is named.
    """
    scheme, _, given = (authorization or "").partition(" ")
    given = given.strip() if scheme.lower() == "bearer" else ""
    caller = _of_token(given, address) or _of_key(given, address) or _of_account(given, address)
    if caller is None:
        rate_limit.note_refused(address)
    return caller


@sensitive_variables()
def _of_token(given: str, address: str) -> Caller | None:
    token = conf.export_token()
    if not token or not given:
        return None
    if len(token) < TOKEN_LENGTH:
        _logger.error(
            "DATA_SYNC_EXPORT_TOKEN has fewer than %d characters and is therefore refused; "
            "make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
            TOKEN_LENGTH,
        )
        return None
    # Hashed, so that the comparison takes as long whatever the lengths are.
    if not constant_time_compare(keys.hash_of(token), keys.hash_of(given)):
        return None
    return Caller(chain="caller:token", name="DATA_SYNC_EXPORT_TOKEN", labels=keys.registered_labels(), address=address)


@sensitive_variables()
def _of_key(given: str, address: str) -> Caller | None:
    if _KEY.fullmatch(given) is None:
        return None
    prefix, _, secret = given.partition(".")
    key = ExportKey.objects.filter(prefix=prefix).first()
    matches = constant_time_compare(keys.hash_of(secret), _NOBODY if key is None else key.secret_hash)
    if key is None or not matches or keys.state_of(key) in (keys.KeyState.REVOKED, keys.KeyState.EXPIRED):
        return None
    _note_use(key, address)
    labels = keys.registered_labels()
    return Caller(
        chain=keys.chain(key),
        name=f"export key {key.name}",
        labels=labels & frozenset(key.model_labels) if key.model_labels else labels,
        address=address,
        key_pk=key.pk,
    )


@sensitive_variables()
def _of_account(given: str, address: str) -> Caller | None:
    if not google_tokens.is_token(given):
        return None
    accounts = _accounts()
    email = google_tokens.verified_email(given, conf.export_audience(), accounts)
    if email is None:
        return None
    scope, labels = accounts[email], keys.registered_labels()
    return Caller(
        chain=f"caller:{email}", name=email, labels=labels if scope is None else labels & scope, address=address
    )


def _accounts() -> dict[str, frozenset[str] | None]:
    try:
        return conf.export_service_accounts()
    except ImproperlyConfigured as error:
        _logger.error("No service account is let in: %s", error)
        return {}


def _note_use(key: ExportKey, address: str) -> None:
    now = timezone.now()
    if key.last_used_at is not None and now - key.last_used_at < _USE_NOTED_EVERY:
        return
    unnoted = Q(last_used_at=None) | Q(last_used_at__lt=now - _USE_NOTED_EVERY)
    try:
        with transaction.atomic():
            ExportKey.objects.filter(unnoted, pk=key.pk).update(last_used_at=now, last_used_from=address)
    except DatabaseError:
        # Whether reading goes on is not decided here: what has to be recorded is recorded with what is read.
        _logger.warning("The use of the export key %s could not be noted.", key.prefix, exc_info=True)
