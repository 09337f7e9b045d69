"""The keys with which this environment reads from sources, as they are stored.

Either a reference to an environment variable (`env:NAME`), or the key encrypted, so that a dump of the database
without the settings gives no key away.
"""

from __future__ import annotations

import os
import re

from django.views.decorators.debug import sensitive_variables

from data_sync.core.errors import DataSyncError, InvalidInput

from . import encryption

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
    return _ENCRYPTED + encryption.encrypt(key)


@sensitive_variables()
def reveal(stored: str) -> str:
    """The key itself.

    Raises `DataSyncError` that names the missing variable, or says that the keys in the settings have changed.
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
    try:
        return encryption.decrypt(stored.removeprefix(_ENCRYPTED))
    except encryption.CannotDecrypt:
        raise encryption.CannotDecrypt(
            "The source's export key cannot be decrypted: it was stored with a key that the settings do not have any "
            "more. Add it to DATA_SYNC_ENCRYPTION_KEYS, or an old SECRET_KEY to SECRET_KEY_FALLBACKS; or give the "
            "source its key again."
        ) from None


@sensitive_variables()
def renew(stored: str) -> str:
    """The same key, encrypted with what encrypts now; as it is, where that has been done or nothing is encrypted.

    Raises `encryption.CannotDecrypt`.
    """
    if not stored.startswith(_ENCRYPTED) or encryption.is_current(stored.removeprefix(_ENCRYPTED)):
        return stored
    return _ENCRYPTED + encryption.encrypt(reveal(stored))


def describe(stored: str) -> str:
    """How a stored key may be shown: the reference, or that there is one."""
    if stored.startswith(REFERENCE):
        return stored
    return "stored encrypted" if stored else "none"


def _check(key: str, what: str) -> None:
    if _PRINTABLE.fullmatch(key) is None:
        raise InvalidInput(f"{what} must be 1 to 1000 printable ASCII characters without spaces.")
