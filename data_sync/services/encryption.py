"""Encryption of the secrets that are stored: Fernet (AES-128-CBC and HMAC-SHA-256) under keys derived by HKDF.

The first text of `DATA_SYNC_ENCRYPTION_KEYS` encrypts, or `SECRET_KEY` where there are none. All of them decrypt, and
so do `SECRET_KEY` and its fallbacks: what was stored before the setting was made is not lost.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.encoding import force_bytes
from django.views.decorators.debug import sensitive_variables

from data_sync import conf
from data_sync.core.errors import DataSyncError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

SHORTEST = 32
"""Characters of a text in `DATA_SYNC_ENCRYPTION_KEYS`."""


class CannotDecrypt(DataSyncError):
    """None of the keys that the settings have is the one that it was encrypted with."""


@sensitive_variables()
def encrypt(text: str) -> str:
    """Raises `DataSyncError` where the settings hold no sound keys."""
    return _fernets()[0].encrypt(text.encode()).decode()


@sensitive_variables()
def decrypt(token: str) -> str:
    """Raises `CannotDecrypt`, without saying more."""
    return _decrypt(token, _fernets())


@sensitive_variables()
def is_current(token: str) -> bool:
    """Whether the key that encrypts now is the one that it was encrypted with."""
    try:
        _decrypt(token, _fernets()[:1])
    except CannotDecrypt:
        return False
    return True


@sensitive_variables()
def key_problem() -> str | None:
    """What is wrong with `DATA_SYNC_ENCRYPTION_KEYS`, as the rest of a sentence that begins with its name."""
    keys = conf.encryption_keys()
    if not isinstance(keys, tuple) or not all(isinstance(key, str) for key in keys):
        return "is not a list of texts"
    if any(len(key) < SHORTEST for key in keys):
        return f"has a text of fewer than {SHORTEST} characters"
    return None


@sensitive_variables()
def _decrypt(token: str, fernets: list[Fernet]) -> str:
    from cryptography.fernet import InvalidToken, MultiFernet

    try:
        return MultiFernet(fernets).decrypt(token.encode()).decode()
    except InvalidToken:
        raise CannotDecrypt("It cannot be decrypted with the keys that the settings have.") from None


@sensitive_variables()
def _fernets() -> list[Fernet]:
    from cryptography.fernet import Fernet

    problem = key_problem()
    if problem is not None:
        raise DataSyncError(
            f"DATA_SYNC_ENCRYPTION_KEYS {problem}; nothing is encrypted or decrypted until it is mended."
        )
    secrets = [*conf.encryption_keys(), settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [Fernet(_derive(secret)) for secret in dict.fromkeys(secrets)]


@sensitive_variables()
def _derive(secret: str | bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    # A label of its own: the same SECRET_KEY signs sessions, and no two uses may share a key.
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"data_sync source key 1")
    return base64.urlsafe_b64encode(derived.derive(force_bytes(secret)))
