"""The keys of the audit trail, as `DATA_SYNC_AUDIT_KEYS` has them: the newest makes codes, all of them check."""

from __future__ import annotations

import os

from django.views.decorators.debug import sensitive_variables

from data_sync import conf
from data_sync.core.errors import DataSyncError
from data_sync.core.macs import SHORTEST, Keyring, MacKey

from .credentials import REFERENCE


@sensitive_variables()
def keyring() -> Keyring:
    """Raises `DataSyncError` where the setting is not sound: what is to be authenticated is not left without."""
    entries = conf.audit_keys()
    if not entries:
        return Keyring()
    problem = key_problem()
    if problem is not None:
        raise DataSyncError(f"DATA_SYNC_AUDIT_KEYS {problem}; the audit trail cannot be written until it is mended.")
    return Keyring(tuple(MacKey(_secret(entry).encode()) for entry in entries))


@sensitive_variables()
def key_problem() -> str | None:
    """What is wrong with `DATA_SYNC_AUDIT_KEYS`, as the rest of a sentence that begins with its name."""
    entries = conf.audit_keys()
    if not isinstance(entries, tuple) or not all(isinstance(entry, str) for entry in entries):
        return "is not a list of texts"
    for entry in entries:
        secret = _secret(entry)
        if entry.startswith(REFERENCE) and not secret:
            return f"names the environment variable {entry.removeprefix(REFERENCE)!r}, which is not set here"
        if len(secret.encode()) < SHORTEST:
            return f"has a key of fewer than {SHORTEST} bytes"
    if len(set(map(_secret, entries))) < len(entries):
        return "has the same key twice"
    return None


@sensitive_variables()
def texts() -> list[str]:
    """The keys themselves, for checks; without those that are not there."""
    entries = conf.audit_keys()
    if not isinstance(entries, tuple):
        return []
    return [secret for entry in entries if isinstance(entry, str) and (secret := _secret(entry))]


@sensitive_variables()
def _secret(entry: str) -> str:
    return os.environ.get(entry.removeprefix(REFERENCE), "").strip() if entry.startswith(REFERENCE) else entry
