"""The keys with which this environment reads from sources, as they are stored.

Either a reference to an environment variable (`env:NAME`), or the key encrypted with Fernet
(AES-128-CBC and HMAC-SHA-256), so that a dump of the database without `SECRET_KEY` gives no key away.
"""

from __future__ import annotations

import base64
import os
import re
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.encoding import force_bytes
from django.views.decorators.debug import sensitive_variables

from data_sync.core.errors import DataSyncError, InvalidInput

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

REFERENCE = "env:"
_ENCRYPTED = "fernet:"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PRINTABLE = re.compile(r"[!-~]{1,1000}")


@sensitive_variables()
def protect(key: str) -> str:
    """What to store for a key. `env:NAME` stays as it is; the variable need not exist yet.

    Raises `InvalidInput` for what cannot be a key.
    """
    key = key.strip()
    if key.startswith(REFERENCE):
        if _VARIABLE.fullmatch(key.removeprefix(REFERENCE)) is None:
            raise InvalidInput("Write env: and the name of an environment variable, such as env:DATA_SYNC_KEY_STAGING.")
        return key
    _check(key, "The export key")
    return _ENCRYPTED + _fernet().encrypt(key.encode()).decode()


@sensitive_variables()
def reveal(stored: str) -> str:
    """The key itself.

    Raises `DataSyncError` that names the missing variable, or says that `SECRET_KEY` has changed.
    """
    if stored.startswith(REFERENCE):
        name = stored.removeprefix(REFERENCE)
        key = os.environ.get(name, "").strip()
        if not key:
            raise DataSyncError(
                f"The environment variable {name}, which holds the source's export key, is not set here."
            )
        _check(key, f"The environment variable {name}")
        return key
    if not stored.startswith(_ENCRYPTED):
        raise DataSyncError("The source has no export key; give it one.")
    from cryptography.fernet import InvalidToken

    try:
        return _fernet().decrypt(stored.removeprefix(_ENCRYPTED).encode()).decode()
    except InvalidToken:
        raise DataSyncError(
            "The source's export key cannot be decrypted: SECRET_KEY is not the one it was stored with. "
            "Name the old one in SECRET_KEY_FALLBACKS, or give the source its key again."
        ) from None


def describe(stored: str) -> str:
    """How a stored key may be shown: the reference, or that there is one."""
    if stored.startswith(REFERENCE):
        return stored
    return "stored encrypted" if stored else "none"


@sensitive_variables()
def _fernet() -> MultiFernet:
    from cryptography.fernet import Fernet, MultiFernet

    return MultiFernet([Fernet(_derive(secret)) for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


@sensitive_variables()
def _derive(secret: str | bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    # A label of its own: the same SECRET_KEY signs sessions, and no two uses may share a key.
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"data_sync source key 1")
    return base64.urlsafe_b64encode(derived.derive(force_bytes(secret)))


def _check(key: str, what: str) -> None:
    if _PRINTABLE.fullmatch(key) is None:
        raise InvalidInput(f"{what} must be 1 to 1000 printable ASCII characters without spaces.")
