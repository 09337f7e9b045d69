"""Whether secrets can be guessed, or one serves for two purposes. No message has a secret in it, or its length."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Warning
from django.utils.encoding import force_str

from data_sync import conf
from data_sync.services import audit_keys

from .registering import deployment

SHORTEST = 32
FEWEST_DIFFERENT = 8
"""Different characters; 32 hexadecimal digits made at random have fewer once in some ten million."""
UNSAFE_BEGIN = "django-insecure-"
MAKE_ONE = "Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'."


@deployment
def check_strength() -> Iterator[CheckMessage]:
    encrypting = "DATA_SYNC_ENCRYPTION_KEYS" if _encryption_keys() else "SECRET_KEY"
    for name, secret in _secrets():
        if name.startswith("DATA_SYNC_AUDIT_KEYS") and _is_weak(secret):
            yield Warning(
                f"{name}, which the audit trail is authenticated with, can be guessed: it is short, or made of few "
                "different characters. Whoever has an export can try until one fits.",
                hint=MAKE_ONE,
                id="data_sync.W017",
            )
        if name.startswith(encrypting) and _is_weak(secret):
            yield Warning(
                f"{name}, under which the export keys of sources are encrypted, can be guessed: it is short, made of "
                "few different characters, or begins as those that startproject writes. Whoever has a dump of the "
                "database can try until one fits.",
                hint=MAKE_ONE,
                id="data_sync.W017",
            )
    token = conf.export_token()
    if token and len(token) < SHORTEST:
        yield Error(
            f"DATA_SYNC_EXPORT_TOKEN has fewer than {SHORTEST} characters, and is therefore refused.",
            hint=MAKE_ONE,
            id="data_sync.E045",
        )
    elif token and _is_weak(token):
        yield Warning(
            "DATA_SYNC_EXPORT_TOKEN can be guessed: it is made of few different characters.",
            hint=MAKE_ONE,
            id="data_sync.W017",
        )


@deployment
def check_sharing() -> Iterator[CheckMessage]:
    for (one, secret), (other, same) in combinations(_secrets(), 2):
        if secret == same:
            yield Error(
                f"{one} and {other} are the same secret: whoever learns it where it is used for one thing can do the "
                "other.",
                hint=f"Give each a value of its own. {MAKE_ONE}",
                id="data_sync.E046",
            )


@deployment
def check_audit_keys() -> Iterator[CheckMessage]:
    if not conf.audit_keys():
        yield Warning(
            "DATA_SYNC_AUDIT_KEYS is not set: the audit trail and exports have no codes, so whoever can write to the "
            "database, or alters an export, can make all of it agree again, and nothing tells.",
            hint=f"Keep the key where the database's administrators do not see it. {MAKE_ONE}",
            id="data_sync.W033",
        )


@deployment
def check_export_token() -> Iterator[CheckMessage]:
    if len(conf.export_token()) >= SHORTEST:
        yield Info(
            "DATA_SYNC_EXPORT_TOKEN reads every registered model, and never expires.",
            hint="Prefer a key for each reader: data_sync key create NAME --models … --expires DAYS.",
            id="data_sync.I002",
        )


def _secrets() -> list[tuple[str, str]]:
    """Every secret that data_sync uses, with a name by which to speak of it."""
    found: list[tuple[str, str | bytes]] = [("SECRET_KEY", settings.SECRET_KEY)]
    found += [(f"SECRET_KEY_FALLBACKS[{i}]", key) for i, key in enumerate(settings.SECRET_KEY_FALLBACKS)]
    found += [(f"DATA_SYNC_ENCRYPTION_KEYS[{i}]", key) for i, key in enumerate(_encryption_keys())]
    found += [(f"DATA_SYNC_AUDIT_KEYS[{i}]", key) for i, key in enumerate(audit_keys.texts())]
    found += [("DATA_SYNC_EXPORT_TOKEN", conf.export_token())]
    return [(name, force_str(secret)) for name, secret in found if secret]


def _encryption_keys() -> list[str]:
    """Those that are texts; what else there is, another check says."""
    keys = conf.encryption_keys()
    return [key for key in keys if isinstance(key, str)] if isinstance(keys, tuple) else []


def _is_weak(secret: str) -> bool:
    return len(secret) < SHORTEST or len(set(secret)) < FEWEST_DIFFERENT or secret.startswith(UNSAFE_BEGIN)
