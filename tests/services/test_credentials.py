"""RELIABILITY 11: the keys with which this environment reads are stored so that a dump gives none away."""

from __future__ import annotations

from typing import Any

import pytest

from data_sync import checks
from data_sync.core.errors import DataSyncError, InvalidInput
from data_sync.services import credentials

KEY = "ds_0123456789ab.canarycanarycanarycanarycanarycanarycanary1"


def test_a_key_is_stored_encrypted_and_can_be_read_again() -> None:
    stored = credentials.protect(f" {KEY}\n")
    assert stored.startswith("fernet:")
    assert "canary" not in stored
    assert credentials.reveal(stored) == KEY


def test_the_same_key_is_stored_differently_each_time() -> None:
    assert credentials.protect(KEY) != credentials.protect(KEY)


def test_a_reference_is_stored_as_it_is_and_read_when_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATA_SYNC_KEY_STAGING", raising=False)
    stored = credentials.protect("env:DATA_SYNC_KEY_STAGING")
    assert stored == "env:DATA_SYNC_KEY_STAGING"
    monkeypatch.setenv("DATA_SYNC_KEY_STAGING", f"{KEY}\n")
    assert credentials.reveal(stored) == KEY


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_variable_is_named(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATA_SYNC_KEY_STAGING", raising=False)
    if value is not None:
        monkeypatch.setenv("DATA_SYNC_KEY_STAGING", value)
    with pytest.raises(DataSyncError, match="variable DATA_SYNC_KEY_STAGING, which holds the source's export key"):
        credentials.reveal("env:DATA_SYNC_KEY_STAGING")


def test_an_older_secret_key_still_decrypts_as_long_as_it_is_a_fallback(settings: Any) -> None:
    settings.SECRET_KEY = "old"
    stored = credentials.protect(KEY)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["older", "old"]
    assert credentials.reveal(stored) == KEY
    renewed = credentials.protect(KEY)
    settings.SECRET_KEY_FALLBACKS = []
    assert credentials.reveal(renewed) == KEY
    with pytest.raises(DataSyncError, match="SECRET_KEY_FALLBACKS") as error:
        credentials.reveal(stored)
    assert stored not in str(error.value)


def test_secret_key_itself_encrypts_nothing(settings: Any) -> None:
    """A token made with the bare SECRET_KEY, as another app might, is none of ours."""
    import base64
    import hashlib

    from cryptography.fernet import Fernet

    bare = base64.urlsafe_b64encode(hashlib.sha256(settings.SECRET_KEY.encode()).digest())
    with pytest.raises(DataSyncError):
        credentials.reveal("fernet:" + Fernet(bare).encrypt(KEY.encode()).decode())


@pytest.mark.parametrize("flip", [10, 40, -2])
def test_a_stored_key_that_was_altered_is_refused(flip: int) -> None:
    stored = credentials.protect(KEY)
    altered = list(stored)
    altered[flip] = "A" if altered[flip] != "A" else "B"
    with pytest.raises(DataSyncError, match="cannot be decrypted"):
        credentials.reveal("".join(altered))


@pytest.mark.parametrize("stored", ["", KEY, "fernet", "plain:x"])
def test_what_was_not_stored_by_protect_is_no_key(stored: str) -> None:
    with pytest.raises(DataSyncError, match="has no export key") as error:
        credentials.reveal(stored)
    assert "canary" not in str(error.value)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "  ",
        "two words",
        "line\r\nX-Header: 1",
        "schlüssel",
        "nul\x00",
        "x" * 1001,
        "env:",
        "env:A-B",
        "env:1A",
        "env:A B",
    ],
)
def test_what_cannot_stand_in_a_header_is_refused(key: str) -> None:
    with pytest.raises(InvalidInput):
        credentials.protect(key)


def test_a_variable_with_a_line_break_is_refused_by_name_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_SYNC_KEY_STAGING", "canary\r\nX-Header: 1")
    with pytest.raises(InvalidInput, match="DATA_SYNC_KEY_STAGING") as error:
        credentials.reveal("env:DATA_SYNC_KEY_STAGING")
    assert "canary" not in str(error.value)


def test_what_is_shown_of_a_key_is_the_reference_or_that_there_is_one() -> None:
    assert credentials.describe("env:DATA_SYNC_KEY_STAGING") == "env:DATA_SYNC_KEY_STAGING"
    assert credentials.describe(credentials.protect(KEY)) == "stored encrypted"
    assert credentials.describe("") == "none"


# Keys of one's own to encrypt with.

TEXTS = ["first-" + "a" * 32, "second-" + "b" * 32]


def test_the_first_text_encrypts_and_all_decrypt(settings: Any) -> None:
    settings.DATA_SYNC_ENCRYPTION_KEYS = TEXTS[:1]
    stored = credentials.protect(KEY)
    settings.DATA_SYNC_ENCRYPTION_KEYS = [TEXTS[1], TEXTS[0]]
    assert credentials.reveal(stored) == KEY
    renewed = credentials.renew(stored)
    settings.DATA_SYNC_ENCRYPTION_KEYS = TEXTS[1:]
    assert credentials.reveal(renewed) == KEY
    with pytest.raises(DataSyncError, match="DATA_SYNC_ENCRYPTION_KEYS"):
        credentials.reveal(stored)


def test_another_secret_key_is_no_matter_where_there_are_keys_of_one_s_own(settings: Any) -> None:
    settings.DATA_SYNC_ENCRYPTION_KEYS = TEXTS
    stored = credentials.protect(KEY)
    settings.SECRET_KEY = "another"
    assert credentials.reveal(stored) == KEY


def test_what_was_stored_before_there_were_keys_is_not_lost(settings: Any) -> None:
    settings.SECRET_KEY = "old"
    stored = credentials.protect(KEY)
    settings.DATA_SYNC_ENCRYPTION_KEYS = TEXTS
    assert credentials.reveal(stored) == KEY
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["old"]
    assert credentials.reveal(stored) == KEY
    renewed = credentials.renew(stored)
    settings.SECRET_KEY_FALLBACKS = []
    assert credentials.reveal(renewed) == KEY


def test_renewing_twice_changes_nothing_and_references_stay(settings: Any) -> None:
    stored = credentials.protect(KEY)
    assert credentials.renew(stored) == stored
    settings.DATA_SYNC_ENCRYPTION_KEYS = TEXTS
    renewed = credentials.renew(stored)
    assert renewed != stored
    assert credentials.renew(renewed) == renewed
    for nothing in ("env:DATA_SYNC_KEY_STAGING", ""):
        assert credentials.renew(nothing) == nothing


@pytest.mark.parametrize("keys", ["canary" * 8, ["canary"], [TEXTS[0], "canary" * 5], [None], [7], 7, {"a": 1}])
def test_keys_that_are_too_short_or_no_list_encrypt_nothing_and_are_not_shown(keys: Any, settings: Any) -> None:
    stored = credentials.protect(KEY)
    settings.DATA_SYNC_ENCRYPTION_KEYS = keys
    for call in (lambda: credentials.protect(KEY), lambda: credentials.reveal(stored)):
        with pytest.raises(DataSyncError, match="DATA_SYNC_ENCRYPTION_KEYS") as error:
            call()
        assert "canary" not in str(error.value)
    [message] = checks.check_settings()
    assert message.id == "data_sync.E020"
    assert "canary" not in str(message)


@pytest.mark.parametrize("keys", [None, [], (), TEXTS, tuple(TEXTS)])
def test_sound_keys_or_none_are_no_fault(keys: Any, settings: Any) -> None:
    settings.DATA_SYNC_ENCRYPTION_KEYS = keys
    assert credentials.reveal(credentials.protect(KEY)) == KEY
    assert checks.check_settings() == []


@pytest.mark.parametrize("name", ["DATA_SYNC_MAX_ROWS", "DATA_SYNC_PROXY"])
def test_a_proxy_or_number_of_rows_that_cannot_be_is_a_fault(name: str, settings: Any) -> None:
    setattr(settings, name, "https://user:canary@proxy" if name == "DATA_SYNC_PROXY" else 0)
    [message] = checks.check_settings()
    assert (message.id, name in message.msg, "canary" in str(message)) == ("data_sync.E020", True, False)
